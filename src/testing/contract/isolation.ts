import assert from 'node:assert/strict'
import type { Fields } from '../../language/values.ts'
import type { BSON } from '../../stores/bson.ts'
import type { Test } from './case.ts'
import { aChange, aRecord, aSession, inAnHour, push, recordOf, set } from './records.ts'

interface Possessions extends Fields {
  prefs: { lang: string; deep: { n: number } }
  cart: { sku: string }[]
  since: Date
  bytes: Uint8Array
  key: InstanceType<BSON['ObjectId']>
  token: InstanceType<BSON['UUID']>
}

/** Alters everything that can be altered, whether the caller's or a store's. */
function spoil(fields: Fields): void {
  const { prefs, cart, since, bytes, key, token } = fields as Possessions
  prefs.lang = 'spoilt'
  prefs.deep.n = 99
  Object.assign(prefs, { more: true })
  cart.push({ sku: 'spoilt' })
  if (cart[0]) cart[0].sku = 'spoilt'
  since.setTime(0)
  for (const buffer of [
    bytes instanceof Uint8Array ? bytes : (bytes as InstanceType<BSON['Binary']>).buffer,
    key.id,
    token.buffer,
  ]) {
    buffer[0] = 99
  }
  fields.more = true
}

export function isolation(test: Test, { ObjectId, UUID }: BSON): void {
  const somePossessions = (): Possessions => ({
    prefs: { lang: 'en', deep: { n: 1 } },
    cart: [{ sku: 'tea' }],
    since: new Date(1000),
    bytes: Buffer.from([1, 2, 3]),
    key: new ObjectId('65a000000000000000000001'),
    token: new UUID('00000000-0000-4000-8000-000000000000'),
  })
  const paths = Object.keys(somePossessions())

  test('altering what was given to a new session does not alter the session', async store => {
    const fields = somePossessions()
    const record = await aSession(store, fields, { absolute: inAnHour() })
    const before = await recordOf(store, record.id)
    spoil(fields)
    for (const date of [record.created, record.expires, record.absolute]) date?.setTime(0)
    assert.deepEqual(await recordOf(store, record.id), before)
  })

  test('altering what was loaded does not alter the session', async store => {
    const { id } = await aSession(store, somePossessions(), { absolute: inAnHour() })
    const before = await recordOf(store, id)
    const loaded = await recordOf(store, id)
    spoil(loaded.fields)
    for (const date of [loaded.created, loaded.expires, loaded.absolute]) date?.setTime(0)
    Object.assign(loaded, { rev: 99, maxAge: 1 })
    assert.deepEqual(await recordOf(store, id), before)
  })

  test('altering what was read does not alter the session', async store => {
    const { id } = await aSession(store, somePossessions())
    const before = await recordOf(store, id)
    const excerpt = await store.read(id, paths)
    assert.ok(excerpt && 'fields' in excerpt)
    spoil(excerpt.fields)
    assert.deepEqual(await recordOf(store, id), before)
  })

  for (const when of ['before', 'after'] as const) {
    test(`altering an answer does not alter the session: as it was ${when} the change`, async store => {
      const { id } = await aSession(store, somePossessions())
      const { fields } = await recordOf(store, id)
      const outcome = await store.update(id, aChange(set('other', 1)), { paths, when })
      assert.ok(typeof outcome === 'object' && outcome.fields)
      spoil(outcome.fields)
      assert.deepEqual((await recordOf(store, id)).fields, { ...fields, other: 1 })
    })
  }

  test('altering what a change was made of does not alter the session', async store => {
    const { id } = await aSession(store)
    const [whole, element] = [somePossessions(), somePossessions()]
    const expires = inAnHour()
    await store.update(id, { ...aChange(set('whole', whole), push('list', element)), expires })
    const before = await recordOf(store, id)
    spoil(whole)
    spoil(element)
    expires.setTime(0)
    assert.deepEqual(await recordOf(store, id), before)
  })

  test('altering a tombstone does not alter the one that stands', async store => {
    const { id } = await aSession(store)
    const given = { ended: new Date(1000), next: 'nonce' }
    const until = inAnHour()
    await store.end(id, given, until)
    given.ended.setTime(0)
    given.next = 'spoilt'
    until.setTime(0)
    for (const found of [await store.load(id), await store.read(id, ['a'])]) {
      assert.deepEqual(found, { ended: new Date(1000), next: 'nonce' })
      assert.ok(found && 'ended' in found)
      found.ended.setTime(0)
      Object.assign(found, { next: 'spoilt' })
    }
    assert.deepEqual(await store.load(id), { ended: new Date(1000), next: 'nonce' })
  })

  test('a store alters nothing that it is given', async store => {
    const record = frozen(aRecord({ ...somePossessions(), n: 1 }, { absolute: inAnHour() }))
    await store.insert(record)
    const change = frozen({
      guards: [{ path: 'n', comparator: 'in', arg: [1, 2] } as const],
      operations: [
        set('prefs', somePossessions()),
        {
          op: '$push',
          path: 'cart',
          arg: [{ sku: 'jam' }],
          modifiers: { sort: { sku: 1 }, slice: -5 },
        } as const,
        { op: '$addToSet', path: 'set', arg: [3, 1, 3] } as const,
      ],
      expires: inAnHour(),
    })
    const answer = frozen({ paths: ['prefs', 'prefs.cart', 'cart'], when: 'after' } as const)
    const tombstone = frozen({ ended: new Date() })
    const given = { record, change, answer, tombstone }
    const before = JSON.stringify(given)
    assert.ok(typeof (await store.update(record.id, change, answer)) === 'object')
    await store.read(record.id, answer.paths)
    await store.end(record.id, tombstone, inAnHour())
    assert.equal(JSON.stringify(given), before)
  })
}

/** Only buffers and dates can still be altered. */
function frozen<T extends object>(value: T): T {
  if (ArrayBuffer.isView(value)) return value
  for (const item of Object.values(value)) if (typeof item === 'object' && item !== null) frozen(item)
  return Object.freeze(value)
}
