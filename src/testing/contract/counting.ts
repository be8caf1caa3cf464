import assert from 'node:assert/strict'
import type { Test } from './case.ts'
import { aChange, anEndedSession, aSecondAgo, aSession, inAnHour, inc, together } from './records.ts'

/** Only for stores with the optional method `count`. */
export function counting(test: Test): void {
  test(
    'sessions are counted that live: neither ended, nor expired, nor deleted',
    async store => {
      assert.equal(await store.count(), 0)
      const [one, other] = [
        await aSession(store),
        await aSession(store, { user: 'ada' }, { absolute: inAnHour() }),
      ]
      assert.equal(await store.count(), 2)
      await anEndedSession(store)
      await aSession(store, {}, { expires: aSecondAgo() })
      await aSession(store, {}, { expires: new Date() })
      assert.equal(await store.count(), 2)
      await store.update(one.id, aChange(inc('n')))
      assert.equal(await store.count(), 2)
      await store.end(one.id, { ended: new Date() }, inAnHour())
      assert.equal(await store.count(), 1)
      await store.delete(other.id)
      assert.equal(await store.count(), 0)
      await together(150, () => aSession(store))
      assert.equal(await store.count(), 150)
    },
    'count',
  )
}
