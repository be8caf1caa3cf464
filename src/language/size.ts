import { SessionTooLargeError } from '../errors.ts'
import type { Operation } from './change.ts'
import { isBSON, isDate, isPlain, isUint8Array } from './values.ts'

/** The size in BSON of checked fields, as MongoDB's `$bsonSize` counts (https://bsonspec.org). */
export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case 'boolean':
      return 1
    case 'number':
      // An integer of 32 bits. -0 is a double.
      return Object.is(value | 0, value) ? 4 : 8
    case 'bigint':
      return 8
    case 'string':
      return 5 + Buffer.byteLength(value)
    default:
      return value === null || value === undefined ? 0 : sizeOfObject(value)
  }
}

function sizeOfObject(value: object): number {
  if (isDate(value)) return 8
  if (isUint8Array(value)) return 5 + value.length
  if (isBSON(value)) return sizeOfBSON(value)
  if (!Array.isArray(value) && !isPlain(value)) return 0
  let size = 5
  for (const [key, member] of Object.entries(value)) size += 2 + Buffer.byteLength(key) + sizeOf(member)
  return size
}

function sizeOfBSON(value: {
  readonly _bsontype: string
  readonly position?: unknown
  readonly sub_type?: unknown
}): number {
  switch (value._bsontype) {
    case 'ObjectId':
      return 12
    case 'Decimal128':
      return 16
    case 'Binary':
      return 5 + Number(value.position) + (value.sub_type === 2 ? 4 : 0)
    default:
      return 8
  }
}

/** The most bytes that an operation can add to the fields. */
export function growthOf(operation: Operation): number {
  switch (operation.op) {
    case '$unset':
    case '$pop':
    case '$pull':
    case '$pullAll':
      return 0
    case '$rename':
      return PATH + Buffer.byteLength(operation.to)
    case '$push':
    case '$addToSet':
      return growthBy(operation) + INDEX * operation.arg.length
    case '$currentDate':
      return PATH + Buffer.byteLength(operation.path)
    default:
      return growthBy(operation)
  }
}

function growthBy({ path, arg }: Operation & { readonly arg: unknown }): number {
  return PATH + Buffer.byteLength(path) * 2 + sizeOf(arg)
}

/** Room for a new object at each part of the longest path, and for a number that becomes 64 bits wide. */
const PATH = 16 * 8

/** How much longer the key of an element can be in the stored array than in the given one. */
const INDEX = 8

/** The `maxSize` of a change, if the change can make a session larger. Throws if its values alone exceed it. */
export function boundOf(operations: readonly Operation[], maxSize: number): { readonly maxSize?: number } {
  const growth = operations.reduce((sum, operation) => sum + growthOf(operation), 0)
  const isTooLarge = (operation: Operation) => 'arg' in operation && sizeOf(operation.arg) > maxSize
  if (growth > maxSize && operations.some(isTooLarge)) throw new SessionTooLargeError()
  return growth > 0 ? { maxSize } : {}
}
