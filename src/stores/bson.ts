import { types } from 'node:util'
import { SessionTooLargeError } from '../errors.ts'
import type { Change, Guard, Operation } from '../language/change.ts'
import { excerpt } from '../language/excerpt.ts'
import { holds } from '../language/guard.ts'
import { applied } from '../language/operators.ts'
import { type Path, partsOf } from '../language/paths.ts'
import { bsonVersion, type Fields } from '../language/values.ts'
import { foreignValue, type Given } from '../store/encoding.ts'
import { cut, elementsOf, spliced } from './elements.ts'
import { neededPackage } from './packages.ts'
import { requireBSON } from './require.cjs'

export type BSON = typeof import('bson')

let loaded: BSON | undefined

/**
 * Loads `bson` with `require`, as the driver does: an import would load a second copy, with another class `ObjectId`.
 * @throws {ConfigurationError} if it is not installed. A store calls this when it is created, not at its first request.
 */
export function bsonFor(store: string): BSON {
  loaded ??= neededPackage(store, 'bson', requireBSON)
  return loaded
}

function bson(): BSON {
  return bsonFor('This store')
}

/** Refuses values of another version of `bson` before anything is done, as MongoDB's driver does. */
export function assertEncodable(given: Given): void {
  const fault = foreignValue(given, Reflect.get(bson().ObjectId.prototype, bsonVersion))
  if (fault) throw fault
}

/** The size of the buffer that `bson` encodes in. Beyond it, strings and numbers are cut off in silence, and the rest is a `RangeError`. */
const MAX_BYTES = 17 * 1024 * 1024

/** Fields as BSON, so that what comes back is what MongoDB would give, types included. Throws `SessionTooLargeError` beyond 17 MiB. */
export function encode(fields: Fields): Uint8Array {
  const bytes = encodedWhole(fields)
  if (bytes.length > MAX_BYTES) throw new SessionTooLargeError()
  return bytes
}

function encodedWhole(fields: Fields): Uint8Array {
  try {
    return bson().serialize(fields)
  } catch (error) {
    if (isNamed(error, /^RangeError$/)) throw new SessionTooLargeError(undefined, { cause: error })
    throw error
  }
}

/** As MongoDB's driver reads: integers and doubles are numbers, 64-bit integers too where a number can hold them. */
export function decode(bytes: Uint8Array): Fields {
  // Copied, since the bytes, ObjectIds and UUIDs that come out share the memory of what goes in.
  return bson().deserialize(new Uint8Array(bytes))
}

/** The same, with each number's kind: arithmetic differs for the integer 2 and the double 2. */
export function decodeExactly(bytes: Uint8Array): Fields {
  return bson().deserialize(bytes, { promoteValues: false })
}

/**
 * Runs `look`, which reads stored fields; `undefined` if they are damaged. Damage in one session must not affect others.
 * A `SyntaxError` comes from stored JSON, or from a regular expression in BSON. Errors of this library pass through.
 */
export function sound<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (isNamed(error, /^(?:RangeError$|SyntaxError$|BSON)/)) return undefined
    throw error
  }
}

/** Not by `instanceof`: `bson` may be of another realm (a vm context, a test runner). */
function isNamed(error: unknown, names: RegExp): boolean {
  return types.isNativeError(error) && names.test(error.name)
}

/** The stored fields at these paths. Only the top-level fields that contain them are decoded. */
export function read(bytes: Uint8Array, paths: readonly Path[]): Fields {
  return excerpt(bson().deserialize(cut(bytes, namesOf(paths))), paths)
}

/** Whether the guards hold for stored fields. */
export function meets(bytes: Uint8Array, guards: readonly Guard[]): boolean {
  if (guards.length === 0) return true
  return holds(guards, decodeExactly(cut(bytes, namesOf(guards.map(({ path }) => path)))))
}

/**
 * The stored fields after a change. Only the top-level fields that it touches are decoded and encoded again. Throws `CommandError` if
 * MongoDB would refuse it.
 */
export function changed(bytes: Uint8Array, { operations }: Change): Uint8Array {
  if (operations.length === 0) return bytes
  const names = namesOf(touchedPaths(operations))
  const { Double } = bson()
  const elements = elementsOf(bytes)
  const before = decodeExactly(cut(bytes, names, elements))
  const after = applied(before, operations, { double: number => new Double(number) })
  return after === before ? bytes : spliced(bytes, names, encode(after), elements)
}

function touchedPaths(operations: readonly Operation[]): Path[] {
  const paths: Path[] = []
  for (const operation of operations) {
    paths.push(operation.path)
    if (operation.op === '$rename') paths.push(operation.to)
  }
  return paths
}

/** The top-level fields that the paths lead through. */
export function namesOf(paths: readonly Path[]): ReadonlySet<string> {
  const names = new Set<string>()
  for (const path of paths) names.add(partsOf(path)[0] as string)
  return names
}
