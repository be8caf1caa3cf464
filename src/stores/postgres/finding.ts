import type { Guard } from '../../language/change.ts'
import { holds } from '../../language/guard.ts'
import type { Path } from '../../language/paths.ts'
import { isEnded, type SessionRecord } from '../../store/record.ts'
import { sound } from '../bson.ts'
import type { Connection } from './connection.ts'
import { noneOfData } from './errors.ts'
import type { Names } from './names.ts'
import { loadOne } from './reading.ts'
import { RECORD, recordIn } from './records.ts'
import { fieldColumns } from './select.ts'
import { Parameters } from './statement.ts'
import { LIVES } from './update.ts'
import { prefixOf, userKeys } from './users.ts'

/** So many sessions are asked for at once. */
const PAGE = 100

/** The sessions that hold the value at the path; through the index if it is by that path, and else by looking at all. */
export async function* findSessions(
  connection: Connection,
  names: Names,
  path: Path,
  value: unknown,
  isIndexed: boolean,
): AsyncGenerator<SessionRecord> {
  const guards: Guard[] = [{ path, comparator: '=', arg: value }]
  const after = (last: string, columnsOf: (parameters: Parameters) => string[]) => {
    const parameters = new Parameters()
    const columns = ['s.id', ...columnsOf(parameters)]
    const candidates = isIndexed ? ` AND (${candidate(path, value, parameters)})` : ''
    // The index finds them all at once; by the primary key the server would look at every session.
    const sql =
      `WITH c AS ${isIndexed ? '' : 'NOT '}MATERIALIZED (SELECT s.id FROM ${names.sessions} AS s WHERE ${LIVES}${candidates}) ` +
      `SELECT ${columns.join(', ')} FROM c JOIN ${names.sessions} AS s ON s.id = c.id ` +
      `WHERE c.id > ${parameters.text(last)} COLLATE "C" AND ${LIVES} ORDER BY c.id LIMIT ${PAGE}`
    return connection.query(sql, parameters.values, 'none')
  }
  const recordColumns = (parameters: Parameters) => [...RECORD, ...fieldColumns(names, 'all', parameters)]
  for (let last = ''; ; ) {
    // Of a page that the server cannot read, each session is loaded alone.
    const rows = (await after(last, recordColumns).catch(noneOfData)) ?? (await after(last, () => []))
    for (const row of rows) {
      last = row[0] as string
      const found =
        row.length > 1 ? sound(() => recordIn(last, row, 1)) : await loadOne(connection, names, last)
      if (found && !isEnded(found) && holds(guards, found.fields)) yield found
    }
    if (rows.length < PAGE) return
  }
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
