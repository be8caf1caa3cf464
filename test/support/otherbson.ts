import { Binary, Decimal128, Long, ObjectId } from 'mongodb'

const version = Symbol.for('@@mdb.bson.version')

/** BSON's types as another major version of the package `bson` makes them, such as the one that Mongoose 8 brings along. */
class OtherObjectId extends ObjectId {}
class OtherLong extends Long {}
class OtherDecimal128 extends Decimal128 {}
class OtherBinary extends Binary {}

/** Of `bson`, not the driver's own. */
export const otherVersion = Reflect.get(ObjectId.prototype, version) === 6 ? 7 : 6

for (const { prototype } of [OtherObjectId, OtherLong, OtherDecimal128, OtherBinary]) {
  Object.defineProperty(prototype, version, { value: otherVersion })
}

/** One of each. */
export const otherValues: readonly (readonly [type: string, value: object])[] = [
  ['ObjectId', new OtherObjectId()],
  ['Long', new OtherLong(1, 2)],
  ['Decimal128', new OtherDecimal128('1.5')],
  ['Binary', new OtherBinary(Buffer.from([1, 2]))],
]

export const otherObjectId = new OtherObjectId()
