import { types } from 'node:util'
import type { SessionId } from '../../ids.ts'
import type { Path } from '../../language/paths.ts'
import { ENDED_FORM, FORM, LAST_DATE, type SessionRecord, type Tombstone } from '../../store/record.ts'
import { decode } from '../bson.ts'
import type { Query, SQLiteStatement } from './driver.ts'
import type { SessionFile } from './file.ts'
import { assertForm } from './form.ts'

/** The part of a row that a change reads, and replaces. All instants are milliseconds since the epoch. */
export interface Altered {
  readonly row: number
  readonly expires: number
  readonly maxAge: number
  readonly rev: number
  readonly user: string | null
  readonly fields: Uint8Array
}

/** A session's row. */
export interface SessionRow extends Altered {
  readonly created: number
  readonly absolute: number | null
}

/** What a change needs: each column costs time in the driver. */
const COLUMNS = 'v, sessions.rowid, expires, maxAge, rev, user, fields'
type Columns = [number, number, number, number, number, string | null, Uint8Array]

/**
 * What this store writes; another program may have written anything. SQLite orders texts and bytes after all numbers. With bytes in
 * place of an id libsql would end the process.
 */
const SOUND = `sessions.rowid <= ${Number.MAX_SAFE_INTEGER} AND typeof(id) = 'text' AND v IN (${FORM}, ${ENDED_FORM}) AND
  created BETWEEN 0 AND ${LAST_DATE} AND expires <= ${LAST_DATE} AND
  (absolute IS NULL OR absolute BETWEEN 0 AND ${LAST_DATE}) AND
  (maxAge > 0 OR v = ${ENDED_FORM}) AND maxAge <= ${LAST_DATE} AND rev BETWEEN 0 AND ${LAST_DATE} AND
  (next IS NULL OR typeof(next) = 'text')`

const PLACES = '?, ?, ?, ?, ?, ?, ?, ?, ?'

/** The table of sessions. What writes is used within transactions. */
export class SessionTable {
  readonly #file: SessionFile
  readonly #insert: SQLiteStatement
  readonly #select: Query<[...Columns, created: number, absolute: number | null, next: string | null]>
  readonly #selectToChange: Query<[...Columns, form: number, userPath: Path | null]>
  readonly #change: SQLiteStatement
  readonly #alter: SQLiteStatement
  readonly #setUser: SQLiteStatement
  readonly #end: SQLiteStatement
  readonly #delete: SQLiteStatement
  readonly #sweep: SQLiteStatement
  readonly #expired: Query<[row: number]>
  readonly #count: Query<[count: number]>
  readonly #last: Query<[row: number]>
  readonly #page: Query<[row: number, id: SessionId]>
  readonly #pageOfUser: Query<[row: number, id: SessionId]>

