import assert from 'node:assert/strict'
import type { Operation } from '../../language/change.ts'
import type { Fields } from '../../language/values.ts'
import type { Answer } from '../../store/store.ts'
import type { Test } from './case.ts'
import { aChange, aSession, fieldsOf, guarded, inAnHour, inc, push, set, unset } from './records.ts'

const cases: {
  readonly title: string
  readonly fields: Fields
  readonly operations: Operation[]
  readonly paths: string[]
  readonly before: Fields
  readonly after: Fields
}[] = [
  {
    title: 'of a field that was there',
    fields: { n: 1, other: 'x' },
    operations: [inc('n')],
    paths: ['n'],
    before: { n: 1 },
    after: { n: 2 },
  },
  {
    title: 'of a field that is new',
    fields: { other: 'x' },
    operations: [set('n', 1)],
    paths: ['n'],
    before: {},
    after: { n: 1 },
  },
  {
    title: 'of a field that is gone',
    fields: { n: 1, other: 'x' },
    operations: [unset('n')],
    paths: ['n'],
    before: { n: 1 },
    after: {},
  },
  {
    title: 'of a field inside an object',
    fields: { prefs: { lang: 'en', theme: { name: 'dark', size: 1 } }, other: 'x' },
    operations: [set('prefs.theme.name', 'light')],
    paths: ['prefs.theme.name'],
    before: { prefs: { theme: { name: 'dark' } } },
    after: { prefs: { theme: { name: 'light' } } },
  },
  {
    title: 'of a field below what is new',
    fields: { prefs: { lang: 'en' } },
    operations: [set('prefs.theme.name', 'light')],
    paths: ['prefs.theme.name'],
    before: { prefs: {} },
    after: { prefs: { theme: { name: 'light' } } },
  },
  {
    title: 'of several fields',
    fields: { a: 1, b: { c: [1], d: 1 }, other: 'x' },
    operations: [inc('a'), push('b.c', 2)],
    paths: ['a', 'b.c'],
    before: { a: 1, b: { c: [1] } },
    after: { a: 2, b: { c: [1, 2] } },
  },
  {
    title: 'of a renamed field, under both names',
    fields: { a: 1, other: 'x' },
    operations: [{ op: '$rename', path: 'a', to: 'b' }],
    paths: ['a', 'b'],
    before: { a: 1 },
    after: { b: 1 },
  },
  {
    title: 'of a field that the change does not touch',
    fields: { n: 1, other: 'x' },
    operations: [inc('n')],
    paths: ['other'],
    before: { other: 'x' },
    after: { other: 'x' },
  },
  {
    title: 'of an element of an array, with its whole array',
    fields: { list: [1, { n: 2 }], other: [1] },
    operations: [inc('list.1.n')],
    paths: ['list.1.n'],
    before: { list: [1, { n: 2 }] },
    after: { list: [1, { n: 3 }] },
  },
  {
    title: 'of an object under a number',
    fields: { rooms: { 12: 1, 13: 1 } },
    operations: [inc('rooms.12')],
    paths: ['rooms.12'],
    before: { rooms: { 12: 1 } },
    after: { rooms: { 12: 2 } },
  },
  {
    title: 'of no field, which tells the revision',
    fields: { n: 1 },
    operations: [inc('n')],
    paths: [],
    before: {},
    after: {},
  },
]

export function answers(test: Test): void {
  test('nothing is given back where nothing is asked, not even the revision', async store => {
    const { id } = await aSession(store, { n: 1 })
    assert.deepEqual(await store.update(id, aChange(inc('n'))), {})
    assert.deepEqual(await store.update(id, { ...aChange(), expires: inAnHour(), maxAge: 5 }), {})
  })

  for (const { title, fields, operations, paths, ...expected } of cases) {
    for (const when of ['before', 'after'] as const) {
      test(`an answer gives the fields as they were ${when} the change: ${title}`, async store => {
        const { id } = await aSession(store, fields)
        const answer = await store.update(id, aChange(...operations), { paths, when })
        assert.deepEqual(answer, { rev: 2, fields: expected[when] })
      })
    }
  }

  test('an answer comes with the revision that its change made', async store => {
    const { id } = await aSession(store, {}, { rev: 7 })
    const answers: Answer[] = [
      { paths: ['n'], when: 'after' },
      { paths: ['n'], when: 'before' },
      { paths: [], when: 'after' },
    ]
    for (const [index, answer] of answers.entries()) {
      const outcome = await store.update(id, aChange(inc('n')), answer)
      assert.ok(typeof outcome === 'object')
      assert.equal(outcome.rev, 8 + index)
    }
  })

  test('a guard is reported in words, whatever was asked', async store => {
    const { id } = await aSession(store, { n: 1 })
    const guard = { path: 'n', comparator: '>', arg: 1 } as const
    for (const when of ['before', 'after'] as const) {
      assert.equal(await store.update(id, guarded(guard, inc('n')), { paths: ['n'], when }), 'refused')
    }
    assert.deepEqual(await fieldsOf(store, id), { n: 1 })
  })
}
