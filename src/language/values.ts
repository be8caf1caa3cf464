import { types } from 'node:util'
import { FieldError } from '../errors.ts'
import { describe, faultOfPart, isVisibleKey, quote } from './paths.ts'

/** Stored data: the fields of a session, or an object inside them. */
export type Fields = Record<string, unknown>

/** MongoDB's limit is 100. Values are checked by recursion, so a circular value ends here too. */
const MAX_NESTING = 64

/** BSON's types that a session can hold. Bytes come back as `Binary`; a UUID is a `Binary` too. */
const bsonTypes = new Set(['ObjectId', 'Long', 'Decimal128', 'Binary'])
export const bsonVersion = Symbol.for('@@mdb.bson.version')

/** An instance of one of BSON's classes. It is recognised by members of its prototype, which JSON cannot fake. */
export interface BSONInstance {
  readonly _bsontype: string
}

export function isBSON(value: unknown): value is BSONInstance {
  return typeof value === 'object' && value !== null && bsonVersion in value && '_bsontype' in value
}

/** Not by their classes: a value may be of another realm, such as a vm context. */
export const { isDate, isRegExp, isUint8Array } = types

/** An object made of keys, as opposed to an instance of a class. */
export function isPlain(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

export function isPromise<T>(value: unknown): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** A container whose members can be addressed by a path. */
export function isContainer(value: unknown): value is Fields | unknown[] {
  return Array.isArray(value) || isPlain(value)
}

/**
 * Checks a value and copies it, so that later changes by the caller have no effect.
 * Throws `FieldError` for a value that would not come back as it went in.
 */
export function literal(value: unknown, path: string, nesting = 0): unknown {
  switch (typeof value) {
    case 'boolean':
      return value
    case 'string':
      if (!value.isWellFormed()) throw refused('a string with a lone surrogate', path)
      return value
    case 'number':
      if (!Number.isFinite(value)) throw refused(`the number ${value}`, path)
      return value
    case 'bigint':
      if (value !== BigInt.asIntN(64, value)) throw refused('an integer beyond int64', path)
      return value
    case 'object':
      return value === null ? null : literalObject(value, path, nesting)
    default:
      throw refused(typeof value, path)
  }
}

function literalObject(value: object, path: string, nesting: number): unknown {
  if (nesting >= MAX_NESTING) throw refused(`more than ${MAX_NESTING} levels, or a circle`, path)
  if (Array.isArray(value)) {
    // An array with holes has fewer keys; the holes are refused below, as undefined.
    if (Object.keys(value).length > value.length) throw refused('an array with properties of its own', path)
    // By index, because map() passes over the holes of a sparse array.
    return Array.from(value, (item, index) => literal(item, `${path}.${index}`, nesting + 1))
  }
  if (isBSON(value)) {
    const { _bsontype } = value
    if (!bsonTypes.has(_bsontype)) throw refused(`BSON's ${_bsontype}`, path)
    if (isInvalidVector(value)) throw refused('an invalid vector', path)
    // An unsigned one may be too large.
    if (_bsontype === 'Long') literal((value as BSONParts).toBigInt(), path)
    return ownCopy(value)
  }
  if (isPlain(value)) return literalFields(value, path, nesting)
  if (isDate(value)) {
    if (Number.isNaN(value.getTime())) throw refused('an invalid date', path)
    if (Object.keys(value).length > 0) throw refused('a date with properties of its own', path)
    return ownCopy(value)
  }
  if (isUint8Array(value)) return Buffer.from(value)
  throw refused(describe(value), path)
}

/** The package `bson` checks a vector only when it encodes it. */
function isInvalidVector(value: BSONInstance): boolean {
  const { sub_type } = value as BSONParts
  try {
    if (sub_type === 9) (value as BSONParts).toExtendedJSON()
    return false
  } catch {
    return true
  }
}

function literalFields(value: Fields, path: string, nesting: number): Fields {
  if (Object.getOwnPropertySymbols(value).length > 0) throw refused('an object with a symbol as key', path)
  const copy: Fields = {}
  for (const key of Object.keys(value)) {
    const fault = key.includes('.') ? 'holds a dot' : faultOfPart(key)
    if (fault) throw new FieldError(`The key ${quote(key)} of the value for ${quote(path)} ${fault}`, path)
    copy[key] = literal(value[key], `${path}.${key}`, nesting + 1)
  }
  return copy
}

function refused(what: string, path: string): FieldError {
  return new FieldError(
    `The value for ${quote(path)} is ${what}, which a session cannot hold: it takes null, booleans, finite ` +
      "numbers, strings, dates, bytes, arrays, plain objects and BSON's ObjectId, Long, Decimal128 and UUID",
    path,
  )
}

/** A copy of stored data for the caller, without keys that this library never writes. */
export function copied<T>(value: T): T
export function copied(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(item => copied(item))
  if (isPlain(value)) {
    const copy: Fields = {}
    for (const key of Object.keys(value)) if (isVisibleKey(key)) copy[key] = copied(value[key])
    return copy
  }
  return ownCopy(value)
}

/**
 * A copy of a value that can be changed in place: a date, bytes, a regular expression, or one of BSON's types. Other values are
 * returned as they are.
 */
export function ownCopy<T>(value: T): T
export function ownCopy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  // Not by `instanceof`: the value may come from another realm (a vm context, a test runner).
  if (isDate(value)) return new Date(value.getTime())
  if (isUint8Array(value)) return bytesOf(value)
  if (isRegExp(value)) return new RegExp(value)
  return isBSON(value) ? ownCopyOfBSON(value) : value
}

