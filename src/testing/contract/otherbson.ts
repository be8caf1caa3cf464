import type { BSON } from '../../stores/bson.ts'

const version = Symbol.for('@@mdb.bson.version')

/** Of `bson`, not the given one's. */
export function otherVersionOf({ ObjectId }: BSON): number {
  return Reflect.get(ObjectId.prototype, version) === 6 ? 7 : 6
}

/**
 * BSON's types as another major version of the package `bson` makes them, such as the one that Mongoose 8 brings along; one value
 * of each.
 */
export function otherValuesOf(bson: BSON): (readonly [type: string, value: object])[] {
  class OtherObjectId extends bson.ObjectId {}
  class OtherLong extends bson.Long {}
  class OtherDecimal128 extends bson.Decimal128 {}
  class OtherBinary extends bson.Binary {}
  for (const { prototype } of [OtherObjectId, OtherLong, OtherDecimal128, OtherBinary]) {
    Object.defineProperty(prototype, version, { value: otherVersionOf(bson) })
  }
  return [
    ['ObjectId', new OtherObjectId()],
    ['Long', new OtherLong(1, 2)],
    ['Decimal128', new OtherDecimal128('1.5')],
    ['Binary', new OtherBinary(Uint8Array.from([1, 2]))],
  ]
}
