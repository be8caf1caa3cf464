import { relative, resolve } from 'node:path'

export interface Counts {
  passed: number
  failed: number
  /** Which those are: the file, and the test's title. */
  failures: string[]
  /** Those still to do count here too. */
  skipped: number
  /** Files that ran and declared no test: Node reports each of them as a test that passed. */
  empty: string[]
  /** Whether the test run came to its end. */
  complete: boolean
}

/** What results.mjs writes. */
interface Result {
  passed: boolean
  name: string
  nesting: number
  file?: string
  skip?: string | boolean
  todo?: string | boolean
  isSuite: boolean
  failure?: string
}

/** Counts tests that have no tests inside them; their files are named as they are below `folder`. */
export function countsOf(lines: string, folder = '.'): Counts {
  const counts: Counts = {
    passed: 0,
    failed: 0,
    failures: [],
    skipped: 0,
    empty: [],
    complete: lines.endsWith('end\n'),
  }
  // Results come in the order of declaration, a parent's after those of all its children.
  const parents = new Set<number>()
  for (const line of lines.split('\n')) {
    if (!line.startsWith('{') || !line.endsWith('}')) continue
    const result = JSON.parse(line) as Result
    const isParent = parents.delete(result.nesting)
    parents.add(result.nesting - 1)

    if (isMarked(result.skip) || isMarked(result.todo)) {
      if (!isParent) counts.skipped++
    } else if (!result.passed) {
      // A parent fails with its children; where it fails by itself, that is one failure more.
      if (result.failure === 'subtestsFailed') continue
      counts.failed++
      counts.failures.push(titleOf(result, folder))
    } else if (result.file !== undefined && resolve(folder, result.name) === result.file) {
      counts.empty.push(relative(folder, result.file))
    } else if (!isParent && !result.isSuite) {
      counts.passed++
    }
  }
  return counts
}

function titleOf({ file, name }: Result, folder: string): string {
  if (file === undefined || resolve(folder, name) === file) return relative(folder, resolve(folder, name))
  return `${relative(folder, file)}: ${name}`
}

function isMarked(mark: string | boolean | undefined): boolean {
  return mark !== undefined && mark !== false
}
