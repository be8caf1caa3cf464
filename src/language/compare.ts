import { compareNumbers } from './numbers.ts'
import { type Fields, isBSON, isDate, isRegExp, isUint8Array } from './values.ts'

/**
 * BSON's order of types: values of different ranks are ordered by rank, and the ordering comparators of a guard
 * compare only values of one rank.
 * https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
 */
export function rankOf(value: unknown): number {
  switch (typeof value) {
    case 'undefined':
      return 0
    case 'number':
    case 'bigint':
      return 10
    case 'string':
      return 15
    case 'boolean':
      return 40
    default:
      return value === null ? 5 : rankOfObject(value as object)
  }
}

function rankOfObject(value: object): number {
  if (Array.isArray(value)) return 25
  if (isBSON(value)) return rankOfBSON(value._bsontype)
  if (isDate(value)) return 45
  if (isUint8Array(value)) return 30
  if (isRegExp(value)) return 50
  return 20
}

function rankOfBSON(type: string): number {
  switch (type) {
    case 'MinKey':
      return -1
    case 'Int32':
    case 'Double':
    case 'Long':
    case 'Decimal128':
      return 10
    case 'Binary':
      return 30
    case 'ObjectId':
      return 35
    case 'Timestamp':
      return 47
    case 'MaxKey':
      return 127
    default: // What a session cannot hold, and only a foreign hand can have stored.
      return 60
  }
}

/** BSON's total order of all values: negative, zero or positive. */
export function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return compareNumbers(a, b)
  const rank = rankOf(a)
  return rank - rankOf(b) || compareAlike(rank, a, b)
}

/** Equality as MongoDB's: across kinds of numbers, and objects only if their keys are in the same order. */
export function equal(a: unknown, b: unknown): boolean {
  return a === b || compare(a, b) === 0
}

/** By code points, which is the order of the UTF-8 bytes that MongoDB compares. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const [x, y] = [a.charCodeAt(index), b.charCodeAt(index)]
    if (x !== y) return codePointOrder(x) - codePointOrder(y)
  }
  return a.length - b.length
}

/** Surrogates stand for the highest code points, but are not the highest code units. */
function codePointOrder(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

function compareAlike(rank: number, a: unknown, b: unknown): number {
  switch (rank) {
    case -1:
    case 0:
    case 5:
    case 127:
      return 0
    case 10:
      return compareNumbers(a, b)
    case 15:
      return compareStrings(a as string, b as string)
    case 20:
      return compareObjects(a as Fields, b as Fields)
    case 25:
      return compareArrays(a as unknown[], b as unknown[])
    case 30:
      return compareBinary(binaryOf(a), binaryOf(b))
    case 35:
      return compareStrings(hexOf(a), hexOf(b))
    case 40:
    case 45:
      return Number(a) - Number(b)
    case 47:
      return compareNumbers((a as Timestamp).toBigInt(), (b as Timestamp).toBigInt())
    default:
      return compareStrings(String(a), String(b))
  }
}

/** Member by member: type first, then name, then value. */
function compareObjects(a: Fields, b: Fields): number {
  if (a === b) return 0
  const [names, others] = [namesOf(a), namesOf(b)]
  for (const [index, name] of names.entries()) {
    const other = others[index]
    if (other === undefined) return 1
    const [x, y] = [a[name], b[other]]
    const difference = rankOf(x) - rankOf(y) || compareStrings(name, other) || compare(x, y)
    if (difference !== 0) return difference
  }
  return names.length - others.length
}

/** The names of long objects. What is compared does not change, and a visitor may send one long object for many comparisons. */
const knownNames = new WeakMap<Fields, readonly string[]>()

/** Up to this number, listing the names again costs less than remembering them. */
const FEW = 16

function namesOf(fields: Fields): readonly string[] {
  const known = knownNames.get(fields)
  if (known) return known
  const names = Object.keys(fields)
  if (names.length > FEW) knownNames.set(fields, names)
  return names
}

function compareArrays(a: readonly unknown[], b: readonly unknown[]): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const difference = compare(a[index], b[index])
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

interface Binary {
  readonly subtype: number
  readonly bytes: Uint8Array
}

interface BSONBinary {
  readonly buffer: Uint8Array
  readonly position: number
  readonly sub_type: number
}

interface Timestamp {
  toBigInt(): bigint
}

/** Bytes, or BSON's `Binary`. */
export function binaryOf(value: unknown): Binary {
  if (isUint8Array(value)) return { subtype: 0, bytes: value }
  const { sub_type, buffer, position } = value as BSONBinary
  return { subtype: sub_type, bytes: buffer.subarray(0, position) }
}

function compareBinary(a: Binary, b: Binary): number {
  return a.bytes.length - b.bytes.length || a.subtype - b.subtype || Buffer.compare(a.bytes, b.bytes)
}

export function hexOf(objectId: unknown): string {
  return (objectId as { toHexString(): string }).toHexString()
}
