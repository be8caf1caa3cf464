import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { warnWithoutChromium, withoutChromium } from './support/chromium.ts'
import { leaksIn, UNTELLABLE } from './support/leaks.ts'
import { startGlobalMongoDB } from './support/mongodb/global.ts'
import { type Counts, countsOf } from './support/runner/counts.ts'
import { filesMatching } from './support/runner/files.ts'

// tsx test/run.ts [--option-of-node=value ...] [glob of test files ...]

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

const args = process.argv.slice(2)
const options = args.filter(arg => arg.startsWith('-'))
const globs = args.filter(arg => !arg.startsWith('-'))

// As the process ends, so that nothing is printed after it.
let lastLine = '0 passed, 1 failed, 0 skipped'
process.once('exit', () => console.log(lastLine))

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  return 1
})

async function main(): Promise<number> {
  const wanted = globs.length > 0 ? globs : ['test/**/*.test.ts']
  const files = await filesMatching(root, wanted)
  if (files.length === 0) {
    console.error(`No test file matches ${wanted.join(' ')}`)
    lastLine = '0 passed, 0 failed, 0 skipped'
    return 1
  }

  warnWithoutChromium()
  const mongodb = await startGlobalMongoDB()
  try {
    const { code, counts } = await runTests(files, mongodb.env)
    if (!counts.complete) {
      console.error(`The test run did not come to its end (exit code ${code})`)
      counts.failed++
    }
    for (const file of counts.empty) console.error(`No tests in ${file}`)
    lastLine = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
    const missing = [!mongodb.found && 'a MongoDB server', withoutChromium && 'a browser'].filter(Boolean)
    if (missing.length > 0 && process.env.CI) {
      console.error(`CI needs ${missing.join(' and ')}: tests were skipped for want of it`)
      return code || 1
    }
    return code || Number(counts.failed > 0)
  } finally {
    await mongodb.stop()
  }
}

async function runTests(
  files: string[],
  env: Record<string, string>,
): Promise<{ code: number; counts: Counts }> {
  const folder = await mkdtemp(join(tmpdir(), 'test-run-'))
  const results = join(folder, 'results')
  const untellable = join(folder, 'untellable')
  try {
    const { code, printed } = await runNode(files, results, { ...env, [UNTELLABLE]: untellable })
    const counts = countsOf(await readFile(results, 'utf8').catch(() => ''))
    const secrets = (await readFile(untellable, 'utf8').catch(() => '')).split('\n')
    const leaks = leaksIn(printed, new Set(secrets))
    if (leaks.length > 0) {
      console.error(`The test run printed ${leaks.length} secrets or signatures of cookies`)
      counts.failed++
    }
    return { code, counts }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Whatever is printed goes on to where this process prints, and is kept. */
function runNode(
  files: string[],
  results: string,
  env: Record<string, string>,
): Promise<{ code: number; printed: string }> {
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./test/support/runner/results.mjs',
    `--test-reporter-destination=${results}`,
  ]
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--test', '--test-concurrency=2', ...reporters, ...options, ...files],
    { stdio: ['inherit', 'pipe', 'pipe'], env: { ...process.env, ...env } },
  )
  const printed: Buffer[] = []
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    from.on('data', chunk => printed.push(chunk))
    from.pipe(to, { end: false })
  }
  // The server has to be stopped too, so this process outlives the tests.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve({ code: code ?? 1, printed: Buffer.concat(printed).toString() }))
  })
}
