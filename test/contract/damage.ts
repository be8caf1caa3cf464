import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { IdTakenError } from '../../src/errors.ts'
import type { SessionId } from '../../src/ids.ts'
import type { Change } from '../../src/language/change.ts'
import type { SessionRecord } from '../../src/store/record.ts'
import type { Store } from '../../src/store/store.ts'
import {
  aChange,
  aSession,
  fieldsOf,
  guarded,
  inAnHour,
  inc,
  push,
  recordOf,
  set,
  together,
  unset,
} from './records.ts'

/** A store, and what another program can do to a session that has the fields `user`, `n` and `note`. */
export interface DamagedStore {
  readonly store: Store
  /** What makes the whole session unreadable. */
  readonly ofSession: Readonly<Record<string, Damage>>
  /** What makes `note` unreadable. A change of other fields need not notice that. */
  readonly ofNote?: Readonly<Record<string, Damage>>
}

export type Damage = (id: SessionId) => Promise<unknown>

const fields = { user: 'ada', n: 1, note: 'tea' }

/** Changes that servers make by themselves where they can, and others. */
const changesOfNote: [what: string, change: Change][] = [
  ['inc', aChange(inc('note'))],
  ['push', aChange(push('note', 'tea'))],
  ['max', aChange({ op: '$max', path: 'note', arg: 7 })],
  ['set below it', aChange(set('note.a', 1))],
  ['a guard', guarded({ path: 'note', comparator: 'in', arg: ['tea'] }, set('n', 2))],
]

const changesOfOthers: [what: string, change: Change][] = [
  ['set', aChange(set('n', 2))],
  ['inc', aChange(inc('n'))],
  ['push', aChange(push('list', 'tea'))],
  ['unset', aChange(unset('n'))],
  ['touch', { ...aChange(), expires: inAnHour(), maxAge: 5000 }],
  ['extend', { ...aChange(inc('n')), expires: inAnHour(), whileMaxAge: 3_600_000 }],
  ['a guard', guarded({ path: 'n', comparator: '>=', arg: 1 }, inc('n'))],
]

/** What a store promises to which another program writes too. */
export function damage(open: (t: TestContext) => Promise<DamagedStore>): void {
  test('a damaged record is absent for every call, and those beside it are found', async t => {
    const { store, ofSession, ofNote = {} } = await open(t)
    await store.ensureIndex?.('user')
    const healthy = await together(2, () => aSession(store, fields))
    for (const [what, damaged] of [...Object.entries(ofSession), ...Object.entries(ofNote)]) {
      const isOfNote = what in ofNote
      const record = await aSession(store, fields)
      const { id } = record
      await damaged(id)
      assert.equal(await store.load(id), undefined, what)
      assert.equal(await store.read(id, isOfNote ? ['note', 'n'] : ['n']), undefined, what)
      for (const [change, made] of isOfNote ? changesOfNote : [...changesOfNote, ...changesOfOthers]) {
        for (const answer of [undefined, { paths: ['note', 'n'], when: 'after' } as const]) {
          assert.equal(await store.update(id, made, answer), 'absent', `${what}, ${change}`)
        }
      }
      await assert.rejects(store.insert(record), IdTakenError)
      assert.deepEqual(await found(store), idsOf(healthy), what)
      await store.delete(id)
      await store.insert(record)
      assert.deepEqual(await recordOf(store, id), record)
      await store.delete(id)
    }
  })

  test('calls that are joined with those for a damaged record come to what they come to alone', async t => {
    const { store, ofSession, ofNote = {} } = await open(t)
    const healthy = await together(20, index => aSession(store, { ...fields, n: index }))
    for (const [what, damaged] of Object.entries({ ...ofSession, ...ofNote })) {
      const record = await aSession(store, fields)
      await damaged(record.id)
      const ids = [...healthy, record, ...healthy].map(({ id }) => id)
      const expected = [...healthy, undefined, ...healthy]
      assert.deepEqual(await Promise.all(ids.map(id => store.load(id))), expected, what)
      const read = await Promise.all(ids.map(id => store.read(id, ['n', 'note'])))
      assert.deepEqual(
        read.map(one => one && 'fields' in one && one.fields),
        expected.map(one => one && { n: one.fields.n, note: 'tea' }),
        what,
      )
      const changes = Array.from({ length: 6 }, () => changesOfNote.map(([, change]) => change)).flat()
      const outcomes = await Promise.all(changes.map(change => store.update(record.id, change)))
      assert.deepEqual(new Set(outcomes), new Set(['absent']), what)
      await store.delete(record.id)
    }
  })

  test('a damaged field that a change replaces or removes fails no change beside it', async t => {
    const { store, ofNote = {} } = await open(t)
    const before = { paths: ['note'], when: 'before' } as const
    for (const [what, damaged] of Object.entries(ofNote)) {
      for (const healing of [set('note', 'tea'), unset('note')]) {
        const { id } = await aSession(store, fields)
        await damaged(id)
        const outcomes = await Promise.all([
          store.update(id, aChange(inc('n'))),
          store.update(id, aChange(inc('n'), healing)),
          store.update(id, aChange(inc('n'), healing)),
          store.update(id, aChange(inc('n'))),
        ])
        for (const outcome of outcomes) assert.ok(outcome === 'absent' || typeof outcome === 'object', what)
      }
      const { id } = await aSession(store, fields)
      await damaged(id)
      assert.equal(await store.update(id, aChange(unset('note')), before), 'absent', what)
    }
  })

  test('sessions are indexed by user though some are damaged', async t => {
    const { store, ofSession, ofNote = {} } = await open(t)
    const healthy = await together(3, () => aSession(store, fields))
    for (const damaged of Object.values({ ...ofSession, ...ofNote })) {
      await damaged((await aSession(store, fields)).id)
    }
    // By the very field that is damaged, too.
    for (const path of ['note', 'user']) await store.ensureIndex?.(path)
    assert.deepEqual(await found(store), idsOf(healthy))
    for (const { id } of healthy) assert.deepEqual(await fieldsOf(store, id), fields)
  })
}

async function found(store: Store): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of store.find?.('user', 'ada') ?? []) ids.push(id)
  return ids.sort()
}

function idsOf(records: readonly SessionRecord[]): string[] {
  return records.map(({ id }) => id).sort()
}
