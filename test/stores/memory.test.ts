import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Binary } from 'mongodb'
import { IdTakenError } from '../../src/errors.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { storeContract } from '../contract/index.ts'
import { aChange, aRecord, aSession, fieldsOf, set } from '../contract/records.ts'

// Another process has other sessions: what it would do, the same store does.
storeContract(async () => {
  const store = memoryStore()
  return () => store
})

test('a store in memory goes by the clock it is given', async () => {
  let now = 1_000_000
  const store = memoryStore({ clock: () => now })
  const record = await aSession(store, {}, { expires: new Date(now + 1000) })
  now += 999
  assert.deepEqual(await store.load(record.id), record)
  now += 1
  assert.equal(await store.load(record.id), undefined)
  assert.equal(await store.update(record.id, aChange(set('a', 1))), 'absent')
  assert.equal(await store.end(record.id, { ended: new Date(now) }, new Date(now * 2)), false)
})

test('fake timers that are set once the store is made move its time', async t => {
  const store = memoryStore()
  const now = Date.now()
  const record = await aSession(store, {}, { expires: new Date(now + 1000) })
  t.mock.timers.enable({ apis: ['Date'], now: now + 999 })
  assert.deepEqual(await store.load(record.id), record)
  t.mock.timers.tick(1)
  assert.equal(await store.load(record.id), undefined)
})

test('a tombstone stands until the very millisecond of its time', async () => {
  let now = 1_000_000
  const store = memoryStore({ clock: () => now })
  const { id } = await aSession(store, {}, { expires: new Date(now + 10) })
  await store.end(id, { ended: new Date(now) }, new Date(now + 1000))
  now += 999
  assert.deepEqual(await store.load(id), { ended: new Date(1_000_000) })
  now += 1
  assert.equal(await store.load(id), undefined)
})

test('what has expired does not fill the memory', async () => {
  let now = 1_000_000
  const store = memoryStore({ clock: () => now })
  const old = await aSession(store, {}, { expires: new Date(now + 1000) })
  const ended = await aSession(store, {}, { expires: new Date(now + 1000) })
  await store.end(ended.id, { ended: new Date(now) }, new Date(now + 500))
  const living = await aSession(store, {}, { expires: new Date(now + 5000) })
  now += 1000
  for (let count = 0; count < 1000; count++) await aSession(store, {}, { expires: new Date(now + 1) })
  // An id that is still held would be refused.
  await store.insert(aRecord({}, { id: old.id }))
  await store.insert(aRecord({}, { id: ended.id }))
  await assert.rejects(store.insert(aRecord({}, { id: living.id })), IdTakenError)
  assert.deepEqual(await store.load(living.id), living)
})

test('bytes keep their kind', async () => {
  const store = memoryStore()
  const bytes = new Binary(Buffer.from([1, 2]), 128)
  const { id } = await aSession(store, { bytes })
  assert.deepEqual(await fieldsOf(store, id), { bytes })
})

test('two stores in memory have nothing in common', async () => {
  const [one, other] = [memoryStore(), memoryStore()]
  const { id } = await aSession(one)
  assert.equal(await other.load(id), undefined)
})

test('an option that the store does not have is refused', () => {
  assert.throws(() => memoryStore({ clok: Date.now } as never), {
    name: 'ConfigurationError',
    message: /memoryStore\(\) has no option "clok"; did you mean "clock"\?/,
  })
})
