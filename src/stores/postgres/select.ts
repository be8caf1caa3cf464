import type { Fields } from '../../language/values.ts'
import type { FieldBytes } from '../fields.ts'
import type { Row } from './driver.ts'
import type { Names } from './names.ts'
import { milliseconds, NOW, type Parameters } from './statement.ts'
import { bytesOfJSON, decoded, valueOfJSON } from './values.ts'

/** Of so many fields each has a column of its own; of more, all that are in the row are asked for. */
const MAX_COLUMNS = 8

/** Which top-level fields are asked for: all, or those of these names. */
export type Wanted = 'all' | readonly string[]

/** The columns with the wanted fields of `sessions AS s`. */
export function fieldColumns(names: Names, wanted: Wanted, parameters: Parameters): string[] {
  if (wanted === 'all') return ['s.small::text', largeColumn(names, "s.large <> '{}'")]
  if (wanted.length === 0) return []
  const list = parameters.texts(wanted)
  const large = largeColumn(names, `s.large ?| ${list}`, ` AND f.name = ANY(${list})`)
  if (wanted.length > MAX_COLUMNS) return ['s.small::text', large]
  return [...wanted.map(name => `(s.small -> ${parameters.text(name)})::text`), large]
}

/** The large fields as JSON, their bytes in hexadecimal: clients differ in how they read lists of bytes. */
function largeColumn(names: Names, isWanted: string, condition = ''): string {
  return (
    `CASE WHEN ${isWanted} THEN (SELECT json_object_agg(f.name, encode(f.v, 'hex'))::text FROM ${names.fields} AS f ` +
    `WHERE f.id = s.id AND s.large ? f.name${condition}) END`
  )
}

/** The fields in the columns of a row from `at` on, as MongoDB's driver gives them. */
export function fieldsIn(row: Row, at: number, wanted: Wanted): Fields {
  return eachIn(row, at, wanted, valueOfJSON, bytes => decoded(bytes))
}

/** The same as BSON. */
export function bytesIn(row: Row, at: number, wanted: Wanted): Record<string, FieldBytes> {
  return eachIn(row, at, wanted, bytesOfJSON, bytes => bytes)
}

function eachIn<T>(
  row: Row,
  at: number,
  wanted: Wanted,
  ofJSON: (json: unknown) => T,
  ofBytes: (bytes: FieldBytes) => T,
): Record<string, T> {
  const fields: [string, T][] = []
  const isWhole = wanted === 'all' || wanted.length > MAX_COLUMNS
  if (isWhole) {
    const small: Record<string, unknown> = JSON.parse(row[at] ?? '{}')
    for (const name of wanted === 'all' ? Object.keys(small) : wanted) {
      if (Object.hasOwn(small, name)) fields.push([name, ofJSON(small[name])])
    }
  } else {
    for (const [index, name] of wanted.entries()) {
      const json = row[at + index]
      if (typeof json === 'string') fields.push([name, ofJSON(JSON.parse(json))])
    }
  }
  const large = row[isWhole ? at + 1 : at + wanted.length]
  if (typeof large === 'string') {
    for (const [name, hex] of Object.entries<string>(JSON.parse(large))) {
      fields.push([name, ofBytes(Buffer.from(hex, 'hex'))])
    }
  }
  return Object.fromEntries(fields)
}

/** The columns that tell whether a session has ended, and at which revision it is. */
export const STATE = ['s.rev::text', milliseconds('s.ended'), 's.next']

/** A session that stands, or what is left of one. */
export function standing(columns: readonly string[], names: Names, id: string): string {
  return `SELECT ${columns.join(', ')} FROM ${names.sessions} AS s WHERE s.id = ${id} AND s.expires > ${NOW}`
}
