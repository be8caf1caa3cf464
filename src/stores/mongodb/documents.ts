import type { Loaded, Read } from '../../core/joining.ts'
import type { Path } from '../../core/paths.ts'
import { excerpt } from '../../core/picture.ts'
import { fromStored, isStoredRecord, type Tombstone } from '../../core/record.ts'
import type { Excerpt } from '../../core/store.ts'
import { type Fields, isPlain } from '../../core/values.ts'

/** What a stored document is to a session: one that is no record of ours, or whose time has come, is none. */
export function loadedOf(found: unknown, now: number): Loaded {
  if (isTombstone(found)) return isAfter(found.expires, now) ? tombstoneOf(found) : undefined
  return isStoredRecord(found) && isAfter(found.expires, now) ? fromStored(found) : undefined
}

function isAfter(expires: unknown, now: number): boolean {
  return expires instanceof Date && expires.getTime() > now
}

function isTombstone(found: unknown): found is Tombstone & Fields {
  return isPlain(found) && found.ended instanceof Date
}

function tombstoneOf({ ended, next }: Tombstone): Tombstone {
  return { ended, ...(typeof next === 'string' && { next }) }
}

/** What a projection leaves of a document that is a record of ours, or a tombstone. */
export function readOf(found: unknown, paths: readonly Path[]): Read {
  if (isTombstone(found)) return tombstoneOf(found)
  return isPlain(found) ? excerptOf(found, paths) : undefined
}

/** A projection gives more than its paths where an array or a scalar is on the way. */
export function excerptOf({ rev, data }: Fields, paths: readonly Path[]): Excerpt {
  return { rev: Number(rev), fields: isPlain(data) ? excerpt(data, paths) : {} }
}
