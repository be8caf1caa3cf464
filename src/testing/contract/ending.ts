import assert from 'node:assert/strict'
import type { Test } from './case.ts'
import {
  aChange,
  anEndedSession,
  aRecord,
  aSecondAgo,
  aSession,
  beforeItsEnd,
  inAnHour,
  inc,
  recordOf,
  set,
} from './records.ts'

export function ending(test: Test): void {
  test('an ended session leaves its tombstone and nothing else', async store => {
    for (const tombstone of [{ ended: new Date(12345) }, { ended: new Date(), next: 'nonce' }]) {
      const { id } = await aSession(store, { user: 'ada', ended: 'x' }, { absolute: inAnHour() })
      assert.equal(await store.end(id, tombstone, inAnHour()), true)
      assert.deepEqual(await store.load(id), tombstone)
      assert.deepEqual(await store.read(id, ['user', 'ended']), tombstone)
      assert.deepEqual(await store.read(id, []), tombstone)
    }
  })

  test('who ends a session is told so, and only the first', async store => {
    const { id, tombstone } = await anEndedSession(store)
    assert.equal(await store.end(id, { ended: new Date(1), next: 'later' }, aSecondAgo()), false)
    assert.deepEqual(await store.load(id), tombstone)
  })

  test('a change to an ended session writes nothing and brings nothing back', async store => {
    const { id, tombstone } = await anEndedSession(store, { cart: ['tea'] })
    assert.equal(await store.update(id, aChange(set('cart', []))), 'ended')
    assert.equal(await store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' }), 'ended')
    assert.equal(await store.update(id, { ...aChange(), expires: inAnHour(), maxAge: 5 }), 'ended')
    assert.equal(await store.update(id, { ...aChange(), expires: aSecondAgo() }), 'ended')
    assert.deepEqual(await store.load(id), tombstone)
  })

  test('a session is ended only at the revision that is named', async store => {
    const { id } = await aSession(store, { n: 1 })
    await store.update(id, aChange(inc('n')))
    const before = await recordOf(store, id)
    for (const rev of [0, 1, 3]) {
      assert.equal(await store.end(id, { ended: new Date() }, inAnHour(), rev), false)
      assert.deepEqual(await store.load(id), before)
    }
    const tombstone = { ended: new Date() }
    assert.equal(await store.end(id, tombstone, inAnHour(), 2), true)
    assert.deepEqual(await store.load(id), tombstone)
    assert.equal(await store.end(id, tombstone, inAnHour(), 2), false)
  })

  test('ending a session that does not exist is no error and leaves nothing', async store => {
    const { id } = aRecord()
    assert.equal(await store.end(id, { ended: new Date() }, inAnHour()), false)
    assert.equal(await store.end(id, { ended: new Date() }, inAnHour(), 1), false)
    assert.equal(await store.load(id), undefined)
    await store.insert(aRecord({}, { id }))
  })

  test('a tombstone is gone when its time has come', async store => {
    for (const until of [new Date(), aSecondAgo(), new Date(0)]) {
      const { id } = await aSession(store, { user: 'ada' })
      assert.equal(await store.end(id, { ended: new Date() }, until), true)
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.read(id, ['user']), undefined)
      assert.equal(await store.update(id, aChange(set('a', 1))), 'absent')
      assert.equal(await store.end(id, { ended: new Date() }, inAnHour()), false)
    }
  })

  test('a tombstone stands until its own time, whatever limits its session had', async store => {
    const tombstone = { ended: new Date() }
    for (const isLimited of [false, true]) {
      const { end, done } = await beforeItsEnd(async near => {
        const { id } = await aSession(store, {}, { expires: near, ...(isLimited && { absolute: near }) })
        return { id, isEnded: await store.end(id, tombstone, inAnHour()) }
      })
      const { id, isEnded } = done
      assert.equal(isEnded, true)
      do assert.deepEqual(await store.load(id), tombstone)
      while (Date.now() < end.getTime() + 5)
      assert.equal(await store.update(id, aChange(set('a', 1))), 'ended')
    }
  })

  test('a deleted session leaves no trace', async store => {
    const living = await aSession(store, { user: 'ada' })
    const ended = await anEndedSession(store)
    const expired = await aSession(store, { user: 'ada' }, { expires: aSecondAgo() })
    for (const { id } of [living, ended, expired]) {
      await store.delete(id)
      assert.equal(await store.load(id), undefined)
      assert.equal(await store.read(id, ['user']), undefined)
      assert.equal(await store.update(id, aChange(set('a', 1))), 'absent')
      assert.equal(await store.end(id, { ended: new Date() }, inAnHour()), false)
      const next = aRecord({ cart: [] }, { id })
      await store.insert(next)
      assert.deepEqual(await store.load(id), next)
    }
  })

  test('deleting a session that does not exist is no error', async store => {
    const { id } = aRecord()
    await store.delete(id)
    assert.equal(await store.load(id), undefined)
  })
}
