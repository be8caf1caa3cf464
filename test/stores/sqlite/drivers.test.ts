import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { sqliteStore } from '../../../src/stores/sqlite/store.ts'
import { filesMatching } from '../../support/runner/files.ts'
import { betterSQLite, newerNode, root, run } from '../../support/sqlite/drivers.ts'

// The tests of this folder once more, with each other driver: two of them on one file in one process would break each other's locks.

const FILES = ['store', 'damage', 'opening', 'locks', 'full', 'crash', 'drivers'].map(
  name => `test/stores/sqlite/${name}.test.ts`,
)

const isChild = process.env.SQLITE_DRIVER !== undefined
const hasOwn = process.getBuiltinModule?.('node:sqlite') !== undefined

for (const [driver, prepare] of Object.entries({
  'node:sqlite': async () => ({ node: await newerNode(), env: {} }),
  'better-sqlite3': async () => ({ node: process.execPath, env: { NODE_PATH: await betterSQLite() } }),
})) {
  test(`with ${driver} a store keeps the same promises`, {
    skip: isChild
      ? 'it is being tested'
      : hasOwn && driver !== 'node:sqlite' && 'this Node.js has node:sqlite, which goes before it',
  }, async t => {
    const prepared = await prepare().catch((error: unknown) => {
      if (process.env.CI) throw error
      t.skip(`NOT TESTED: ${driver}, which cannot be installed: ${String(error)}`)
    })
    if (prepared) await passes(t, prepared.node, { ...prepared.env, SQLITE_DRIVER: driver })
  })
}

async function passes(t: TestContext, node: string, env: NodeJS.ProcessEnv): Promise<void> {
  const files = await filesMatching(root, FILES)
  const args = ['--import', 'tsx', '--test', '--test-concurrency=1', '--test-reporter=tap', ...files]
  const { NODE_TEST_CONTEXT: _, ...own } = process.env
  const { stdout } = await run(node, args, {
    cwd: root,
    env: { ...own, ...env },
    maxBuffer: 2 ** 26,
  }).catch((error: { stdout?: string }) => ({ stdout: String(error.stdout ?? error) }))
  // With what is told of each.
  const failed = stdout.match(/^\s*not ok .*(?:\n\s*---[\s\S]*?\n\s*\.\.\.$)?/gm) ?? []
  assert.deepEqual(failed, [])
  const [, passed = '0'] = /^# pass (\d+)/m.exec(stdout) ?? []
  t.diagnostic(`${passed} tests passed with ${env.SQLITE_DRIVER}`)
  assert.ok(Number(passed) > 500, stdout.slice(-2000))
}

test('the driver that is tested is the one that is said', { skip: !isChild && 'it is any' }, async t => {
  const { loadDriver } = await import('../../../src/stores/sqlite/driver.ts')
  const { aPath } = await import('../../support/sqlite/files.ts')
  const Database = loadDriver()
  const found =
    Database.name === 'DatabaseSync'
      ? 'node:sqlite'
      : 'sync' in Database.prototype
        ? 'libsql'
        : 'better-sqlite3'
  assert.equal(found, process.env.SQLITE_DRIVER)
  await sqliteStore({ path: aPath(t) }).close?.()
})