/** A copy of the same class, `Buffer` included. Not from Buffer's pool, since the copy would keep the pool in memory. */
function bytesOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes)
}

interface BSONParts extends BSONInstance {
  readonly buffer: Uint8Array
  readonly position: number
  readonly sub_type: number
  readonly bytes: Uint8Array
  readonly low: number
  readonly high: number
  readonly unsigned: boolean
  toBigInt(): bigint
  toExtendedJSON(): unknown
}

function ownCopyOfBSON(value: BSONInstance): BSONInstance {
  const { buffer, position, sub_type, bytes, low, high, unsigned } = value as BSONParts
  switch (value._bsontype) {
    case 'ObjectId':
      return constructed(value, [value])
    case 'Binary':
      return constructed(value, [bytesOf(buffer.subarray(0, position)), sub_type])
    case 'Decimal128':
      return constructed(value, [bytesOf(bytes)])
    case 'Long':
      return constructed(value, [low, high, unsigned])
    default:
      return copyOfOthers(value)
  }
}

/** Types that only other programs store, such as Timestamp, Code and DBRef. */
function copyOfOthers(value: BSONInstance): BSONInstance {
  const copy = Object.create(Object.getPrototypeOf(value))
  for (const [name, member] of Object.entries(value)) copy[name] = copied(member)
  return copy
}

/** Calls the constructor of BSON's base class, whose arguments are known, but with the class of `like`: a UUID stays a UUID. */
function constructed(like: BSONInstance, args: readonly unknown[]): BSONInstance {
  let prototype = Object.getPrototypeOf(like)
  while (!Object.hasOwn(prototype, '_bsontype')) prototype = Object.getPrototypeOf(prototype)
  return Reflect.construct(prototype.constructor, args, like.constructor as new () => BSONInstance)
}

/** Whether a checked value comes back from a store unchanged. Bytes do not (`Binary`), nor do 64-bit integers (numbers). */
export function comesBackAlike(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(comesBackAlike)
  if (isPlain(value)) return Object.values(value).every(comesBackAlike)
  if (isBSON(value)) return value._bsontype === 'ObjectId' || value._bsontype === 'Decimal128'
  return typeof value !== 'bigint' && !isUint8Array(value)
}
