import type { SessionId } from '../ids.ts'
import type { Change } from '../language/change.ts'
import type { Path } from '../language/paths.ts'
import type { Fields } from '../language/values.ts'
import type { SessionRecord, Tombstone } from './record.ts'

/**
 * Where sessions live. Each method that takes an id is one atomic step on that record.
 *
 * A record whose `expires` has passed does not exist for any method except `insert`, even if it is still stored. A store looks at
 * `expires` alone: it only stores `absolute`, and its caller never gives an `expires` after that limit. A store that cannot answer
 * rejects with `StoreUnavailableError`.
 */
export interface Store {
  /** Adds a record. Rejects with `IdTakenError` while any record, an ended one included, holds its id. */
  insert(record: SessionRecord): Promise<void>

  /** The whole record; a tombstone if the session ended recently; `undefined` if there is neither. */
  load(id: SessionId): Promise<SessionRecord | Tombstone | undefined>

  /** As `load`, but only the fields at the given paths. */
  read(id: SessionId, paths: readonly Path[]): Promise<Excerpt | Tombstone | undefined>

  /**
   * Applies all of `change` or none of it, and increments `rev`. An update never inserts.
   * `answer` names the fields to return. Without it the store returns neither fields nor `rev`.
   * Rejects with `CommandError` if MongoDB would refuse an operation, and with `SessionTooLargeError` if the fields would become
   * larger than `change.maxSize`.
   */
  update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome>

  /**
   * Ends a session for good: replaces the record by `tombstone`, which exists until `until`. With `rev`, only if the record is at
   * that revision. Resolves to whether this call ended it. A session that is absent or has ended is not an error.
   */
  end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean>

  /** Removes the record or its tombstone, and leaves nothing. */
  delete(id: SessionId): Promise<void>

  /** The records whose field at `path` equals `value`, through an index. */
  find?(path: Path, value: unknown): AsyncIterable<SessionRecord>

  /** The number of records that have neither ended nor expired. */
  count?(): Promise<number>

  /**
   * Removes expired records and tombstones, and resolves to the number removed. For stores whose database does not do this itself.
   * Such a store also does it on a timer; this method is for processes that do not live long enough for one.
   */
  sweep?(): Promise<number>

  /** Prepares indexes, including one on the field `user`. It may be called at every start. */
  ensureIndex?(user?: Path): Promise<void>

  /**
   * Whether what `ensureIndex` prepares exists, even if another process prepared it. Called once, if a session is stored before
   * `ensureIndex` was called, to warn if not.
   */
  isIndexed?(user?: Path): Promise<boolean>

  /**
   * Tells the store how long callers wait for each call, in milliseconds. A store may pass it to its driver, or warn if its driver
   * retries for longer.
   */
  useTimeout?(ms: number): void

  /** Closes what the store itself opened. */
  close?(): Promise<void>
}

/** Which fields an update returns, and whether as they were before it or after it. */
export interface Answer {
  readonly paths: readonly Path[]
  readonly when: 'before' | 'after'
}

export interface Excerpt {
  readonly rev: number
  /** Nested as in the record. A path that does not exist is absent. */
  readonly fields: Fields
}

/**
 * The result of a change. An object: it was applied. `'refused'`: a guard or the revision did not hold. `'ended'`: there is a
 * tombstone. `'absent'`: there is no such session.
 */
export type Outcome = Applied | 'refused' | 'ended' | 'absent'

export interface Applied {
  /**
   * The record's idle lifetime, only if it differs from `whileMaxAge`: then the change was applied without its `expires`. Absent
   * in all other cases, even if an answer was asked for.
   */
  readonly maxAge?: number
  /** Present if the caller asked for an answer. */
  readonly rev?: number
  readonly fields?: Fields
}
