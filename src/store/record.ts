import type { SessionId } from '../ids.ts'
import type { Change } from '../language/change.ts'
import type { Fields } from '../language/values.ts'

/** What a store keeps of a session. */
export interface SessionRecord {
  readonly id: SessionId
  readonly created: Date
  /** From this instant on the session does not exist, even if its record is still stored. */
  readonly expires: Date
  /** The absolute limit. `expires` is never later: the callers of `insert` and `update` make sure of it. */
  readonly absolute?: Date
  /** The idle lifetime, milliseconds. */
  readonly maxAge: number
  /** The revision. Every write increments it. */
  readonly rev: number
  readonly fields: Fields
}

/** What `destroy` and `regenerate` leave for a while, so that a late request with the old cookie is not taken for a new visitor. */
export interface Tombstone {
  readonly ended: Date
  /** Only after `regenerate`. With `grace`, a request with the old secret can derive the new secret from it. */
  readonly next?: string
}

/** The last instant that a `Date` can hold, milliseconds since the epoch. A stored instant may not be later. */
export const LAST_DATE = 8.64e15

/** Versions of the stored form: of a record, and of a tombstone. */
export const FORM = 2
export const ENDED_FORM = -2

/** A record as stores with named columns or keys write it; readable in the database. */
export interface StoredRecord {
  _id: SessionId
  /** Marks records of this library: a record with another value is not one of them. */
  v: typeof FORM
  created: Date
  expires: Date
  absolute?: Date
  maxAge: number
  rev: number
  data: Fields
}

export function isEnded(found: object): found is Tombstone {
  return 'ended' in found
}

export function toStored({ id, fields, ...rest }: SessionRecord): StoredRecord {
  return { _id: id, v: FORM, ...rest, data: fields }
}

/** When a session's idle life ends, milliseconds since the epoch, and how long it is. */
type Life = { readonly expires: number; readonly maxAge: number }

/** The idle life of a record after a change. */
export function lifeAfter(life: Life, change: Change): Life {
  const { expires, maxAge } = change
  if (maxAge !== undefined) return { expires: expires?.getTime() ?? life.expires, maxAge }
  if (!expires || otherLifetime(change, life.maxAge)) return life
  return { expires: Math.max(life.expires, expires.getTime()), maxAge: life.maxAge }
}

/** The record's idle lifetime, if it differs from the one that the change assumes. Then the change must not move `expires`. */
export function otherLifetime(
  { whileMaxAge }: Change,
  maxAge: number,
): { readonly maxAge: number } | undefined {
  return whileMaxAge === undefined || whileMaxAge === maxAge ? undefined : { maxAge }
}
