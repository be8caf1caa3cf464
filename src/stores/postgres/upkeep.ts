import { setTimeout as delay } from 'node:timers/promises'
import { ConfigurationError } from '../../errors.ts'
import { type Path, quote } from '../../language/paths.ts'
import { isEnded } from '../../store/record.ts'
import { sound } from '../bson.ts'
import type { Connection } from './connection.ts'
import { noneOfData } from './errors.ts'
import { unknownKey } from './finding.ts'
import type { Names } from './names.ts'
import { readOne } from './reading.ts'
import { type SchemaOptions, schemaOf, userIndex } from './schema.ts'
import { topOf } from './seen.ts'
import { fieldColumns, fieldsIn } from './select.ts'
import { inspected, serverOf } from './server.ts'
import { Parameters } from './statement.ts'
import { userKey } from './users.ts'

/** Creates the tables, unless another process or a migration has done so. */
export async function ensureSchema(
  connection: Connection,
  names: Names,
  options: SchemaOptions,
): Promise<void> {
  const { hasSessions, hasMeta, isComplete, hasUserIndex } = await inspected(connection, names)
  if (hasSessions && !hasMeta) {
    throw new ConfigurationError(
      `There is a table ${quote(names.shown)}, and it is none of this store's: give postgresStore another table or schema`,
    )
  }
  // Otherwise the server sends a notice for each object that exists.
  const quiet = 'SET LOCAL client_min_messages = warning;\n'
  const { user } = options
  if (!isComplete) {
    await connection.script(quiet + schemaOf(options))
  } else if (user !== undefined) {
    const server = await serverOf(connection, names)
    if (server.user !== user || !hasUserIndex) {
      await connection.script(
        `${quiet}SELECT pg_advisory_xact_lock(${names.locks.schema});\n${userIndex(names, user)}`,
      )
    }
  }
  await serverOf(connection, names)
  if (user !== undefined) await indexAll(connection, names, user)
}

/** How many sessions are indexed in one statement. */
const PAGE = 500

/** Adds the sessions that were stored before this index existed. */
async function indexAll(connection: Connection, names: Names, user: Path): Promise<void> {
  const top = topOf(user)
  const after = (last: string, fields: readonly string[]) => {
    const parameters = new Parameters()
    const columns = ['s.id', 's.rev::text', 's.user_key', ...fieldColumns(names, fields, parameters)]
    const sql =
      `SELECT ${columns.join(', ')} FROM ${names.sessions} AS s WHERE s.ended IS NULL AND ` +
      `s.id > ${parameters.text(last)} AND (${unknownKey(user, parameters)}) ORDER BY s.id LIMIT ${PAGE}`
    return connection.query(sql, parameters.values, 'none')
  }
  for (let last = ''; ; ) {
    const rows = (await after(last, [top]).catch(noneOfData)) ?? (await after(last, []))
    if (rows.length === 0) return
    last = rows.at(-1)?.[0] as string
    const keyed: { id: string; rev: string; old: string; key: string }[] = []
    for (const row of rows) {
      const [id, rev, old] = row as [string, string, string | null]
      const found =
        row.length > 3
          ? sound(() => ({ rev, fields: fieldsIn(row, 3, [top]) }))
          : await readOne(connection, names, id, [top])
      // Without a key, `find` looks at the session each time: somebody may repair it.
      if (!found || isEnded(found)) continue
      keyed.push({ id, rev: String(found.rev), old: old ?? '', key: userKey(user, found.fields) })
    }
    const update = new Parameters()
    const lists = [
      update.texts(keyed.map(({ id }) => id)),
      `${update.texts(keyed.map(({ rev }) => rev))}::bigint[]`,
      update.texts(keyed.map(({ old }) => old)),
      update.texts(keyed.map(({ key }) => key)),
    ]
    // Ordered, or two processes could deadlock. A session that was changed meanwhile already has its key.
    await connection.query(
      `WITH k AS (SELECT u.*, s.rev FROM unnest(${lists.join(', ')}) AS u (id, seen, old, key) ` +
        `JOIN ${names.sessions} AS s ON s.id = u.id ORDER BY s.id FOR NO KEY UPDATE OF s) ` +
        `UPDATE ${names.sessions} AS s SET user_key = k.key FROM k ` +
        "WHERE s.id = k.id AND s.rev = k.seen AND coalesce(s.user_key, '') = k.old AND s.ended IS NULL",
      update.values,
      'none',
    )
  }
}

/** How many sessions are removed in one statement. */
const BATCH = 1000

/**
 * Removes expired sessions and tombstones, and resolves to the number removed. One process sweeps at a time; if another one does,
 * the result is 0. A session that was extended is checked again after its new end.
 */
export async function sweep(connection: Connection, names: Names, isOver: () => boolean): Promise<number> {
  let removed = 0
  while (!isOver()) {
    const begun = performance.now()
    const parameters = new Parameters()
    const now = 'statement_timestamp()'
    const sql =
      `WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(${names.locks.sweep}) AS ok), ` +
      `due AS MATERIALIZED (SELECT s.id, s.expires FROM ${names.sessions} AS s WHERE s.sweep_at <= ${now} AND (SELECT ok FROM mine) ` +
      `ORDER BY s.sweep_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED), ` +
      `later AS (UPDATE ${names.sessions} AS s SET sweep_at = s.expires FROM due AS d WHERE s.id = d.id AND d.expires > ${now} RETURNING s.id), ` +
      `gone AS (DELETE FROM ${names.sessions} AS s USING due AS d WHERE s.id = d.id AND d.expires <= ${now} RETURNING s.id) ` +
      'SELECT (SELECT count(*) FROM gone)::text, (SELECT count(*) FROM later)::text'
    const [row] = await connection.query(sql, parameters.values, 'none')
    const [gone, later] = [Number(row?.[0]), Number(row?.[1])]
    removed += gone
    if (gone + later < BATCH) break
    // A pause, so that other work comes first.
    await delay(REST * (performance.now() - begun))
  }
  return removed
}

/** The pause after a batch, as a multiple of the time that the batch took. */
const REST = 2
