import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { aChange, aSession, fieldsOf, inc, recordOf } from '../../contract/records.ts'
import { Random } from '../../support/linearizability/random.ts'
import { builtStore, Counter } from '../../support/sqlite/counter.ts'
import { aPath, aStore, countIn, theDatabase } from '../../support/sqlite/files.ts'

/** Fewer where the driver is another one: see drivers.test.ts. */
const KILLS = process.env.SQLITE_DRIVER === undefined ? 200 : 40
/** What each change writes besides its count, characters. */
const SIZE = 3000
/** How long a process may have been counting, milliseconds. */
const LONGEST = 20
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000)

test('a process killed while it writes has kept what it acknowledged, or one change more, and stops nobody', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0, others: 0 })
  const random = new Random(SEED)
  const built = builtStore()
  let longest = 0
  let inFlight = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    const counter = new Counter(built, path, id, { size: SIZE })
    await counter.begun()
    await delay(random.below(LONGEST))
    counter.kill()
    const begun = performance.now()
    await store.update(id, aChange(inc('others')))
    longest = Math.max(longest, performance.now() - begun)

    const acknowledged = (await counter.counts()).at(-1) as number
    const { n, others } = await fieldsOf(store, id)
    assert.ok(n === acknowledged || n === acknowledged + 1, `CRASH_SEED=${SEED}: ${n} after ${acknowledged}`)
    assert.equal(others, kill)
    inFlight += Number(n) - acknowledged
  }
  t.diagnostic(
    `seed ${SEED}: ${inFlight} of ${KILLS} had one change more; nobody waited longer than ${longest} ms`,
  )
  assert.ok(longest < 10_000, `another process waited for ${longest} ms`)

  const { rev, fields } = await recordOf(store, id)
  assert.equal(rev, 1 + Number(fields.n) + KILLS)
  const db = theDatabase(t, path)
  assert.equal(countIn(db), 1)
  assert.deepEqual(Object.values(db.prepare('PRAGMA integrity_check').get() as object)[0], 'ok')
})
