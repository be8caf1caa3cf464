import assert from 'node:assert/strict'
import type { Comparator, Operation } from '../../language/change.ts'
import type { Fields } from '../../language/values.ts'
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

const results: [title: string, before: Fields, operation: Operation, after: Fields][] = [
  ['set', { a: 1 }, set('b', 2), { a: 1, b: 2 }],
  ['set over another type', { a: 1 }, set('a', ['x']), { a: ['x'] }],
  ['set below what is not there yet', {}, set('a.b.c', 1), { a: { b: { c: 1 } } }],
  ['set inside an object', { a: { b: 1, c: 2 } }, set('a.b', 3), { a: { b: 3, c: 2 } }],
  ['set of an element', { a: [1, 2] }, set('a.1', 3), { a: [1, 3] }],
  ['set inside an element', { a: [{ b: 1 }, { b: 1 }] }, set('a.1.b', 3), { a: [{ b: 1 }, { b: 3 }] }],
  ['set under a number where there is no array', { a: {} }, set('a.7', 1), { a: { 7: 1 } }],
  ['set under a number where there is nothing', {}, set('a.7', 1), { a: { 7: 1 } }],
  ['unset', { a: 1, b: 2 }, unset('a'), { b: 2 }],
  ['unset inside an object', { a: { b: 1, c: 2 } }, unset('a.b'), { a: { c: 2 } }],
  ['unset of what is missing', { a: 1 }, unset('b.c'), { a: 1 }],
  ['rename', { a: 1 }, { op: '$rename', path: 'a', to: 'b.c' }, { b: { c: 1 } }],
  ['rename onto another', { a: 1, b: 2 }, { op: '$rename', path: 'a', to: 'b' }, { b: 1 }],
  ['rename of what is missing', { b: 1 }, { op: '$rename', path: 'a', to: 'b' }, { b: 1 }],
  ['inc', { n: 1 }, inc('n', 2), { n: 3 }],
  ['inc of what is missing', {}, inc('n.today', 2), { n: { today: 2 } }],
  ['inc beyond 32 bits', { n: 2 ** 31 - 1 }, inc('n'), { n: 2 ** 31 }],
  ['inc by a fraction', { n: 1 }, inc('n', -0.5), { n: 0.5 }],
  ['mul', { n: 3 }, { op: '$mul', path: 'n', arg: 4 }, { n: 12 }],
  ['mul of what is missing', {}, { op: '$mul', path: 'n', arg: 4 }, { n: 0 }],
  ['min', { n: 3 }, { op: '$min', path: 'n', arg: 2 }, { n: 2 }],
  ['min of less', { n: 3 }, { op: '$min', path: 'n', arg: 4 }, { n: 3 }],
  ['max', { n: 3 }, { op: '$max', path: 'n', arg: 4 }, { n: 4 }],
  ['max of what is missing', {}, { op: '$max', path: 'n', arg: 4 }, { n: 4 }],
  ['push', { a: [1] }, push('a', 2, 3), { a: [1, 2, 3] }],
  ['push of an array', { a: [1] }, push('a', [2, 3]), { a: [1, [2, 3]] }],
  ['push onto what is missing', {}, push('a', { b: 1 }), { a: [{ b: 1 }] }],
  [
    'push that keeps the last',
    { a: [1, 2, 3] },
    { op: '$push', path: 'a', arg: [4], modifiers: { slice: -3 } },
    { a: [2, 3, 4] },
  ],
  [
    'push at the front',
    { a: [1, 2] },
    { op: '$push', path: 'a', arg: [0], modifiers: { position: 0 } },
    { a: [0, 1, 2] },
  ],
  [
    'push that sorts by a field',
    { a: [{ n: 3 }, { n: 1 }] },
    { op: '$push', path: 'a', arg: [{ n: 2 }], modifiers: { sort: { n: -1 }, slice: 2 } },
    { a: [{ n: 3 }, { n: 2 }] },
  ],
  ['addToSet', { a: [1] }, { op: '$addToSet', path: 'a', arg: [1, 2, 2] }, { a: [1, 2] }],
  ['pop', { a: [1, 2, 3] }, { op: '$pop', path: 'a', arg: 1 }, { a: [1, 2] }],
  ['pop from the front', { a: [1, 2, 3] }, { op: '$pop', path: 'a', arg: -1 }, { a: [2, 3] }],
  ['pull by comparison', { a: [1, 5, 9] }, { op: '$pull', path: 'a', comparator: '>=', arg: 5 }, { a: [1] }],
  ['pull in', { a: [1, 5, 9] }, { op: '$pull', path: 'a', comparator: 'in', arg: [9, 1, 2] }, { a: [5] }],
  [
    'pull by a field of the elements',
    { a: [{ b: 'x', n: 1 }, { b: 'y' }, { b: 'x', n: 2 }, {}] },
    pullBy('b', '=', 'x'),
    { a: [{ b: 'y' }, {}] },
  ],
  [
    'pull by a comparison of a field',
    { a: [{ n: 1 }, { n: 5 }, {}] },
    pullBy('n', '<', 5),
    { a: [{ n: 5 }, {}] },
  ],
  ['pull by a field in a list', { a: [{ n: 1 }, { n: 5 }] }, pullBy('n', 'in', [4, 5]), { a: [{ n: 1 }] }],
  ['pull by another field', { a: [{ n: 1 }, { n: 5 }, {}] }, pullBy('n', '!=', 1), { a: [{ n: 1 }] }],
  [
    'pull by a field further down',
    { a: [{ b: { c: 1 } }, { b: { c: 2 } }, { b: 1 }] },
    pullBy('b.c', '=', 1),
    { a: [{ b: { c: 2 } }, { b: 1 }] },
  ],
  ['pull by a field that is missing', { a: [{ n: 1 }, {}] }, pullBy('n', 'exists', false), { a: [{ n: 1 }] }],
  [
    'pull by a field leaves what is no object',
    { a: [1, 'x', null, { b: 'x' }] },
    pullBy('b', '=', 'x'),
    { a: [1, 'x', null] },
  ],
  [
    'pull by a field that equals an object',
    { a: [{ b: { x: 1 } }, { b: { x: 1, y: 2 } }, { b: 1 }] },
    pullBy('b', '=', { x: 1 }),
    { a: [{ b: { x: 1, y: 2 } }, { b: 1 }] },
  ],
  ['pull by a field of what is missing', {}, pullBy('b', '=', 1), {}],
  ['set under a number with a zero before it', { a: {} }, set('a.07', 1), { a: { '07': 1 } }],
  ['pullAll', { a: [1, 2, 1, 3] }, { op: '$pullAll', path: 'a', arg: [1, 3] }, { a: [2] }],
]

