import { types } from 'node:util'
import type { SessionId } from '../../ids.ts'
import { excerpt } from '../../language/excerpt.ts'
import type { Path } from '../../language/paths.ts'
import { type Fields, isPlain } from '../../language/values.ts'
import type { Loaded, Read } from '../../store/joining.ts'
import { FORM, type SessionRecord, type Tombstone } from '../../store/record.ts'
import type { Excerpt } from '../../store/store.ts'

/** What a document that a filter has found is to a session. The filter has decided that it is one of ours, and stands. */
export function loadedOf(found: Fields | undefined): Loaded {
  if (!found) return undefined
  return isTombstone(found) ? tombstoneOf(found) : recordOf(found)
}

/** What a projection leaves of it. */
export function readOf(found: Fields | undefined, paths: readonly Path[]): Read {
  if (!found) return undefined
  return isTombstone(found) ? tombstoneOf(found) : excerptOf(found, paths)
}

/** A projection gives more than its paths where an array or a scalar is on the way. */
export function excerptOf({ rev, data }: Fields, paths: readonly Path[]): Excerpt {
  return { rev: revOf(rev), fields: isPlain(data) ? excerpt(data, paths) : {} }
}

/**
 * The record with all that a session needs. Mark and `expires` alone decide what is one, so that it is one to every command:
 * what somebody's hand has made of the rest must not make a stranger of a visitor whose changes are acknowledged. So what
 * cannot be is taken for what comes nearest to it, and never for a longer life.
 */
function recordOf({ _id, created, expires, absolute, maxAge, rev, data }: Fields): SessionRecord {
  const now = Date.now()
  const idle = isDuration(maxAge) ? maxAge : undefined
  const end = isDate(expires) ? expires : new Date(now + (idle ?? DAY))
  const life = idle ?? Math.max(1, end.getTime() - now)
  return {
    id: _id as SessionId,
    created: isDate(created) ? created : new Date(end.getTime() - life),
    expires: end,
    ...(isDate(absolute) && { absolute }),
    maxAge: life,
    rev: revOf(rev),
    fields: isPlain(data) ? data : {},
  }
}

/**
 * What has to be set in the document of a record before it can be changed: MongoDB counts no text on, and sets no field of a
 * list. Nothing in one that nobody has altered.
 */
export function repairsOf(found: Fields, record: SessionRecord): Fields | undefined {
  const { created, expires, maxAge, rev, fields: data } = record
  const repairs = Object.entries({ created, expires, maxAge, rev, data }).filter(
    ([name, value]) => found[name] !== value,
  )
  return repairs.length > 0 ? Object.fromEntries(repairs) : undefined
}

const DAY = 24 * 60 * 60 * 1000

/** Also one from beyond the years that dates here can count is none. */
function isDate(value: unknown): value is Date {
  return types.isDate(value) && !Number.isNaN(value.getTime())
}

/** In whole milliseconds, and such that it ends within what dates here can count. */
function isDuration(ms: unknown): ms is number {
  return typeof ms === 'number' && Number.isInteger(ms) && ms > 0 && isDate(new Date(Date.now() + ms))
}

/** Of a record whose revision is none: as `$inc` takes one that is missing. No other has it, since the first is 1. */
export const NO_REV = 0

function revOf(rev: unknown): number {
  return typeof rev === 'number' && Number.isSafeInteger(rev) ? rev : NO_REV
}

/** As the filter of a change has it, for which a list is whatever it holds. */
function isTombstone({ v }: Fields): boolean {
  return v !== FORM && ![v].flat().map(Number).includes(FORM)
}

function tombstoneOf({ ended, next }: Fields): Tombstone {
  return { ended: isDate(ended) ? ended : new Date(0), ...(typeof next === 'string' && { next }) }
}
