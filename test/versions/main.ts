import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startGlobalMongoDB } from '../support/mongodb/global.ts'
import { filesMatching } from '../support/runner/files.ts'
import { isStopping } from '../support/runner/stopping.ts'
import { runTests } from '../support/runner/tests.ts'
import { checks } from './checks.ts'
import { type Folder, folderOf, run } from './folder.ts'
import { type Pair, pairs } from './pairs.ts'

// npm run test:versions -- [name of a pair ...] [glob of test files ...]
// Tests the packed package with the lowest and the newest of what it promises to work with, a line for each.

const root = fileURLToPath(new URL('../..', import.meta.url))
process.chdir(root)

/** They look at this repository, not at what the package does. */
const ABOUT_THE_REPOSITORY = [
  'test/documents.test.ts',
  'test/guides.test.ts',
  'test/layout.test.ts',
  'test/package.test.ts',
  'test/packed/contract.test.ts',
  'test/packed/quickstarts.test.ts',
  'test/readme.test.ts',
  'test/requirements.test.ts',
  'test/types/types.test.ts',
]

const args = process.argv.slice(2)
const named = pairs.filter(({ name }) => args.includes(name))
const globs = args.filter(arg => !pairs.some(({ name }) => name === arg))
const logs = join(root, 'node_modules/.cache/versions')

process.exitCode = await main()

async function main(): Promise<number> {
  const found = await filesMatching(root, globs.length > 0 ? globs : ['test/**/*.test.ts'])
  const files = found.filter(file => !ABOUT_THE_REPOSITORY.includes(file))
  if (files.length === 0) {
    console.error(
      `No test file matches ${globs.join(' ')}; pairs are ${pairs.map(({ name }) => name).join(', ')}`,
    )
    return 1
  }
  const temporary = await mkdtemp(join(tmpdir(), 'versions-'))
  const mongodb = await startGlobalMongoDB()
  try {
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', temporary])
    const [packed] = JSON.parse(stdout) as { filename: string }[]
    const tarball = join(temporary, packed?.filename ?? '')
    let failed = 0
    for (const pair of named.length > 0 ? named : pairs) {
      if (isStopping()) return 1
      const path = join(temporary, pair.name)
      const failures = await tryOut(pair, await folderOf(pair, path, root, tarball), files, mongodb.env)
      if (failures.length > 0) failed++
      for (const failure of failures) console.log(`  ${failure}`)
      await rm(path, { recursive: true })
    }
    return Number(failed > 0)
  } finally {
    await mongodb.stop()
    await rm(temporary, { recursive: true, force: true })
  }
}

/** Prints the line of a pair, and returns what failed. */
async function tryOut(
  pair: Pair,
  folder: Folder,
  files: readonly string[],
  env: Record<string, string>,
): Promise<string[]> {
  const failures: string[] = []
  // Those of other pairs stay: a failure that is seldom seen may be known from them alone.
  const own = join(logs, pair.name)
  await rm(own, { recursive: true, force: true })
  await mkdir(own, { recursive: true })
  for (const [name, check] of Object.entries(checks)) {
    const printed = await check(folder)
    if (printed === '') continue
    failures.push(name)
    await writeFile(join(own, `${name.replaceAll(' ', '-')}.log`), printed)
  }
  const { counts, printed } = await runTests(files, { env, quiet: true, cwd: folder.path, node: folder.node })
  failures.push(...counts.failures)
  await writeFile(join(own, 'tests.log'), printed)

  const versions = Object.entries(folder.versions).map(([name, version]) => `${name} ${version}`)
  const { passed, failed, skipped } = counts
  console.log(
    [
      pair.name.padEnd(9),
      versions.join(', '),
      ...Object.keys(checks).map(name => `${name} ${failures.includes(name) ? 'FAILED' : 'passed'}`),
      `tests ${passed} passed, ${failed} failed, ${skipped} skipped`,
    ].join(' · '),
  )
  return failures.length > 0 ? [...failures, `see ${relative(root, own)}`] : []
}
