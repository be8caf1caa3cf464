import type { Loaded } from '../../core/joining.ts'
import type { Path } from '../../core/paths.ts'
import { excerpt } from '../../core/picture.ts'
import { fromStored, isStoredRecord, type Tombstone } from '../../core/record.ts'
import type { Excerpt } from '../../core/store.ts'
import { type Fields, isPlain } from '../../core/values.ts'

/** What a stored document is to a session: one that is no record of ours is none. */
export function loadedOf(found: unknown): Loaded {
  if (isTombstone(found)) return tombstoneOf(found)
  return isStoredRecord(found) ? fromStored(found) : undefined
}

export function isTombstone(found: unknown): found is Tombstone {
  return isPlain(found) && found.ended instanceof Date
}

export function tombstoneOf({ ended, next }: Tombstone): Tombstone {
  return { ended, ...(typeof next === 'string' && { next }) }
}

/** A projection gives more than its paths where an array or a scalar is on the way. */
export function excerptOf({ rev, data }: Fields, paths: readonly Path[]): Excerpt {
  return { rev: Number(rev), fields: isPlain(data) ? excerpt(data, paths) : {} }
}
