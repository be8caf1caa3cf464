import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change } from '../../src/language/change.ts'
import type { Fields } from '../../src/language/values.ts'
import type { Picture } from '../../src/session/picture.ts'
import { isOver, isStored, next, type SessionEvent, type SessionState } from '../../src/session/state.ts'
import type { Answer, Applied } from '../../src/store/store.ts'

const HOUR = 3_600_000

function aPicture(fields: Fields = {}, rev = 1): Picture {
  return { fields, rev, created: new Date(0), expires: new Date(HOUR), maxAge: HOUR }
}

const id = 'id'
const secret = 'secret'
const maxAge = HOUR
const limit = 9 * HOUR
const ours = { secret, id, maxAge }

/** One state of each kind, and `unread`: the store has the session, and it was not read whole. */
const states = {
  new: { kind: 'new', secret: undefined, maxAge },
  presented: { kind: 'presented', ...ours, absolute: limit },
  unread: { kind: 'live', ...ours, absolute: limit, picture: undefined, isStale: false },
  live: { kind: 'live', ...ours, absolute: limit, picture: aPicture({ a: 1 }), isStale: false },
  late: { kind: 'late', ...ours, isReplaced: true },
  ended: { kind: 'ended', ...ours, isReplaced: false },
  destroyed: { kind: 'destroyed', id, maxAge },
} satisfies Record<string, SessionState>

type Name = keyof typeof states

const record = { id, ...aPicture({ b: 2 }, 5), maxAge: 2 * HOUR }
const ended = new Date(0)
const usual = { isVisitors: true, maxAge: 7 }
const change: Change = { guards: [], operations: [{ op: '$inc', path: 'a', arg: 1 }] }

const events = {
  planned: { type: 'planned', secret: 'other' },
  'given a lifetime': { type: 'given a lifetime', maxAge: 7 },
  stored: {
    type: 'stored',
    secret: 'other',
    id: 'another',
    picture: aPicture(),
    isAlike: true,
    isShared: false,
  },
  switched: { type: 'switched', secret: 'other', id: 'another', isRotated: false },
  found: { type: 'found', record },
  answered: { type: 'answered' },
  written: { type: 'written', change, applied: {}, answer: undefined },
  outdated: { type: 'outdated' },
  missing: { type: 'missing', tombstone: undefined, ...usual },
  'missing, with a tombstone': { type: 'missing', tombstone: { ended }, ...usual },
  'missing, replaced': { type: 'missing', tombstone: { ended, next: 'next' }, ...usual },
  'missing, opened by its id': { type: 'missing', tombstone: undefined, isVisitors: false, maxAge: 7 },
  destroyed: { type: 'destroyed', tombstone: undefined },
  'destroyed, by another before': { type: 'destroyed', tombstone: { ended } },
  'destroyed, replaced before': { type: 'destroyed', tombstone: { ended, next: 'next' } },
  'end reported': { type: 'end reported' },
  forgotten: { type: 'forgotten' },
} satisfies Record<string, SessionEvent>

/** The kind of the next state; `=`: the very same state. */
const table: Record<keyof typeof events, Record<Name, SessionState['kind'] | '='>> = {
  planned: row('new', '=', '=', '=', '=', '=', '='),
  'given a lifetime': row('new', '=', '=', '=', '=', '=', '='),
  stored: row('live', 'live', 'live', 'live', 'live', 'live', 'live'),
  switched: row('presented', 'presented', 'live', 'live', '=', '=', '='),
  found: row('=', 'live', 'live', 'live', '=', '=', '='),
  answered: row('=', 'live', '=', '=', '=', '=', '='),
  written: row('=', 'live', 'live', 'live', '=', '=', '='),
  outdated: row('=', '=', 'live', 'live', '=', '=', '='),
  missing: row('=', 'new', 'ended', 'ended', '=', '=', '='),
  'missing, with a tombstone': row('=', 'late', 'ended', 'ended', '=', '=', '='),
  'missing, replaced': row('=', 'late', 'ended', 'ended', '=', '=', '='),
  'missing, opened by its id': row('=', 'ended', 'ended', 'ended', '=', '=', '='),
  destroyed: row('=', 'destroyed', 'destroyed', 'destroyed', '=', '=', '='),
  'destroyed, by another before': row('=', 'late', 'late', 'late', '=', '=', '='),
  'destroyed, replaced before': row('=', 'late', 'late', 'late', '=', '=', '='),
  'end reported': row('=', '=', '=', '=', '=', 'late', '='),
  forgotten: row('new', 'new', 'new', 'new', 'new', 'new', 'new'),
}

function row<T>(...cells: [T, T, T, T, T, T, T]): Record<Name, T> {
  const [none, presented, unread, live, late, ended, destroyed] = cells
  return { new: none, presented, unread, live, late, ended, destroyed }
}

for (const [name, event] of Object.entries(events)) {
  test(`a session of each kind, once it is ${name}`, () => {
    for (const [before, state] of Object.entries(states)) {
      const expected = table[name as keyof typeof events][before as Name]
      const after = next(state, event)
      if (expected === '=') assert.equal(after, state, before)
      else assert.equal(after.kind, expected, before)
    }
  })
}

