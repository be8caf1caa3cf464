import type { SessionId } from '../ids.ts'
import type { Change } from '../language/change.ts'
import type { Path } from '../language/paths.ts'
import type { Fields } from '../language/values.ts'
import type { SessionRecord, Tombstone } from './record.ts'

/**
 * Where sessions live. Each method is one atomic step on one record.
 *
 * A record whose `expires` has come does not exist for any of them but `insert`, whether or not it is still stored. That
 * alone decides: `absolute` is kept with the rest, and whoever gives an `expires` has seen to it. A store that cannot answer rejects with `StoreUnavailableError`.
 */
export interface Store {
  /** Adds a record. Rejects with `IdTakenError` while any record, an ended one included, holds its id. */
  insert(record: SessionRecord): Promise<void>

  /** The whole record; a tombstone where the session was ended lately; `undefined` where there is none. */
  load(id: SessionId): Promise<SessionRecord | Tombstone | undefined>

  /** As `load`, with no more of the fields than the given paths. */
  read(id: SessionId, paths: readonly Path[]): Promise<Excerpt | Tombstone | undefined>

  /**
   * Applies all of `change` or none, and moves `rev`. An update never inserts.
   * `answer` says which fields to give back; without it the store gives back nothing, not even `rev`.
   * Rejects with `CommandError` where MongoDB would refuse an operation, with `SessionTooLargeError` where the fields
   * would become larger than `change.maxSize`.
   */
  update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome>

  /**
   * Ends a session for good, leaving `tombstone` until `until`. With `rev`, only while the record is at that revision.
   * True if this call ended it; a session that does not exist, or has ended, is not an error.
   */
  end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean>

  /** Removes the record, or what is left of it, without a trace. */
  delete(id: SessionId): Promise<void>

  /** The records whose field at `path` equals `value`, through an index. */
  find?(path: Path, value: unknown): AsyncIterable<SessionRecord>

  /** How many records there are, ended ones left out. */
  count?(): Promise<number>

  /**
   * Removes records whose time has come, and resolves to how many it removed. For stores whose database does not do so by itself:
   * they do it now and then, and this is for where no timer runs.
   */
  sweep?(): Promise<number>

  /** Prepares indexes, one by the field that names the user among them; may be called every time. */
  ensureIndex?(user?: Path): Promise<void>

  /**
   * Whether what `ensureIndex` prepares is there, whoever prepared it. Asked once, where sessions are stored and `ensureIndex`
   * was not called, to warn of it.
   */
  isIndexed?(user?: Path): Promise<boolean>

  /**
   * Tells how long callers wait for each call, milliseconds: a store may hold its driver to it, or warn of a driver that
   * goes on with what nobody waits for any longer.
   */
  useTimeout?(ms: number): void

  /** Lets go of what the store itself opened. */
  close?(): Promise<void>
}

/** Which fields an update gives back: as they were before it, or as it left them. */
export interface Answer {
  readonly paths: readonly Path[]
  readonly when: 'before' | 'after'
}

export interface Excerpt {
  readonly rev: number
  /** Nested as they are stored; a path that does not exist is absent. */
  readonly fields: Fields
}

/**
 * What became of a change: applied, with the revision it made and the fields asked for;
 * `'refused'`: a guard, or the revision, did not hold; `'ended'`: a tombstone stands there; `'absent'`: there is no such session.
 */
export type Outcome = Applied | 'refused' | 'ended' | 'absent'

export interface Applied {
  /**
   * The record's idle lifetime, where it is another than `whileMaxAge`: then all of the change was applied but its end, which
   * has not moved. Never there otherwise, whatever was asked.
   */
  readonly maxAge?: number
  /** Present if the caller asked for an answer. */
  readonly rev?: number
  readonly fields?: Fields
}