function pullBy(field: string, comparator: Comparator, arg: unknown): Operation {
  return { op: '$pull', path: 'a', field, comparator, arg }
}

const refusals: [title: string, operation: Operation][] = [
  ['inc of a string', inc('text')],
  ['mul of an array', { op: '$mul', path: 'list', arg: 2 }],
  ['push onto a string', push('text', 1)],
  ['addToSet of an object', { op: '$addToSet', path: 'object', arg: [1] }],
  ['pop of a string', { op: '$pop', path: 'text', arg: 1 }],
  ['pull by a field of a string', { ...pullBy('b', '=', 1), path: 'text' }],
  ['pullAll of a number', { op: '$pullAll', path: 'number', arg: [1] }],
  ['set below a string', set('text.length', 1)],
  ['set below a number', set('number.a.b', 1)],
  ['set of an element by a number with a zero before it', set('list.00', 1)],
  ['inc below a boolean', inc('object.flag.n')],
]

export function changing(test: Test): void {
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

  for (const [title, operation] of refusals) {
    test(`what MongoDB refuses is refused, and the path named: ${title}`, async store => {
      const fields = { text: 'hush-hush', list: ['hush-hush'], number: 12345, object: { flag: true } }
      const record = await aSession(store, fields)
      for (const answer of [undefined, { paths: ['text'], when: 'after' } as const]) {
        await assert.rejects(store.update(record.id, aChange(operation), answer), (error: Error) => {
          assert.doesNotMatch(error.message, /hush-hush|12345/, 'a stored value is told')
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