test('a session is stored, over, or new', () => {
  const kinds = Object.values(states)
  assert.deepEqual(
    kinds.filter(state => Number(isStored(state)) + Number(isOver(state)) !== 1),
    [states.new],
  )
})

test('a new session keeps its secret and its lifetime until it is stored', () => {
  const planned = next(next(states.new, events.planned), events['given a lifetime'])
  assert.deepEqual(planned, { kind: 'new', secret: 'other', maxAge: 7 })
  const picture = { ...aPicture(), absolute: new Date(limit) }
  assert.deepEqual(next(planned, { ...events.stored, picture, isAlike: false }), {
    kind: 'live',
    secret: 'other',
    id: 'another',
    maxAge,
    absolute: limit,
    picture,
    isStale: true,
  })
})

test('a session that was read has the lifetime and the limit of its record', () => {
  const absolute = new Date(8 * HOUR)
  assert.deepEqual(next(states.presented, { type: 'found', record: { ...record, absolute } }), {
    ...states.live,
    maxAge: 2 * HOUR,
    absolute: 8 * HOUR,
    picture: { ...record, absolute },
  })
  assert.deepEqual(next(states.presented, events.found), {
    ...states.live,
    maxAge: 2 * HOUR,
    absolute: undefined,
    picture: record,
  })
})

test('a limit that was moved before the end of a session moves nothing', () => {
  const found = next(states.presented, { type: 'found', record: { ...record, absolute: new Date(1) } })
  assert.equal(found.kind === 'live' && found.absolute, HOUR)
})

test('whoever goes on in another session has its secret and its id', () => {
  for (const state of [states.presented, states.live]) {
    assert.deepEqual(next(state, events.switched), { ...state, secret: 'other', id: 'another' })
  }
})

test('a session that has ended has the lifetime of new ones, and tells whether another took its place', () => {
  const { missing, 'missing, replaced': replaced } = events
  assert.deepEqual(next(states.presented, missing), { kind: 'new', secret: undefined, maxAge: 7 })
  assert.deepEqual(next(states.live, missing), { ...states.ended, maxAge: 7 })
  assert.deepEqual(next(states.presented, replaced), { ...states.late, maxAge: 7 })
  assert.deepEqual(next(states.live, replaced), { ...states.ended, maxAge: 7, isReplaced: true })
  assert.deepEqual(next({ ...states.ended, isReplaced: true }, events['end reported']), states.late)
})

interface Write {
  readonly applied: Applied
  readonly change?: Change
  readonly answer?: Answer
}

function written(state: SessionState, { applied, change: sent = change, answer }: Write) {
  const after = next(state, { type: 'written', change: sent, applied, answer })
  assert.equal(after.kind, 'live')
  return after.kind === 'live' ? after : states.live
}

test('a picture goes on by one revision where the answer tells what the change left', () => {
  const answer: Answer = { paths: ['a'], when: 'after' }
  const after = written(states.live, { applied: { rev: 2, fields: { a: 2 } }, answer })
  assert.deepEqual([after.picture, after.isStale], [aPicture({ a: 2 }, 2), false])
  assert.deepEqual(states.live.picture, aPicture({ a: 1 }))
})

test('a picture goes on by one revision where the field that was there before was removed', () => {
  const taken: Change = { guards: [], operations: [{ op: '$unset', path: 'a' }] }
  const answer: Answer = { paths: ['a'], when: 'before' }
  const after = written(states.live, { applied: { rev: 2, fields: { a: 1 } }, change: taken, answer })
  assert.deepEqual([after.picture, after.isStale], [aPicture({}, 2), false])
})

test('a picture is stale once a revision was missed, or nothing was asked back', () => {
  const answer: Answer = { paths: ['a'], when: 'after' }
  for (const write of [{ applied: { rev: 3, fields: { a: 3 } }, answer }, { applied: {} }]) {
    const after = written(states.live, write)
    assert.deepEqual([after.picture, after.isStale], [aPicture({ a: 1 }), true])
  }
  const again = written({ ...states.live, isStale: true }, { applied: { rev: 2, fields: { a: 2 } }, answer })
  assert.equal(again.isStale, true)
})

test('a change that extends the session moves the end of its picture', () => {
  const answer: Answer = { paths: [], when: 'after' }
  const extending: Change = { guards: [], operations: [], expires: new Date(3 * HOUR), maxAge: 2 * HOUR }
  const after = written(states.live, { applied: { rev: 2, fields: {} }, change: extending, answer })
  assert.equal(after.maxAge, 2 * HOUR)
  assert.deepEqual(after.picture, { ...aPicture({ a: 1 }, 2), expires: new Date(3 * HOUR), maxAge: 2 * HOUR })
})

test('a lifetime that others have given the session is its lifetime, and its end is to be read', () => {
  const extending: Change = { guards: [], operations: [], expires: new Date(3 * HOUR), whileMaxAge: maxAge }
  const answer: Answer = { paths: [], when: 'after' }
  const after = written(states.live, {
    applied: { rev: 2, fields: {}, maxAge: 5 },
    change: extending,
    answer,
  })
  assert.deepEqual([after.maxAge, after.isStale], [5, true])
  assert.deepEqual(after.picture?.expires, new Date(HOUR))
})
