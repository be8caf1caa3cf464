import { readdir } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** The files below `root` that match any of the patterns: Node 20 has neither globs for `--test` nor `fs.glob`. */
export async function filesMatching(root: string, patterns: string[]): Promise<string[]> {
  const expressions = patterns.map(expressionOf)
  const files = await filesBelow(root, '')
  return files.filter(file => expressions.some(expression => expression.test(file))).sort()
}

async function filesBelow(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true })
  const found = await Promise.all(
    entries
      .filter(({ name }) => name !== 'node_modules' && !name.startsWith('.'))
      .map(entry => {
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`
        return entry.isDirectory() ? filesBelow(root, path) : [path]
      }),
  )
  return found.flat()
}

/** Knows `**` as whole folders, `*` and `?`; everything else stands for itself. */
function expressionOf(pattern: string): RegExp {
  const source = pattern
    .split(sep)
    .join('/')
    .replace(/^\.\//, '')
    .replace(/\*\*\/|\*\*|\*|\?|[.+^${}()|[\]\\]/g, found => {
      if (found === '**/') return '(?:.*/)?'
      if (found === '**') return '.*'
      if (found === '*') return '[^/]*'
      if (found === '?') return '[^/]'
      return `\\${found}`
    })
  return new RegExp(`^${source}$`)
}
