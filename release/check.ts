import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { apiOf } from './api.ts'

// npm run release:check -- [--accept]
// Says what keeps this tree from being released. `--accept` takes the public API for right as it is now.

const root = fileURLToPath(new URL('..', import.meta.url))
const report = join(root, 'release/api.txt')

/** Of the packed file, KiB. The operator's tool and what authors test their stores with are 130 of them, and no app loads them. */
const BUDGET = 700

/** A file that is nobody's: no user reads it, and no program. */
const stray =
  /^(?:docs\/(?:requirements\.md|site\/|.*\.(?:svg|png)$)|src\/|test\/|bench\/|example\/|release\/|\.)/

interface Package {
  readonly name: string
  readonly version: string
  readonly [field: string]: unknown
}

interface Packed {
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

interface SourceMap {
  readonly sources: readonly string[]
  readonly sourcesContent?: readonly (string | null)[]
}

const { values } = parseArgs({ options: { accept: { type: 'boolean', default: false } } })
process.exitCode = main(values.accept)

function main(isAccepted: boolean): number {
  execFileSync('npm', ['run', '--silent', 'prepack'], { cwd: root, stdio: 'inherit' })
  if (isAccepted) writeFileSync(report, apiOf(root))
  const about = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Package
  const faults = [...incomplete(about), ...unlogged(about), ...misfits(packed()), ...changedAPI()]
  for (const fault of faults) console.error(`- ${fault}`)
  console.log(
    faults.length === 0 ? `${about.name} ${about.version} can be released` : `${faults.length} in the way`,
  )
  return Number(faults.length > 0)
}

/** Nobody but the owner knows where the project lives. */
function incomplete(about: Package): string[] {
  const needed = [
    'description',
    'license',
    'repository',
    'homepage',
    'bugs',
    'keywords',
    'engines',
    'exports',
  ]
  return needed
    .filter(field => about[field] === undefined)
    .map(field => `package.json has no ${field}: set it`)
}

function unlogged({ version }: Package): string[] {
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  const [, logged, date] = /^## \[([^\]]+)\] - (\S+)/m.exec(changelog) ?? []
  if (logged !== version) return [`CHANGELOG.md begins with ${logged}, and package.json says ${version}`]
  return /^\d{4}-\d\d-\d\d$/.test(date ?? '')
    ? []
    : [`CHANGELOG.md dates ${version} ${date}: give the day of the release`]
}

function packed(): Packed {
  const printed = execFileSync('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], { cwd: root })
  const [first] = JSON.parse(printed.toString()) as Packed[]
  if (!first) throw new Error('npm pack said nothing')
  return first
}

function misfits({ size, files }: Packed): string[] {
  const paths = files.map(({ path }) => path)
  const faults = paths
    .filter(path => stray.test(path))
    .map(path => `${path} is packed, and is of no use to a user`)
  const kib = Math.ceil(size / 1024)
  if (kib > BUDGET) faults.push(`The packed file has ${kib} KiB, and its budget is ${BUDGET}`)
  for (const path of paths.filter(path => path.endsWith('.map'))) {
    const { sources, sourcesContent = [] } = JSON.parse(readFileSync(join(root, path), 'utf8')) as SourceMap
    const missing = sources.find((_, index) => typeof sourcesContent[index] !== 'string')
    if (missing !== undefined) faults.push(`${path} does not have the text of ${missing}`)
  }
  return faults
}

function changedAPI(): string[] {
  if (!existsSync(report)) return ['release/api.txt is missing: npm run release:check -- --accept']
  const before = readFileSync(report, 'utf8').split('\n')
  const now = apiOf(root).split('\n')
  const gone = before.filter(line => !now.includes(line))
  const come = now.filter(line => !before.includes(line))
  if (gone.length + come.length === 0) return []
  return [
    'The public API is not that of release/api.txt. If it is meant to change: npm run release:check -- --accept',
    ...gone.map(line => `  no more: ${line}`),
    ...come.map(line => `  new:     ${line}`),
  ]
}
