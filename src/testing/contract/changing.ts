import assert from 'node:assert/strict'
import type { BSON } from '../../stores/bson.ts'
import type { Test } from './case.ts'
import {
  aChange,
  aRecord,
  aSession,
  fieldsOf,
  inAnHour,
  inc,
  isCommandErrorAt,
  push,
  recordOf,
  set,
  unset,
} from './records.ts'
import { refusalsOf, results } from './results.ts'

export function changing(test: Test, bson: BSON): void {
  for (const [title, before, operation, after] of results) {
    test(`a command has MongoDB's result: ${title}`, async store => {
      const { id } = await aSession(store, before)
      await store.update(id, aChange(operation))
      assert.deepEqual(await fieldsOf(store, id), after)
    })
  }

  test('the time that a command sets is the time of the change', async store => {
    const { id } = await aSession(store)
    const before = Date.now()
    await store.update(id, aChange({ op: '$currentDate', path: 'seen' }))
    const { seen } = await fieldsOf(store, id)
    assert.ok(seen instanceof Date)
    // A server may be another machine.
    assert.ok(Math.abs(seen.getTime() - before) < 60_000)
  })

  test('a change alters the fields it names and nothing else', async store => {
    const record = await aSession(
      store,
      { user: 'ada', n: 1, prefs: { lang: 'en', theme: 'dark' } },
      { absolute: inAnHour() },
    )
    await store.update(record.id, aChange(set('prefs.lang', 'fr')))
    assert.deepEqual(await store.load(record.id), {
      ...record,
      rev: 2,
      fields: { user: 'ada', n: 1, prefs: { lang: 'fr', theme: 'dark' } },
    })
  })

  test('a change of several fields is one revision', async store => {
    const { id } = await aSession(store, { a: 1, b: [1], c: 1 })
    assert.deepEqual(await store.update(id, aChange(inc('a'), push('b', 2), unset('c'), set('d', 4))), {})
    const { rev, fields } = await recordOf(store, id)
    assert.equal(rev, 2)
    assert.deepEqual(fields, { a: 2, b: [1, 2], d: 4 })
  })

  test('every change moves the revision by one, even where it alters nothing', async store => {
    const { id } = await aSession(store, { n: 1 })
    for (const [index, change] of [
      aChange(set('n', 1)),
      aChange(unset('missing')),
      aChange(),
      aChange(inc('n', 0)),
    ].entries()) {
      await store.update(id, change)
      assert.equal((await recordOf(store, id)).rev, index + 2)
    }
  })

  const { fields, operations } = refusalsOf(bson)
  for (const [title, operation] of operations) {
    test(`what MongoDB refuses is refused, and the path named: ${title}`, async store => {
      const record = await aSession(store, fields)
      for (const answer of [undefined, { paths: ['text'], when: 'after' } as const]) {
        await assert.rejects(store.update(record.id, aChange(operation), answer), (error: Error) => {
          assert.doesNotMatch(error.message, /hush-hush|12345|9223372036854775807/, 'a stored value is told')
          return isCommandErrorAt(operation.path)(error)
        })
      }
      assert.deepEqual(await store.load(record.id), record)
    })
  }

  test('a change of which one part is refused is not applied at all', async store => {
    const record = await aSession(store, { a: 1, m: 'text', z: [1] })
    const change = { ...aChange(inc('a'), inc('m'), push('z', 2)), expires: inAnHour(), maxAge: 5 }
    await assert.rejects(store.update(record.id, change), isCommandErrorAt('m'))
    assert.deepEqual(await store.load(record.id), record)
  })

  for (const operation of [set('a.5', 1), inc('a.2'), push('a.1000000.b', 1), set('b.c.1.d', 1)]) {
    test(`an array is never filled with nulls to reach an element: ${operation.op} ${operation.path}`, async store => {
      const record = await aSession(store, { a: [1, 2], b: { c: [{ d: 0 }] } })
      for (const answer of [undefined, { paths: ['a'], when: 'after' } as const]) {
        const refused = store.update(record.id, aChange(set('other', 1), operation), answer)
        await assert.rejects(refused, isCommandErrorAt(operation.path))
      }
      assert.deepEqual(await store.load(record.id), record)
    })
  }

  test('an element that does not exist is removed without further ado', async store => {
    const { id } = await aSession(store, { a: [1, 2] })
    assert.deepEqual(await store.update(id, aChange(unset('a.5'))), {})
    assert.deepEqual(await fieldsOf(store, id), { a: [1, 2] })
  })

  test('a change to a session that does not exist writes nothing', async store => {
    for (const operation of [set('a', 1), inc('a'), push('a', 1), unset('a')]) {
      const { id } = aRecord()
      assert.equal(await store.update(id, aChange(operation)), 'absent')
      const touching = { ...aChange(operation), expires: inAnHour(), maxAge: 5 }
      assert.equal(await store.update(id, touching, { paths: ['a'], when: 'after' }), 'absent')
      assert.equal(await store.load(id), undefined)
      await store.insert(aRecord({}, { id }))
    }
  })

  test('a change moves the end of the session where it says so, with what else it does', async store => {
    const record = await aSession(store, { n: 1 })
    const expires = new Date(Date.now() + 7_200_001)
    await store.update(record.id, { ...aChange(inc('n')), expires })
    assert.deepEqual(await store.load(record.id), { ...record, expires, rev: 2, fields: { n: 2 } })
    await store.update(record.id, { ...aChange(), expires: record.expires, maxAge: 5 })
    assert.deepEqual(await store.load(record.id), { ...record, maxAge: 5, rev: 3, fields: { n: 2 } })
  })

  test('a session takes another lifetime and keeps the end it has', async store => {
    const record = await aSession(store)
    await store.update(record.id, { ...aChange(), maxAge: 5 })
    assert.deepEqual(await store.load(record.id), { ...record, maxAge: 5, rev: 2 })
  })

  test('every operation of a change is applied, however many it has', async store => {
    const names = Array.from({ length: 300 }, (_, index) => `n${index}`)
    const { id } = await aSession(store, { n7: 1, other: 'x' })
    await store.update(id, aChange(...names.map((name, index) => inc(name, index + 1))))
    const numbers = Object.fromEntries(names.map((name, index) => [name, index + 1]))
    assert.deepEqual(await fieldsOf(store, id), { ...numbers, n7: 9, other: 'x' })
  })

  test('fields whose names are long, or differ in case, are different fields', async store => {
    const long = 'x'.repeat(127)
    const names = [`${long}y`, `${long}z`, 'user', 'User', 'USER', 'ü', 'Ü']
    const before = Object.fromEntries(names.map((name, index) => [name, index]))
    const record = await aSession(store, { ...before, deep: before })
    for (const name of names) {
      assert.deepEqual(await store.read(record.id, [name]), { rev: 1, fields: { [name]: before[name] } })
    }
    await store.update(record.id, aChange(...names.flatMap(name => [inc(name, 10), inc(`deep.${name}`, 20)])))
    const plus = (added: number) => Object.fromEntries(names.map((name, index) => [name, index + added]))
    const after = { ...plus(10), deep: plus(20) }
    assert.deepEqual(await store.load(record.id), { ...record, rev: 2, fields: after })
  })

  test('fields may have the names of what a store keeps itself', async store => {
    const names = ['rev', 'data', 'fields', 'ended', 'next', 'absolute', 'secret', 'key', 'value', 'version']
    const record = await aSession(store, Object.fromEntries(names.map(name => [name, name])))
    await store.update(record.id, aChange(...names.map(name => set(name, 1))))
    const fields = Object.fromEntries(names.map(name => [name, 1]))
    assert.deepEqual(await store.load(record.id), { ...record, rev: 2, fields })
    await store.update(record.id, aChange(...names.map(unset)))
    assert.deepEqual(await store.load(record.id), { ...record, rev: 3, fields: {} })
  })
}
