import { type Fields, isBSON, isPlain } from '../../language/values.ts'
import { bsonFor } from '../bson.ts'
import { damaged } from '../elements.ts'
import { decodeFieldsExactly } from '../fieldbytes.ts'
import { decodeFields, encodeField, type FieldBytes, sizeOfField } from '../fields.ts'

/**
 * A field as the tables have it: small ones in the row of their session as JSON, and larger ones in a row of their own, as the
 * text of JSON or as BSON.
 */
export type Cell =
  | { readonly json: string; readonly bytes?: undefined }
  | { readonly json?: undefined; readonly bytes: Uint8Array }

// JSON as it is: strings, 32-bit integers, booleans, null. All else is an object of one key:
//   d  a double that JSON has
//   l  a 64-bit integer
//   j  an array or object of what JSON has, as text: `jsonb` would not keep the order of its keys
//   b  BSON: a byte for the type, then the value; base64

/** Bytes that a field may have in the row of its session, which is written anew with each change. */
const MAX_SMALL = 1024

export function isLarge(bytes: FieldBytes): boolean {
  return bytes.length > MAX_SMALL
}

/** So much longer than its BSON a large field may be as JSON. In Base64, as it is read otherwise, BSON is so much longer. */
const MAX_LONGER = 4 / 3

/** `value`: of which the bytes are. */
export function cellOf(value: unknown, bytes: FieldBytes): Cell {
  if (isLarge(bytes)) {
    const json = isJSON(value) ? Buffer.from(JSON.stringify(value)) : bytes
    return { bytes: json.length <= bytes.length * MAX_LONGER ? json : bytes }
  }
  return { json: jsonOf(value) ?? `{"b":"${Buffer.from(bytes).toString('base64')}"}` }
}

/** The fields of a session that is to be stored, and their size as a document. */
export function cellsOf(fields: Fields): {
  readonly cells: [name: string, cell: Cell][]
  readonly size: number
} {
  let size = EMPTY
  const cells = Object.entries(fields).map(([name, value]): [string, Cell] => {
    const bytes = encodeField(value)
    size += sizeOfField(name, bytes)
    return [name, cellOf(value, bytes)]
  })
  return { cells, size }
}

/** Bytes of a document without fields. */
export const EMPTY = 5

/** JSON that is read as the very same value, or nothing. */
function jsonOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'boolean':
      return String(value)
    case 'string':
      // `jsonb` refuses NUL.
      return value.includes('\0') ? undefined : JSON.stringify(value)
    case 'number':
      return isInt32(value) ? String(value) : doubleOf(value)
    case 'bigint':
      return longOf(value)
    default:
      if (value === null) return 'null'
      return isBSON(value) ? jsonOfBSON(value) : jsonOfContainer(value)
  }
}

function jsonOfBSON(value: object & { readonly _bsontype: string }): string | undefined {
  switch (value._bsontype) {
    case 'Int32':
      return String(numberOf(value))
    case 'Double':
      return doubleOf(numberOf(value))
    case 'Long':
      return longOf(longValue(value))
    default:
      return undefined
  }
}

function longValue(value: object): bigint {
  return (value as { toBigInt(): bigint }).toBigInt()
}

function numberOf(value: object): number {
  return (value as { value: number }).value
}

/** `jsonb` writes a number out, so one with an exponent would be long; it has neither -0 nor what is no number. */
function doubleOf(value: number): string | undefined {
  const text = String(value)
  return !Number.isFinite(value) || Object.is(value, -0) || text.includes('e') ? undefined : `{"d":${text}}`
}

function longOf(value: bigint): string {
  return `{"l":"${BigInt.asIntN(64, value)}"}`
}

function jsonOfContainer(value: unknown): string | undefined {
  return isJSON(value) ? `{"j":${JSON.stringify(JSON.stringify(value))}}` : undefined
}

/** Whether JSON has every value inside, numbers of a kind that their text tells. */
function isJSON(value: unknown): boolean {
  if (typeof value !== 'object') return typeof value === 'number' ? isTold(value) : typeof value !== 'bigint'
  if (value === null) return true
  if (Array.isArray(value)) return value.every(isJSON)
  if (isPlain(value)) return Object.values(value).every(isJSON)
  if (!isBSON(value)) return false
  if (value._bsontype === 'Int32') return true
  return value._bsontype === 'Double' && isTold(numberOf(value)) && !isInt32(numberOf(value))
}

function isTold(number: number): boolean {
  return Number.isFinite(number) && !Object.is(number, -0)
}

/**
 * The value as operators need it: whether 2 is an integer or a double decides what arithmetic makes of it.
 * @throws what `sound` takes for damage.
 */
export function bytesOfJSON(json: unknown): FieldBytes {
  if (typeof json !== 'object' || json === null) return encodeField(json)
  const { d, l, j, b } = json as Tagged
  const { Double } = bsonFor('postgresStore')
  if (typeof d === 'number') return encodeField(isInt32(d) ? new Double(d) : d)
  if (typeof l === 'string') return encodeField(BigInt(l))
  if (typeof j === 'string') return encodeField(JSON.parse(j))
  if (typeof b === 'string') return Buffer.from(b, 'base64')
  throw damaged()
}

/** As MongoDB's driver gives it. Throws as `bytesOfJSON` does. */
export function valueOfJSON(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json
  const { d, j } = json as Tagged
  if (typeof d === 'number') return d
  return typeof j === 'string' ? JSON.parse(j) : decoded(bytesOfJSON(json))
}

/** The same. `isExact`: with numbers as instances of their kinds, as operators have them. */
export function decoded(bytes: FieldBytes, isExact = false): unknown {
  return (isExact ? decodeFieldsExactly : decodeFields)([['', bytes]])['']
}

/** Another program may have written any JSON. */
interface Tagged {
  readonly d?: unknown
  readonly l?: unknown
  readonly j?: unknown
  readonly b?: unknown
}

function isInt32(n: number): boolean {
  return (n | 0) === n && !Object.is(n, -0)
}
