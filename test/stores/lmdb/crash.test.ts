import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { aChange, aSession, fieldsOf, inc, recordOf } from '../../contract/records.ts'
import { Random } from '../../support/linearizability/random.ts'
import { builtStore, Counter } from '../../support/lmdb/counter.ts'
import { aPath, aStore, countsOf, theFile } from '../../support/lmdb/files.ts'

const KILLS = 200
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
  const lmdb = builtStore('lmdb-crash')
  let longest = 0
  let inFlight = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    const counter = new Counter(lmdb, path, id, { size: SIZE })
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
  assert.deepEqual(countsOf(theFile(t, path)), { e: 1, m: 1, s: 1 })
})
