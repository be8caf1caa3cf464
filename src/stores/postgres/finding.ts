import type { SessionId } from '../../ids.ts'
import type { Guard } from '../../language/change.ts'
import { holds } from '../../language/guard.ts'
import type { Path } from '../../language/paths.ts'
import type { Loaded } from '../../store/joining.ts'
import { isEnded, type SessionRecord } from '../../store/record.ts'
import type { Connection } from './connection.ts'
import type { Row } from './driver.ts'
import { noneOfData } from './errors.ts'
import type { Names } from './names.ts'
import { loadOne } from './reading.ts'
import { loadedIn, loadMany, recordColumns } from './records.ts'
import { Parameters } from './statement.ts'
import { LIVES } from './update.ts'
import { prefixOf, userKeys } from './users.ts'

/** So many sessions are loaded at once. */
const PAGE = 100

/** So many ids are remembered at once, in a few megabytes. */
const MAX_IDS = 50_000

/** The sessions that hold the value at the path; through the index if it is by that path, and else by looking at all. */
export async function* findSessions(
  connection: Connection,
  names: Names,
  path: Path,
  value: unknown,
  isIndexed: boolean,
): AsyncGenerator<SessionRecord> {
  const guards: Guard[] = [{ path, comparator: '=', arg: value }]
  const matching = (found: readonly Loaded[]) =>
    found.filter(one => one !== undefined && !isEnded(one) && holds(guards, one.fields)) as SessionRecord[]
  const idsAfter = (last: string, limit: number, parameters: Parameters) => {
    const candidates = isIndexed ? ` AND (${candidate(path, value, parameters)})` : ''
    // The index finds them all at once; by the primary key the server would look at every session.
    return (
      `WITH c AS ${isIndexed ? '' : 'NOT '}MATERIALIZED (SELECT s.id FROM ${names.sessions} AS s WHERE ${LIVES}${candidates}) ` +
      `SELECT c.id FROM c WHERE c.id > ${parameters.text(last)} COLLATE "C" ORDER BY c.id LIMIT ${limit}`
    )
  }
  for (let last = ''; ; ) {
    const page = new Parameters()
    const columns = recordColumns(names, page)
    const sql =
      `SELECT ${columns.join(', ')} FROM (${idsAfter(last, PAGE, page)}) AS c ` +
      `JOIN ${names.sessions} AS s ON s.id = c.id ORDER BY c.id`
    // No rows at all if the server cannot read one of the sessions.
    const rows = await connection.query(sql, page.values, 'none').catch(noneOfData)
    if (rows) {
      yield* matching(recordsIn(rows))
      // Most users have fewer sessions than a page holds: one statement finds them.
      if (rows.length < PAGE) return
      last = rows.at(-1)?.[0] as string
    }
    // Each statement that looks for candidates visits all of them. So one looks for all others, and pages are loaded by their ids.
    const rest = new Parameters()
    const found = await connection.query(idsAfter(last, MAX_IDS, rest), rest.values, 'none')
    const ids = found.map(([id]) => id as string)
    for (let start = 0; start < ids.length; start += PAGE) {
      yield* matching(await loadAll(connection, names, ids.slice(start, start + PAGE)))
    }
    if (ids.length < MAX_IDS) return
    last = ids.at(-1) as string
  }
}

/** Of a page that the server cannot read, each session is loaded alone. */
async function loadAll(connection: Connection, names: Names, ids: readonly SessionId[]): Promise<Loaded[]> {
  const { sql, parameters } = loadMany(names, ids)
  const rows = await connection.query(sql, parameters.values, 'none').catch(noneOfData)
  if (rows) return recordsIn(rows)
  const found: Loaded[] = []
  for (const id of ids) found.push(await loadOne(connection, names, id))
  return found
}

function recordsIn(rows: readonly Row[]): Loaded[] {
  return rows.map(([id, ...row]) => loadedIn(id as string, row))
}

/** Those with one of the keys, and those whose key is unknown, or by another path. */
function candidate(path: Path, value: unknown, parameters: Parameters): string {
  return `s.user_key = ANY(${parameters.texts(userKeys(path, value))}) OR ${unknownKey(path, parameters)}`
}

export function unknownKey(path: Path, parameters: Parameters): string {
  const prefix = prefixOf(path)
  const [first, last] = [parameters.text(`${prefix}:`), parameters.text(`${prefix};`)]
  return `s.user_key IS NULL OR s.user_key < ${first} OR s.user_key >= ${last}`
}
