import assert from 'node:assert/strict'
import { IdTakenError } from '../../errors.ts'
import type { Test } from './case.ts'
import { aChange, anEndedSession, aRecord, aSecondAgo, aSession, fieldsOf, inAnHour, set } from './records.ts'

export function creation(test: Test): void {
  test('a new session is kept just as it was given', async store => {
    const plain = aRecord({ user: 'ada', cart: [{ sku: 'tea', count: 2 }] })
    const limited = aRecord({}, { absolute: inAnHour(), maxAge: 1, rev: 7, created: new Date(12345) })
    await store.insert(plain)
    await store.insert(limited)
    assert.deepEqual(await store.load(plain.id), plain)
    assert.deepEqual(await store.load(limited.id), limited)
  })

  test('a new session is never written over another', async store => {
    const first = await aSession(store, { user: 'ada' })
    await assert.rejects(store.insert(aRecord({ user: 'eve' }, { id: first.id })), IdTakenError)
    assert.deepEqual(await store.load(first.id), first)
  })

  test('a new session never takes the id of one that has ended', async store => {
    const { id, tombstone } = await anEndedSession(store)
    await assert.rejects(store.insert(aRecord({}, { id })), IdTakenError)
    assert.deepEqual(await store.load(id), tombstone)
  })

  test('a new session under the id of an expired one is refused, or stands alone', async store => {
    const { id } = await aSession(store, { user: 'ada' }, { expires: aSecondAgo() })
    const next = aRecord({ cart: [] }, { id })
    const isTaken = await store.insert(next).then(
      () => false,
      error => {
        assert.ok(error instanceof IdTakenError)
        return true
      },
    )
    assert.deepEqual(await store.load(id), isTaken ? undefined : next)
  })

  test('sessions know nothing of each other', async store => {
    const bystander = await aSession(store, { n: 1 })
    const changed = await aSession(store, { n: 1 })
    const ended = await aSession(store, { n: 1 })
    const deleted = await aSession(store, { n: 1 })
    await store.update(changed.id, aChange(set('n', 2)))
    await store.end(ended.id, { ended: new Date() }, inAnHour())
    await store.delete(deleted.id)
    assert.deepEqual(await store.load(bystander.id), bystander)
    assert.deepEqual(await fieldsOf(store, changed.id), { n: 2 })
  })
}
