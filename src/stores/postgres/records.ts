import type { SessionId } from '../../ids.ts'
import { excerpt } from '../../language/excerpt.ts'
import type { Path } from '../../language/paths.ts'
import type { Loaded, Read } from '../../store/joining.ts'
import type { SessionRecord, Tombstone } from '../../store/record.ts'
import { sound } from '../bson.ts'
import type { Row } from './driver.ts'
import type { Names } from './names.ts'
import { topOf } from './seen.ts'
import { fieldColumns, fieldsIn, STATE, standing } from './select.ts'
import { milliseconds, objectOf, Parameters } from './statement.ts'
import { LIVES, largeOf, lengthsOf, type Statement, smallOf, withFields } from './update.ts'
import { cellsOf } from './values.ts'

/** The columns with a whole record, before those of its fields. */
const RECORD = [
  ...STATE,
  milliseconds('s.created'),
  milliseconds('s.expires'),
  milliseconds('s.absolute'),
  's.max_age::text',
]

export function load(names: Names, id: SessionId): Statement {
  const parameters = new Parameters()
  const key = parameters.text(id)
  const columns = [...RECORD, ...fieldColumns(names, 'all', parameters)]
  return { sql: standing(columns, names, key), parameters }
}

/** Rows of `load`, each with the session's id before it. */
export function loadMany(names: Names, ids: readonly SessionId[]): Statement {
  const parameters = new Parameters()
  const key = `ANY(${parameters.texts(ids)})`
  return { sql: standing(recordColumns(names, parameters), names, key), parameters }
}

/** The columns of `sessions AS s` with the session's id and all of its record. */
export function recordColumns(names: Names, parameters: Parameters): string[] {
  return ['s.id', ...RECORD, ...fieldColumns(names, 'all', parameters)]
}

export function loadedIn(id: SessionId, row: Row | undefined): Loaded {
  if (!row) return undefined
  return tombstoneIn(row) ?? sound(() => recordIn(id, row))
}

function recordIn(id: SessionId, row: Row): SessionRecord {
  const [rev, , created, expires, absolute = null, maxAge] = row
  return {
    id,
    created: new Date(Number(created)),
    expires: new Date(Number(expires)),
    ...(absolute !== null && { absolute: new Date(Number(absolute)) }),
    maxAge: Number(maxAge),
    rev: Number(rev),
    fields: fieldsIn(row, RECORD.length, 'all'),
  }
}

export function read(names: Names, id: SessionId, paths: readonly Path[]): Statement {
  const parameters = new Parameters()
  const key = parameters.text(id)
  const columns = [...STATE, ...fieldColumns(names, topsOf(paths), parameters)]
  return { sql: standing(columns, names, key), parameters }
}

/** Rows of `read`, each with the session's id before it. */
export function readMany(names: Names, ids: readonly SessionId[], paths: readonly Path[]): Statement {
  const parameters = new Parameters()
  const key = `ANY(${parameters.texts(ids)})`
  const columns = ['s.id', ...STATE, ...fieldColumns(names, topsOf(paths), parameters)]
  return { sql: standing(columns, names, key), parameters }
}

export function readIn(row: Row | undefined, paths: readonly Path[]): Read {
  if (!row) return undefined
  const fields = () => excerpt(fieldsIn(row, STATE.length, topsOf(paths)), paths)
  return tombstoneIn(row) ?? sound(() => ({ rev: Number(row[0]), fields: fields() }))
}

function topsOf(paths: readonly Path[]): string[] {
  return [...new Set(paths.map(topOf))]
}

/** Of a row that begins with its state. */
export function tombstoneIn([, state]: Row): Tombstone | undefined {
  if (typeof state !== 'string') return undefined
  const [ended, next]: [string, string | null] = JSON.parse(state)
  return { ended: new Date(Number(ended)), ...(next !== null && { next }) }
}

/** Has a row unless another record holds the id. */
export function insert(
  names: Names,
  { id, created, expires, absolute, maxAge, rev, fields }: SessionRecord,
  userKey: string | null,
): Statement {
  const parameters = new Parameters()
  const { cells, size } = cellsOf(fields)
  const large = largeOf(cells)
  const end = parameters.time(expires)
  const values = {
    id: parameters.text(id),
    created: parameters.time(created),
    expires: end,
    absolute: parameters.time(absolute),
    max_age: parameters.integer(maxAge),
    rev: parameters.integer(rev),
    size: parameters.integer(size),
    user_key: parameters.text(userKey),
    sweep_at: end,
    small: parameters.json(objectOf(smallOf(cells))),
    large: parameters.json(lengthsOf(large)),
  }
  const statement =
    `INSERT INTO ${names.sessions} AS s (${Object.keys(values).join(', ')}) ` +
    `VALUES (${Object.values(values).join(', ')}) ON CONFLICT (id) DO NOTHING`
  return { sql: withFields(names, statement, ['s.rev::text'], { large }, parameters), parameters }
}

/**
 * Has a row if this has ended the session. It tells whether all large fields are gone: where the statement has waited for a change, it
 * does not see those that the change has added.
 */
export function end(
  names: Names,
  id: SessionId,
  { ended, next }: Tombstone,
  until: Date,
  rev: number | undefined,
): Statement {
  const parameters = new Parameters()
  const key = parameters.text(id)
  const time = parameters.time(until)
  const atRev = rev === undefined ? '' : ` AND s.rev = ${parameters.integer(rev)}`
  const isSeen = `(s.rev = (SELECT o.rev FROM ${names.sessions} AS o WHERE o.id = ${key}))::text`
  const update =
    `UPDATE ${names.sessions} AS s SET ended = ${parameters.time(ended)}, next = ${parameters.text(next ?? null)}, ` +
    `expires = ${time}, sweep_at = ${time}, absolute = NULL, user_key = left(s.user_key, 9), size = 5, small = '{}', ` +
    `large = '{}' WHERE s.id = ${key} AND ${LIVES}${atRev} RETURNING s.id, ${isSeen} AS seen`
  const sql =
    `WITH changed AS (${update}), removed AS (DELETE FROM ${names.fields} AS f USING changed AS c WHERE f.id = c.id) ` +
    'SELECT seen FROM changed'
  return { sql, parameters }
}

/** Removes the large fields that are left of a session that has ended. */
export function removeRest(names: Names, id: SessionId): Statement {
  const parameters = new Parameters()
  const sql =
    `DELETE FROM ${names.fields} AS f USING ${names.sessions} AS s ` +
    `WHERE s.id = ${parameters.text(id)} AND s.ended IS NOT NULL AND f.id = s.id`
  return { sql, parameters }
}
