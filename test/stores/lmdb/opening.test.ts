import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { aSession } from '../../contract/records.ts'
import { builtStore, Counter } from '../../support/lmdb/counter.ts'
import { aPath, aStore } from '../../support/lmdb/files.ts'

const OPENINGS = 200

test('opening and closing a file loses nothing of what other processes write to it', async t => {
  const path = aPath(t)
  const first = aStore(t, path)
  const { id } = await aSession(first, { n: 0 })
  const counter = new Counter(builtStore('lmdb-opening'), path, id, { size: 0 })
  t.after(() => counter.kill())
  await counter.begun()
  await first.close()
  for (let opening = 0; opening < OPENINGS; opening++) {
    await aStore(t, path).close()
    // Reads what the counter tells, which else would have to wait.
    await setImmediate()
  }
  counter.kill()

  const counts = await counter.counts()
  assert.deepEqual(
    counts,
    counts.map((_, index) => index + 1),
  )
  t.diagnostic(`${counts.length} changes during ${OPENINGS} openings`)
})
