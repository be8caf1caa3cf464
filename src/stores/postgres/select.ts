import type { Fields } from '../../language/values.ts'
import type { FieldBytes } from '../fields.ts'
import type { Row } from './driver.ts'
import type { Names } from './names.ts'
import { milliseconds, NOW, type Parameters, SOUND } from './statement.ts'
import { bytesOfJSON, decoded, valueOfJSON } from './values.ts'

/** Of so many fields each has a column of its own; of more, all that are in the row are asked for. */
const MAX_COLUMNS = 8

/** Which top-level fields are asked for: all, or those of these names. */
export type Wanted = 'all' | readonly string[]

/** What a large field begins with that is read in Base64, and one that is read as the text of JSON. No small field begins so. */
const BASE64 = 'x'
const TEXT = 'j'

/** Between large fields. Neither Base64 nor JSON has it. */
const SEPARATOR = '\x1e'

/** The text of JSON begins with a sign that can be printed, and BSON with a type, which is a smaller byte. */
const large =
  `CASE WHEN get_byte(substring(f.v FROM 1 FOR 1), 0) < 32 THEN '${BASE64}' || encode(f.v, 'base64') ` +
  `ELSE '${TEXT}' || convert_from(f.v, 'UTF8') END`

/** The columns with the wanted fields of `sessions AS s`. */
export function fieldColumns(names: Names, wanted: Wanted, parameters: Parameters): string[] {
  if (wanted === 'all') return ['s.small::text', largeColumn(names, "s.large <> '{}'")]
  if (wanted.length > MAX_COLUMNS) {
    const list = parameters.texts(wanted)
    return ['s.small::text', largeColumn(names, `s.large ?| ${list}`, ` AND f.name = ANY(${list})`)]
  }
  return wanted.map(name => {
    const key = parameters.text(name)
    const value = `SELECT ${large} FROM ${names.fields} AS f WHERE f.id = s.id AND f.name = ${key}`
    return `CASE WHEN s.large ? ${key} THEN (${value}) ELSE (s.small -> ${key})::text END`
  })
}

/**
 * The large fields as `name:field`, names in hexadecimal: clients differ in how they read lists of bytes, and JSON of all would take
 * the server ten times as long. `large` is unpacked once, and not for each field.
 */
function largeColumn(names: Names, isWanted: string, condition = ''): string {
  const field = `encode(convert_to(f.name, 'UTF8'), 'hex') || ':' || ${large}`
  return (
    `CASE WHEN ${isWanted} THEN (SELECT string_agg(${field}, chr(${SEPARATOR.charCodeAt(0)})) ` +
    `FROM (SELECT s.large || '{}' AS names OFFSET 0) AS l, ${names.fields} AS f WHERE f.id = s.id AND l.names ? f.name${condition}) END`
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
  const ofText = (text: string) => {
    if (text.startsWith(BASE64)) return ofBytes(Buffer.from(text.slice(1), 'base64'))
    return ofJSON(text.startsWith(TEXT) ? { j: text.slice(1) } : JSON.parse(text))
  }
  const fields: [string, T][] = []
  if (wanted !== 'all' && wanted.length <= MAX_COLUMNS) {
    for (const [index, name] of wanted.entries()) {
      const text = row[at + index]
      if (typeof text === 'string') fields.push([name, ofText(text)])
    }
    return Object.fromEntries(fields)
  }
  const [small, others] = row.slice(at, at + 2)
  const values: Record<string, unknown> = JSON.parse(small ?? '{}')
  for (const name of wanted === 'all' ? Object.keys(values) : wanted) {
    if (Object.hasOwn(values, name)) fields.push([name, ofJSON(values[name])])
  }
  for (const field of typeof others === 'string' ? others.split(SEPARATOR) : []) {
    const end = field.indexOf(':')
    fields.push([Buffer.from(field.slice(0, end), 'hex').toString(), ofText(field.slice(end + 1))])
  }
  return Object.fromEntries(fields)
}

/** The columns that tell at which revision a session is, and how it has ended if it has: few, since each costs the client time. */
export const STATE = [
  's.rev::text',
  `CASE WHEN s.ended IS NOT NULL THEN json_build_array(${milliseconds('s.ended')}, s.next)::text END`,
]

/** A session that stands, or what is left of one. `id`: one, or `ANY` of a list. */
export function standing(columns: readonly string[], names: Names, id: string): string {
  return `SELECT ${columns.join(', ')} FROM ${names.sessions} AS s WHERE s.id = ${id} AND s.expires > ${NOW} AND ${SOUND}`
}