  constructor(file: SessionFile) {
    this.#file = file
    this.#insert = file.prepare(
      `INSERT INTO sessions (id, v, created, expires, absolute, maxAge, rev, user, fields) VALUES (${PLACES}) ON CONFLICT DO NOTHING`,
    )
    this.#select = file.query(
      `SELECT ${COLUMNS}, created, absolute, next FROM sessions WHERE id = ? AND ${SOUND}`,
    )
    this.#selectToChange = file.query(
      `SELECT ${COLUMNS}, form, userPath FROM session_file LEFT JOIN sessions ON id = ? AND ${SOUND}`,
    )
    // Apart, since each index is kept of whose columns are named here.
    this.#change = file.prepare('UPDATE sessions SET rev = ?, fields = ? WHERE rowid = ?')
    this.#alter = file.prepare(
      'UPDATE sessions SET expires = ?, maxAge = ?, rev = ?, user = ?, fields = ? WHERE rowid = ?',
    )
    this.#setUser = file.prepare('UPDATE sessions SET user = ? WHERE rowid = ?')
    this.#end = file.prepare(
      `UPDATE sessions SET v = ${ENDED_FORM}, created = ?, expires = ?, absolute = NULL, maxAge = 0, rev = 0, next = ?,
        user = NULL, fields = NULL WHERE id = ? AND v = ${FORM} AND expires > ? AND ${SOUND} AND rev = ifnull(?, rev)`,
    )
    this.#delete = file.prepare('DELETE FROM sessions WHERE id = ?')
    this.#sweep = file.prepare(
      'DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires <= ? ORDER BY expires LIMIT ?)',
    )
    this.#expired = file.query('SELECT rowid FROM sessions WHERE expires <= ? LIMIT 1')
    this.#count = file.query(
      `SELECT count(*) FROM sessions WHERE expires > ? AND expires <= ${LAST_DATE} AND v = ${FORM}`,
    )
    this.#last = file.query(
      `SELECT rowid FROM sessions WHERE rowid <= ${Number.MAX_SAFE_INTEGER} ORDER BY rowid DESC LIMIT 1`,
    )
    const page = (of: string) =>
      `SELECT rowid, id FROM sessions WHERE ${of} rowid > ? AND rowid <= ? AND ${SOUND} ORDER BY rowid LIMIT ?`
    this.#page = file.query(page(''))
    this.#pageOfUser = file.query(page('user = ? AND'))
  }

  /** False if the id is taken. */
  insert(record: SessionRecord, fields: Uint8Array, user: string | null): boolean {
    const { id, created, expires, absolute, maxAge, rev } = record
    const result = this.#insert.run(
      id,
      FORM,
      created.getTime(),
      expires.getTime(),
      absolute?.getTime() ?? null,
      maxAge,
      rev,
      user,
      fields,
    )
    return hasChanged(result)
  }

  /** This session, unless it has expired or another program wrote its row. */
  standing(id: SessionId): SessionRow | Tombstone | undefined {
    const found = this.#select.row(id)
    if (!found) return undefined
    const [v, row, expires, maxAge, rev, user, fields, created, absolute, next] = found
    switch (stateOf(v, expires, fields)) {
      case 'live':
        return { row, created, expires, absolute, maxAge, rev, user, fields }
      case 'ended':
        return { ended: new Date(created), ...(next !== null && { next }) }
      default:
        return undefined
    }
  }

  /** The same for a change, and where users are. Throws if the file is of another form by now. */
  toChange(id: SessionId): { userPath: Path | null; found: Altered | 'ended' | undefined } {
    const found = this.#selectToChange.row(id)
    if (!found) throw new RangeError('session_file is empty')
    const [v, row, expires, maxAge, rev, user, fields, form, userPath] = found
    assertForm(form, this.#file.path)
    const state = stateOf(v, expires, fields)
    return { userPath, found: state === 'live' ? { row, expires, maxAge, rev, user, fields } : state }
  }

  replace(old: Altered, next: Altered): void {
    const { row, expires, maxAge, rev, user, fields } = next
    const isAlike = expires === old.expires && maxAge === old.maxAge && user === old.user
    if (isAlike) this.#change.run(rev, fields, row)
    else this.#alter.run(expires, maxAge, rev, user, fields, row)
  }

  setUser(row: number, user: string | null): void {
    this.#setUser.run(user, row)
  }

  /** Whether it has ended by this. */
  end(id: SessionId, { ended, next }: Tombstone, until: Date, rev?: number): boolean {
    const result = this.#end.run(ended.getTime(), until.getTime(), next ?? null, id, Date.now(), rev ?? null)
    return hasChanged(result)
  }

  delete(id: SessionId): void {
    this.#delete.run(id)
  }

  hasExpired(): boolean {
    return this.#expired.row(Date.now()) !== undefined
  }

  /** Removes the longest expired ones, and tells how many. */
  sweep(most: number): number {
    return changesOf(this.#sweep.run(Date.now(), most))
  }

  count(): number {
    return this.#count.row(Date.now())?.[0] ?? 0
  }

  /** The last row. */
  last(): number {
    return this.#last.row()?.[0] ?? 0
  }

  /** The next so many sessions up to the last, of all or of those with one user's key. */
  page(
    after: number,
    last: number,
    most: number,
    user?: string,
  ): readonly { readonly row: number; readonly id: SessionId }[] {
    const rows =
      user === undefined ? this.#page.rows(after, last, most) : this.#pageOfUser.rows(user, after, last, most)
    return rows.map(([row, id]) => ({ row, id }))
  }
}

/** What a row is that is `SOUND`; `undefined` if it has expired, or its fields are no bytes. */
function stateOf(v: number, expires: number, fields: unknown): 'live' | 'ended' | undefined {
  // Where there is no row, all columns are null.
  if (!(expires > Date.now())) return undefined
  if (v === ENDED_FORM) return 'ended'
  return types.isUint8Array(fields) ? 'live' : undefined
}

export function recordOf(id: SessionId, row: SessionRow): SessionRecord {
  return {
    id,
    created: new Date(row.created),
    expires: new Date(row.expires),
    ...(row.absolute !== null && { absolute: new Date(row.absolute) }),
    maxAge: row.maxAge,
    rev: row.rev,
    fields: decode(row.fields),
  }
}

function changesOf(result: unknown): number {
  return Number((result as { changes: number | bigint }).changes)
}

function hasChanged(result: unknown): boolean {
  return changesOf(result) > 0
}
