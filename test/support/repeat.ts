import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { warnWithoutChromium } from './chromium.ts'
import { startGlobalMongoDB } from './mongodb/global.ts'
import { filesMatching } from './runner/files.ts'
import { isStopping } from './runner/stopping.ts'
import { runTests } from './runner/tests.ts'

// npm run test:repeat -- [--times 10] [--busy 0] [glob of test files ...]
// Runs tests again and again, beside endless loops if asked, and tells which failed how often.

const root = fileURLToPath(new URL('../..', import.meta.url))
process.chdir(root)

const { values, positionals } = parseArgs({
  options: { times: { type: 'string', default: '10' }, busy: { type: 'string', default: '0' } },
  allowPositionals: true,
})
const times = Number(values.times)
const files = await filesMatching(root, positionals.length > 0 ? positionals : ['test/**/*.test.ts'])
const logs = join(root, 'node_modules/.cache/repeat')
const failures = new Map<string, number>()

process.exitCode = await main()

async function main(): Promise<number> {
  if (files.length === 0) throw new Error(`No test file matches ${positionals.join(' ')}`)
  await mkdir(logs, { recursive: true })
  warnWithoutChromium()
  const loops = Array.from({ length: Number(values.busy) }, () => new Worker('for (;;);', { eval: true }))
  for (let round = 1; round <= times && !isStopping(); round++) await repeat(round)
  for (const loop of loops) await loop.terminate()

  for (const [failure, count] of [...failures].sort(([, a], [, b]) => b - a)) {
    console.log(`${count} of ${times}  ${failure}`)
  }
  if (isStopping()) return 1
  console.log(failures.size === 0 ? `All passed ${times} times` : `${failures.size} failed at times`)
  return Number(failures.size > 0)
}

/** As `npm test` does it, with a server of its own. */
async function repeat(round: number): Promise<void> {
  const started = performance.now()
  const mongodb = await startGlobalMongoDB()
  try {
    const { counts, code, printed } = await runTests(files, { env: mongodb.env, quiet: true })
    if (code !== 0 && counts.failures.length === 0) counts.failures.push(`exit code ${code}`)
    const seconds = ((performance.now() - started) / 1000).toFixed()
    console.log(
      `${round} of ${times}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${seconds} s`,
    )
    if (counts.failures.length === 0) return
    for (const failure of counts.failures) {
      failures.set(failure, (failures.get(failure) ?? 0) + 1)
      console.log(`  ${failure}`)
    }
    const log = join(logs, `${round}.log`)
    await writeFile(log, printed)
    console.log(`  ${relative(root, log)}`)
  } finally {
    await mongodb.stop()
  }
}
