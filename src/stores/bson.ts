import type { Change } from '../language/change.ts'
import { applied } from '../language/operators.ts'
import { bsonVersion, type Fields } from '../language/values.ts'
import { foreignValue, type Given } from '../store/encoding.ts'
import { neededPackage } from './packages.ts'
import { requireBSON } from './require.cjs'

let loaded: typeof import('bson') | undefined

/**
 * Required, as the driver requires it: imported, it would be a second copy, whose ObjectId is not `instanceof` the driver's.
 * @throws {ConfigurationError} where it is not installed: a store asks when it is made, rather than in its first request.
 */
export function bsonFor(store: string): typeof import('bson') {
  loaded ??= neededPackage(store, 'bson', requireBSON)
  return loaded
}

function bson(): typeof import('bson') {
  return bsonFor('This store')
}

/** Refuses values of another version of `bson` before anything is done, as MongoDB's driver does. */
export function assertEncodable(given: Given): void {
  const fault = foreignValue(given, Reflect.get(bson().ObjectId.prototype, bsonVersion))
  if (fault) throw fault
}

/** Fields as BSON, so that what comes back is what MongoDB would give, types included. */
export function encode(fields: Fields): Uint8Array {
  return bson().serialize(fields)
}

/** As MongoDB's driver reads: integers and doubles are numbers, 64-bit integers too where a number can hold them. */
export function decode(bytes: Uint8Array): Fields {
  // Copied, since the bytes, ObjectIds and UUIDs that come out share the memory of what goes in.
  return bson().deserialize(new Uint8Array(bytes))
}

/** Without that promotion, since whether 2 is an integer or a double decides what arithmetic makes of it. */
export function decodeExactly(bytes: Uint8Array): Fields {
  return bson().deserialize(bytes, { promoteValues: false })
}

/** Stored fields as a change leaves them. Throws `CommandError` where MongoDB would refuse it. */
export function changed(bytes: Uint8Array, { operations }: Change): Uint8Array {
  const { Double } = bson()
  return encode(applied(decodeExactly(bytes), operations, { double: number => new Double(number) }))
}
