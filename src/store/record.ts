import type { SessionId } from '../ids.ts'
import type { Change } from '../language/change.ts'
import type { Fields } from '../language/values.ts'

/** What a store keeps of a session. */
export interface SessionRecord {
  readonly id: SessionId
  readonly created: Date
  /** From this instant on the session does not exist, whether or not its record is still there. */
  readonly expires: Date
  /** The absolute limit. `expires` is never later: who inserts a record, or moves its end, sees to it. */
  readonly absolute?: Date
  /** The idle lifetime, milliseconds. */
  readonly maxAge: number
  /** Moves with every write. */
  readonly rev: number
  readonly fields: Fields
}

/** What `destroy` and `regenerate` leave for a while, so that late requests are told from new visitors. */
export interface Tombstone {
  readonly ended: Date
  /** Only after `regenerate`; with `grace` it lets who holds the old secret derive the new one. */
  readonly next?: string
}

/** The form of a record that is readable in the database, and of what is left of one that has ended. */
export const FORM = 2
export const ENDED_FORM = -2

/** A record as stores with named columns or keys write it; readable in the database. */
export interface StoredRecord {
  _id: SessionId
  /** Whose it is: what has another is none of ours. */
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

/** What an update has to say of a record's lifetime: that it is another than the change goes by, so that its end stays. */
export function otherLifetime(
  { whileMaxAge }: Change,
  maxAge: number,
): { readonly maxAge: number } | undefined {
  return whileMaxAge === undefined || whileMaxAge === maxAge ? undefined : { maxAge }
}
