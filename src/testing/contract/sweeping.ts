import assert from 'node:assert/strict'
import type { Test } from './case.ts'
import {
  anEndedSession,
  anExtendedSession,
  aRecord,
  aSecondAgo,
  aSession,
  inAnHour,
  recordOf,
  together,
} from './records.ts'

/** Only for stores whose database does not remove expired records itself. */
export function sweeping(test: Test): void {
  test(
    'sweeping removes what has expired, tombstones too, and nothing else',
    async store => {
      assert.equal(await store.sweep(), 0)
      const living = await aSession(store, { user: 'ada', text: 'x'.repeat(5000) }, { absolute: inAnHour() })
      const standing = await anEndedSession(store)
      const { record: extended } = await anExtendedSession(store)
      const gone = await together(50, () =>
        aSession(store, { text: 'x'.repeat(5000) }, { expires: aSecondAgo() }),
      )
      const ended = await aSession(store)
      await store.end(ended.id, { ended: new Date() }, aSecondAgo())
      assert.equal(await store.sweep(), 51)
      assert.equal(await store.sweep(), 0)
      assert.deepEqual(await store.load(living.id), living)
      assert.deepEqual(await store.load(standing.id), standing.tombstone)
      assert.equal((await recordOf(store, extended.id)).rev, 2)
      // An id that is still held would be refused.
      for (const { id } of [...gone, ended]) await store.insert(aRecord({}, { id }))
    },
    'sweep',
  )
}
