import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { leaksIn, UNTELLABLE } from '../leaks.ts'
import { type Counts, countsOf } from './counts.ts'

export interface TestRun {
  readonly code: number
  readonly counts: Counts
  readonly printed: string
}

export interface Settings {
  readonly env: Record<string, string>
  /** Of Node's. */
  readonly options?: readonly string[]
  /** What is printed is kept, and does not go on to where this process prints. */
  readonly quiet?: boolean
  /** Where there are the test files and what they import. @default this process's working directory */
  readonly cwd?: string
  /** The program that runs them. @default this process's */
  readonly node?: string
}

/** Runs test files, each in a process of its own, two at a time. */
export async function runTests(files: readonly string[], settings: Settings): Promise<TestRun> {
  const folder = await mkdtemp(join(tmpdir(), 'test-run-'))
  const results = join(folder, 'results')
  const untellable = join(folder, 'untellable')
  try {
    const env = { ...settings.env, [UNTELLABLE]: untellable }
    const { code, printed } = await runNode(files, results, { ...settings, env })
    const counts = countsOf(await readFile(results, 'utf8').catch(() => ''), settings.cwd)
    const secrets = (await readFile(untellable, 'utf8').catch(() => '')).split('\n')
    const leaks = leaksIn(printed, new Set(secrets))
    if (leaks.length > 0)
      fail(counts, `The test run printed ${leaks.length} secrets or signatures of cookies`)
    if (!counts.complete) fail(counts, `The test run did not come to its end (exit code ${code})`)
    for (const file of counts.empty) console.error(`No tests in ${file}`)
    return { code, counts, printed }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function fail(counts: Counts, why: string): void {
  console.error(why)
  counts.failed++
  counts.failures.push(why)
}

/** Of a file, milliseconds: what hangs is told apart from what a busy machine does slowly. */
const TIMEOUT = 15 * 60_000

function runNode(
  files: readonly string[],
  results: string,
  { env, options = [], quiet = false, cwd = '.', node = process.execPath }: Settings,
): Promise<{ code: number; printed: string }> {
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./test/support/runner/results.mjs',
    `--test-reporter-destination=${results}`,
  ]
  const child = spawn(
    node,
    [
      '--import',
      'tsx',
      '--test',
      '--test-concurrency=2',
      `--test-timeout=${TIMEOUT}`,
      ...reporters,
      ...options,
      ...files,
    ],
    { cwd, stdio: ['inherit', 'pipe', 'pipe'], env: { ...process.env, ...env } },
  )
  const printed: Buffer[] = []
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    from.on('data', chunk => printed.push(chunk))
    if (!quiet) from.pipe(to, { end: false })
  }
  // The server has to be stopped too, so this process outlives the tests.
  const kill = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, kill)
    child.once('close', () => process.off(signal, kill))
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve({ code: code ?? 1, printed: Buffer.concat(printed).toString() }))
  })
}
