import { createRequire } from 'node:module'
import type { Change } from '../core/change.ts'
import { applied } from '../core/operators.ts'
import type { Fields } from '../core/values.ts'

// Required, as the driver requires it: imported, it would be a second copy, whose ObjectId is not `instanceof` the driver's.
const { Double, deserialize, serialize }: typeof import('bson') = createRequire(import.meta.url)('bson')

/** Fields as BSON, so that what comes back is what MongoDB would give, types included. */
export function encode(fields: Fields): Uint8Array {
  return serialize(fields)
}

/** As MongoDB's driver reads: integers and doubles are numbers, 64-bit integers too where a number can hold them. */
export function decode(bytes: Uint8Array): Fields {
  // Copied, since the bytes, ObjectIds and UUIDs that come out share the memory of what goes in.
  return deserialize(new Uint8Array(bytes))
}

/** Without that promotion, since whether 2 is an integer or a double decides what arithmetic makes of it. */
export function decodeExactly(bytes: Uint8Array): Fields {
  return deserialize(bytes, { promoteValues: false })
}

/** Stored fields as a change leaves them. Throws `CommandError` where MongoDB would refuse it. */
export function changed(bytes: Uint8Array, { operations }: Change): Uint8Array {
  return encode(applied(decodeExactly(bytes), operations, { double: number => new Double(number) }))
}
