import type { SessionId } from '../../ids.ts'
import { excerpt } from '../../language/excerpt.ts'
import type { Path } from '../../language/paths.ts'
import { type Fields, isDate, isPlain } from '../../language/values.ts'
import type { Loaded, Read } from '../../store/joining.ts'
import { FORM, type SessionRecord, type Tombstone } from '../../store/record.ts'
import type { Excerpt } from '../../store/store.ts'

/** The record or tombstone in a document. The filter that found the document has checked its mark and `expires`. */
export function loadedOf(found: Fields | undefined): Loaded {
  if (!found) return undefined
  return isTombstone(found) ? tombstoneOf(found) : recordOf(found)
}

/** The same for a document with a projection. */
export function readOf(found: Fields | undefined, paths: readonly Path[]): Read {
  if (!found) return undefined
  return isTombstone(found) ? tombstoneOf(found) : excerptOf(found, paths)
}

/** Cuts the fields to the paths: a projection returns more if a path leads through an array or a scalar. */
export function excerptOf({ rev, data }: Fields, paths: readonly Path[]): Excerpt {
  return { rev: revOf(rev), fields: isPlain(data) ? excerpt(data, paths) : {} }
}

/**
 * The record in a document. Only the mark and `expires` decide whether a document is a session, for every command alike. If the rest
 * was edited by hand, the visitor must stay signed in. So a wrong value is read as a valid one that does not extend the session's
 * life.
 */
function recordOf({ _id, created, expires, absolute, maxAge, rev, data }: Fields): SessionRecord {
  const now = Date.now()
  const idle = isDuration(maxAge) ? maxAge : undefined
  const end = isInRange(expires) ? expires : new Date(now + (idle ?? DAY))
  const life = idle ?? Math.max(1, end.getTime() - now)
  return {
    id: _id as SessionId,
    created: isInRange(created) ? created : new Date(end.getTime() - life),
    expires: end,
    ...(isInRange(absolute) && { absolute }),
    maxAge: life,
    rev: revOf(rev),
    fields: isPlain(data) ? data : {},
  }
}

/**
 * The values to set in a document before it can be changed: MongoDB cannot increment a string or set a field of an array.
 * `undefined` if nothing was edited by hand.
 */
export function repairsOf(found: Fields, record: SessionRecord): Fields | undefined {
  const { created, expires, maxAge, rev, fields: data } = record
  const repairs = Object.entries({ created, expires, maxAge, rev, data }).filter(
    ([name, value]) => found[name] !== value,
  )
  return repairs.length > 0 ? Object.fromEntries(repairs) : undefined
}

const DAY = 24 * 60 * 60 * 1000

/** A BSON date outside the range of JavaScript's dates does not count. */
function isInRange(value: unknown): value is Date {
  return isDate(value) && !Number.isNaN(value.getTime())
}

/** In whole milliseconds, and short enough that the session ends within the range of dates. */
function isDuration(ms: unknown): ms is number {
  return typeof ms === 'number' && Number.isInteger(ms) && ms > 0 && isInRange(new Date(Date.now() + ms))
}

/** The revision of a record with an invalid one: `$inc` counts an absent one as 0. Valid revisions begin at 1. */
export const NO_REV = 0

function revOf(rev: unknown): number {
  return typeof rev === 'number' && Number.isSafeInteger(rev) ? rev : NO_REV
}

/** As a MongoDB filter decides, for which an array equals each of its elements. */
function isTombstone({ v }: Fields): boolean {
  return v !== FORM && ![v].flat().map(Number).includes(FORM)
}

function tombstoneOf({ ended, next }: Fields): Tombstone {
  return { ended: isInRange(ended) ? ended : new Date(0), ...(typeof next === 'string' && { next }) }
}
