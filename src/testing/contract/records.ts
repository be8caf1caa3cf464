import assert from 'node:assert/strict'
import { CommandError } from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import { idOf, newSecret } from '../../ids.ts'
import type { Change, Guard, Operation } from '../../language/change.ts'
import type { Fields } from '../../language/values.ts'
import type { SessionRecord, Tombstone } from '../../store/record.ts'
import type { Outcome, Store } from '../../store/store.ts'

const HOUR = 3_600_000

/** A new session's record under an id of its own, good for an hour. */
export function aRecord(fields: Fields = {}, rest: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id: idOf(newSecret()),
    created: new Date(),
    expires: inAnHour(),
    maxAge: HOUR,
    rev: 1,
    fields,
    ...rest,
  }
}

/** A stored session. */
export async function aSession(
  store: Store,
  fields: Fields = {},
  rest: Partial<SessionRecord> = {},
): Promise<SessionRecord> {
  const record = aRecord(fields, rest)
  await store.insert(record)
  return record
}

/** A session that has been ended, and its tombstone. */
export async function anEndedSession(
  store: Store,
  fields: Fields = {},
): Promise<{ id: SessionId; tombstone: Tombstone }> {
  const { id } = await aSession(store, fields)
  const tombstone = { ended: new Date() }
  await store.end(id, tombstone, inAnHour())
  return { id, tombstone }
}

export async function recordOf(store: Store, id: SessionId): Promise<SessionRecord> {
  const found = await store.load(id)
  assert.ok(found, 'the session is not there')
  assert.ok(!('ended' in found), 'the session has ended')
  return found
}

export async function fieldsOf(store: Store, id: SessionId): Promise<Fields> {
  return (await recordOf(store, id)).fields
}

export function aChange(...operations: Operation[]): Change {
  return { guards: [], operations }
}

export function guarded(guard: Guard | Guard[], ...operations: Operation[]): Change {
  return { guards: [guard].flat(), operations }
}

export function set(path: string, arg: unknown): Operation {
  return { op: '$set', path, arg }
}

export function unset(path: string): Operation {
  return { op: '$unset', path }
}

export function inc(path: string, arg: unknown = 1): Operation {
  return { op: '$inc', path, arg }
}

export function push(path: string, ...arg: unknown[]): Operation {
  return { op: '$push', path, arg, modifiers: {} }
}

export function isCommandErrorAt(path: string): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof CommandError, `not a CommandError: ${String(error)}`)
    assert.equal(error.path, path)
    return true
  }
}

export function inAnHour(): Date {
  return new Date(Date.now() + HOUR)
}

export function aSecondAgo(): Date {
  return new Date(Date.now() - 1000)
}

/** Soon enough to wait for, late enough for a session to be stored first. */
export function soon(): Date {
  return new Date(Date.now() + 60)
}

/** What has to be done before an end that is near; anew with one that is farther off, where the machine was too slow. */
export async function beforeItsEnd<T>(act: (end: Date) => Promise<T>): Promise<{ end: Date; done: T }> {
  for (let ms = 60; ; ms *= 2) {
    const end = new Date(Date.now() + ms)
    const done = await act(end)
    if (Date.now() < end.getTime()) return { end, done }
  }
}

/** A session whose end, which was near, was moved an hour away in time. `outcome`: what the change was told. */
export async function anExtendedSession(
  store: Store,
): Promise<{ end: Date; record: SessionRecord; outcome: Outcome }> {
  let late: SessionId | undefined
  const { end, done } = await beforeItsEnd(async near => {
    // It may have been extended all the same.
    if (late !== undefined) await store.delete(late)
    const record = await aSession(store, { a: 1 }, { expires: near })
    late = record.id
    const expires = inAnHour()
    const outcome = await store.update(record.id, { ...aChange(), expires })
    return { record: { ...record, expires, rev: 2 }, outcome }
  })
  return { end, ...done }
}

/** Starts all at once. */
export function together<T>(count: number, start: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => start(index)))
}
