import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type TestContext, test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { StoreUnavailableError } from '../../../src/errors.ts'
import { sqliteStore } from '../../../src/stores/sqlite/store.ts'
import { aChange, aSession, fieldsOf, inAnHour, inc, recordOf, together } from '../../contract/records.ts'
import { median } from '../../support/median.ts'
import { builtStore } from '../../support/sqlite/counter.ts'
import { aPath, aStore, type SQLiteStore, theDatabase, until } from '../../support/sqlite/files.ts'

const program = fileURLToPath(new URL('../../support/sqlite/neighbour.mjs', import.meta.url))

async function aNeighbour(t: TestContext, built: string, path: string, id: string): Promise<ChildProcess> {
  const child = fork(program, [built, path, id])
  t.after(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

function isUnavailable(error: unknown): boolean {
  return error instanceof StoreUnavailableError && error.outcome === 'none' && /locked/.test(error.message)
}

/** The first measure below the bound, or else the least of five: a busy machine spoils some, and what the store does shows in each. */
async function leastBelow(bound: number, measure: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5 && least >= bound; round++) {
    const measured = await measure()
    if (measured < least) least = measured
  }
  return least
}

/** Of a process; `T` while it is stopped. */
function stateOf({ pid }: ChildProcess): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] ?? ''
}

test('while another process is stopped in the middle of a change, others read, are told that they cannot write, and go on', {
  skip: process.platform !== 'linux',
}, async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0 })
  const other = await aNeighbour(t, builtStore(), path, id)
  other.send('stop while writing')
  await until(() => stateOf(other) === 'T')

  store.useTimeout(400)
  const calls = [
    () => store.update(id, aChange(inc('n'))),
    () => store.end(id, { ended: new Date() }, inAnHour()),
    () => store.delete(id),
  ]
  const longest = await leastBelow(300, async () => {
    const loop = monitorEventLoopDelay({ resolution: 5 })
    loop.enable()
    // By a timer as callers have it, which comes later too where the machine is busy.
    const callers = setTimeout(400, 'it took longer than callers wait', { ref: false })
    const refused = Promise.all(calls.map(call => assert.rejects(call, isUnavailable)))
    assert.equal(await Promise.race([refused.then(() => 'in time'), callers]), 'in time')
    assert.equal((await fieldsOf(store, id)).n, 0)
    loop.disable()
    t.diagnostic(`longest delay of the event loop ${(loop.max / 1e6).toFixed(1)} ms`)
    return loop.max / 1e6
  })
  assert.ok(longest < 300, 'the event loop was held up')

  store.useTimeout(5000)
  const waiting = store.update(id, aChange(inc('n')))
  other.kill('SIGCONT')
  assert.deepEqual(await waiting, {})
  assert.equal((await fieldsOf(store, id)).n, 1)
})

test('a process that is killed while it writes leaves the file to others at once', {
  skip: process.platform !== 'linux',
}, async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0 })
  const other = await aNeighbour(t, builtStore(), path, id)
  other.send('stop while writing')
  await until(() => stateOf(other) === 'T')
  const waiting = store.update(id, aChange(inc('n')))
  other.kill('SIGKILL')
  assert.deepEqual(await waiting, {})
  assert.deepEqual(await fieldsOf(store, id), { n: 1 })
})

test('of four processes that change one session at once each gets its share, and none loses a change', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0 })
  const built = builtStore()
  const processes = await together(4, () => aNeighbour(t, built, path, id))
  let total = 0
  const ratio = await leastBelow(4, async () => {
    const at = Date.now() + 200
    for (const one of processes) one.send({ clients: 16, spans: 12, milliseconds: 250, at })
    const told = (await Promise.all(processes.map(one => once(one, 'message')))) as [number[]][]
    total += told.flatMap(([made]) => made).reduce((sum, changes) => sum + changes)
    assert.equal((await fieldsOf(store, id)).n, total)
    // Of the middle span: in a span in which the machine runs one process alone, that one makes many times as many.
    const shares = told.map(([made]) => median(made))
    t.diagnostic(`changes of each process in a quarter of a second: ${shares.join(', ')}`)
    return Math.max(...shares) / Math.min(...shares)
  })
  // Within 1.6 on a machine of their own; here tests run beside them.
  assert.ok(ratio < 4, `${ratio} times as many`)
})

test('while a change waits for others, reads go on to see all that they have acknowledged', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0 })
  const other = theDatabase(t, path)
  other.exec('BEGIN IMMEDIATE')
  const waiting = store.update(id, aChange(inc('n')), { paths: [], when: 'after' })
  for (let rev = 2; rev <= 20; rev++) {
    for (let turns = 0; turns < 5; turns++) await setImmediate()
    other.prepare('UPDATE sessions SET rev = ? WHERE id = ?').run(rev, id)
    other.exec('COMMIT')
    other.exec('BEGIN IMMEDIATE')
    assert.equal((await recordOf(store, id)).rev, rev)
  }
  other.exec('COMMIT')
  assert.deepEqual(await waiting, { rev: 21, fields: {} })
})

test("a change waits for a transaction of the app's on the same database, and is no part of it", async t => {
  const db = theDatabase(t, aPath(t))
  const store = sqliteStore({ database: db }) as SQLiteStore
  const { id } = await aSession(store, { n: 0 })
  db.exec('CREATE TABLE theirs (a)')
  db.exec('BEGIN')
  db.exec('INSERT INTO theirs VALUES (1)')
  let isMade = false
  const change = store.update(id, aChange(inc('n'))).then(() => {
    isMade = true
  })
  for (let turns = 0; turns < 20; turns++) await setImmediate()
  assert.ok(!isMade)
  db.exec('ROLLBACK')
  await change
  assert.equal((await fieldsOf(store, id)).n, 1)
  assert.deepEqual(db.prepare('SELECT * FROM theirs').all(), [])
  await store.close()
})
