import { fileURLToPath } from 'node:url'
import { warnWithoutChromium, withoutChromium } from './support/chromium.ts'
import { startGlobalMongoDB } from './support/mongodb/global.ts'
import { filesMatching } from './support/runner/files.ts'
import { runTests } from './support/runner/tests.ts'

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
    const { code, counts } = await runTests(files, { env: mongodb.env, options })
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
