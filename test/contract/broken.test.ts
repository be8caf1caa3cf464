import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { brokenStores } from './broken/stores.ts'

/** What results.mjs writes of each test. */
interface Result {
  readonly name: string
  readonly nesting: number
  readonly passed: boolean
}

interface Run {
  readonly passed: string[]
  readonly failed: string[]
}

let runs: Map<string, Run>

before(async () => {
  runs = runsOf(await outputOf(fileURLToPath(new URL('broken/run.ts', import.meta.url))))
})

for (const kind of ['sound', 'sound and joined']) {
  test(`the contract holds for a store that is ${kind}`, () => {
    const { passed, failed } = runs.get(kind) as Run
    assert.deepEqual(failed, [])
    assert.ok(passed.length > 100)
  })
}

for (const { fault, caughtBy } of brokenStores) {
  test(`the contract catches a store that is broken: ${fault}`, () => {
    const { passed, failed } = runs.get(fault) as Run
    const isIt = (name: string) => name.startsWith(caughtBy)
    assert.ok([...passed, ...failed].some(isIt), `there is no test "${caughtBy}"`)
    assert.ok(failed.some(isIt), `"${caughtBy}" passed; what failed: ${failed.join('; ') || 'nothing'}`)
  })
}

/** Runs tests that are meant to fail, as a process that is no part of this run. */
function outputOf(file: string): Promise<string> {
  const reporter = fileURLToPath(new URL('../support/runner/results.mjs', import.meta.url))
  const args = ['--import', 'tsx', `--test-reporter=${reporter}`, file]
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { env, maxBuffer: 2 ** 26 }, (_error, stdout, stderr) => {
      if (stdout.endsWith('end\n')) resolve(stdout)
      else reject(new Error(`The tests of the broken stores did not come to their end: ${stderr}`))
    })
  })
}

/** A suite is told of after its tests. */
function runsOf(output: string): Map<string, Run> {
  const found = new Map<string, Run>()
  let tests: Result[] = []
  for (const line of output.split('\n').filter(text => text.startsWith('{'))) {
    const result = JSON.parse(line) as Result
    if (result.nesting > 0) {
      tests.push(result)
    } else {
      const names = (passed: boolean) => tests.filter(one => one.passed === passed).map(({ name }) => name)
      found.set(result.name, { passed: names(true), failed: names(false) })
      tests = []
    }
  }
  return found
}
