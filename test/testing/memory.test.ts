import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigurationError, SessionEndedError } from '../../src/index.ts'
import { memoryStore, signedIn } from '../../src/testing/index.ts'
import { storeContract } from '../contract/index.ts'
import { aSession, inAnHour } from '../contract/records.ts'
import { anApp } from '../support/app.ts'

const HOUR = 3_600_000

storeContract(async () => {
  const store = memoryStore()
  return () => store
})

test('a session ends when a test lets its time pass, and those that begin later live on', async t => {
  const store = memoryStore()
  const { sessions } = await anApp(t, { store, maxAge: '1 hour' }, {})
  const early = await signedIn(sessions, { user_id: 'ada' })
  store.advance('59 minutes')
  const late = await signedIn(sessions, { user_id: 'ada' })
  assert.equal(await sessions.open(early.id).get('user_id'), 'ada')
  store.advance('1 minute')
  await assert.rejects(Promise.resolve(sessions.open(early.id).get('user_id')), SessionEndedError)
  assert.equal(await sessions.open(late.id).get('user_id'), 'ada')
  assert.equal(await sessions.count(), 1)
  assert.equal(await sessions.sweep(), 1)
  store.advance(59 * 60_000)
  assert.equal(await sessions.count(), 0)
})

test('sessions age, in whatever way they are looked at', async () => {
  const store = memoryStore()
  const record = await aSession(store, { user: 'ada' }, { absolute: inAnHour() })
  store.advance(1000)
  const earlier = (date: Date | undefined) => new Date(Number(date) - 1000)
  const aged = {
    ...record,
    created: earlier(record.created),
    expires: earlier(record.expires),
    absolute: earlier(record.absolute),
  }
  assert.deepEqual(await store.load(record.id), aged)
  for await (const found of store.find?.('user', 'ada') ?? []) assert.deepEqual(found, aged)
  assert.deepEqual(await store.read(record.id, ['user']), { rev: 1, fields: { user: 'ada' } })
})

test('a session that is extended once time has passed lives as long as it is told', async () => {
  const store = memoryStore()
  const record = await aSession(store)
  store.advance(HOUR / 2)
  const expires = inAnHour()
  assert.deepEqual(await store.update(record.id, { guards: [], operations: [], expires }), {})
  store.advance(HOUR / 2)
  const found = await store.load(record.id)
  assert.ok(found && 'expires' in found)
  assert.deepEqual(found.expires, new Date(expires.getTime() - HOUR / 2))
})

test('a tombstone ages too, and is gone when its time has passed', async () => {
  const store = memoryStore()
  const { id } = await aSession(store)
  const ended = new Date()
  await store.end(id, { ended }, new Date(Date.now() + 60_000))
  store.advance('30 seconds')
  const tombstone = { ended: new Date(ended.getTime() - 30_000) }
  assert.deepEqual([await store.load(id), await store.read(id, [])], [tombstone, tombstone])
  store.advance('30 seconds')
  assert.equal(await store.load(id), undefined)
})

test('fake timers move the time of the store too', async t => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const store = memoryStore()
  const { id } = await aSession(store)
  t.mock.timers.tick(HOUR / 2)
  store.advance(HOUR / 2 - 1000)
  assert.ok(await store.load(id))
  store.advance(1000)
  assert.equal(await store.load(id), undefined)
})

test('the store takes a clock as the other one does, and no option that there is not', async () => {
  let now = 1_000_000
  const store = memoryStore({ clock: () => now })
  const { id } = await aSession(store, {}, { expires: new Date(now + 1000) })
  now += 500
  store.advance(499)
  assert.ok(await store.load(id))
  store.advance(1)
  assert.equal(await store.load(id), undefined)
  assert.throws(() => memoryStore({ clok: () => now } as never), ConfigurationError)
})

test('time passes forwards only', () => {
  for (const duration of [-1, 0, 'yesterday', Number.NaN]) {
    assert.throws(() => memoryStore().advance(duration), ConfigurationError)
  }
})
