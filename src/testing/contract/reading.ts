import assert from 'node:assert/strict'
import type { Test } from './case.ts'
import { aChange, aRecord, aSession, inc } from './records.ts'

export function reading(test: Test): void {
  test('a session that was never stored does not exist', async store => {
    await aSession(store)
    const { id } = aRecord()
    assert.equal(await store.load(id), undefined)
    assert.equal(await store.read(id, ['user']), undefined)
  })

  test('reading changes nothing', async store => {
    const record = await aSession(store, { user: 'ada' })
    await store.load(record.id)
    await store.read(record.id, ['user', 'cart.sku'])
    assert.deepEqual(await store.load(record.id), record)
  })

  test('only the fields asked for are read, nested as they are stored', async store => {
    const { id } = await aSession(store, {
      user: 'ada',
      cart: ['tea'],
      prefs: { theme: 'dark', lang: { first: 'en', second: 'fr' } },
    })
    const read = (...paths: string[]) => store.read(id, paths)
    assert.deepEqual(await read('user'), { rev: 1, fields: { user: 'ada' } })
    assert.deepEqual(await read('prefs.lang.first'), {
      rev: 1,
      fields: { prefs: { lang: { first: 'en' } } },
    })
    assert.deepEqual(await read('prefs.theme', 'cart', 'prefs.lang.second'), {
      rev: 1,
      fields: { cart: ['tea'], prefs: { theme: 'dark', lang: { second: 'fr' } } },
    })
  })

  test('a field is read as the last change left it, with the revision it made', async store => {
    const { id } = await aSession(store, { n: 1 })
    await store.update(id, aChange(inc('n')))
    await store.update(id, aChange(inc('n')))
    assert.deepEqual(await store.read(id, ['n']), { rev: 3, fields: { n: 3 } })
  })

  test('reading no field at all tells the revision', async store => {
    const { id } = await aSession(store, { user: 'ada' }, { rev: 4 })
    assert.deepEqual(await store.read(id, []), { rev: 4, fields: {} })
  })

  test('a field that does not exist is absent from what is read', async store => {
    const { id } = await aSession(store, { user: 'ada', prefs: { lang: 'en' }, cart: [{ sku: 'tea' }] })
    const read = async (path: string) => await store.read(id, [path])
    assert.deepEqual(await read('missing'), { rev: 1, fields: {} })
    assert.deepEqual(await read('missing.too'), { rev: 1, fields: {} })
    assert.deepEqual(await read('prefs.theme'), { rev: 1, fields: { prefs: {} } })
    assert.deepEqual(await read('user.name'), { rev: 1, fields: {} }, 'below a scalar')
    assert.deepEqual(await read('cart.sku'), { rev: 1, fields: {} }, 'by name in an array')
    assert.deepEqual(await read('toString'), { rev: 1, fields: {} }, 'of the prototype')
  })

  test('an element of an array is read with its whole array', async store => {
    const { id } = await aSession(store, {
      cart: [{ sku: 'tea', count: 1 }, { sku: 'jam' }],
      tags: ['a', 'b'],
    })
    const cart = [{ sku: 'tea', count: 1 }, { sku: 'jam' }]
    assert.deepEqual(await store.read(id, ['cart.0.sku']), { rev: 1, fields: { cart } })
    assert.deepEqual(await store.read(id, ['tags.1', 'cart.1']), {
      rev: 1,
      fields: { cart, tags: ['a', 'b'] },
    })
  })

  test('a number is a key like any other where there is no array', async store => {
    const { id } = await aSession(store, { rooms: { 12: 'blue', 13: 'red' } })
    assert.deepEqual(await store.read(id, ['rooms.12']), { rev: 1, fields: { rooms: { 12: 'blue' } } })
  })

  test('every field asked for is read, however many are', async store => {
    const fields = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`n${index}`, index]))
    const { id } = await aSession(store, { ...fields, other: 'x' })
    const paths = Object.keys(fields)
    assert.deepEqual(await store.read(id, paths), { rev: 1, fields })
    assert.deepEqual(await store.update(id, aChange(inc('n299')), { paths, when: 'before' }), {
      rev: 2,
      fields,
    })
  })

  test('a field may be asked for together with what holds it', async store => {
    const { id } = await aSession(store, { prefs: { theme: 'dark', lang: 'en' }, n: 1 })
    for (const paths of [
      ['prefs', 'prefs.theme'],
      ['prefs.theme', 'prefs'],
      ['prefs', 'prefs'],
    ]) {
      assert.deepEqual(await store.read(id, paths), {
        rev: 1,
        fields: { prefs: { theme: 'dark', lang: 'en' } },
      })
    }
  })
}
