import { Binary, Decimal128, Double, Long, serialize } from 'bson'
import type { Change, Guard, Operation, PushModifiers } from '../../src/language/change.ts'
import { equal, rankOf } from '../../src/language/compare.ts'
import { isIndex } from '../../src/language/paths.ts'
import { type Fields, isContainer, isPlain } from '../../src/language/values.ts'

/** Something that mongo-java-server does otherwise than MongoDB. Cases that meet it are left out when it is the server. */
interface Difference {
  readonly reason: string
  operation?(operation: Operation, place: Place, fields: Fields): boolean
  guard?(guard: Guard, place: Place): boolean
}

/** Where a path leads. */
interface Place {
  readonly parts: readonly string[]
  /** The values on the way, of the parts that exist. */
  readonly trail: readonly unknown[]
  /** What is at its end, if anything. */
  readonly value: unknown
}

const differences: readonly Difference[] = [
  {
    reason: 'null is treated as missing: a parent is made in its place, and arrays and numbers too',
    operation: ({ op }, { trail, value, parts }) =>
      (trail.length < parts.length && trail.at(-1) === null) || (value === null && takesKind(op)),
  },
  {
    reason: 'a value is not replaced by one that equals it, so that a number keeps its kind',
    operation: (operation, { value }) => operation.op === '$set' && isEqualButOther(value, operation.arg),
  },
  {
    reason: 'a name addresses all elements of an array that are objects, or is ignored, where it is an error',
    operation: ({ op }, { trail, parts }) =>
      Array.isArray(trail.at(-1)) &&
      trail.length < parts.length &&
      !isIndex(parts[trail.length] as string) &&
      (trail.length < parts.length - 1 || !['$rename', '$currentDate', '$push', '$addToSet'].includes(op)),
  },
  {
    reason: 'a number with zeros before it is an index',
    operation: (_, place) => isPaddedIndex(place),
    guard: (_, place) => isPaddedIndex(place),
  },
  {
    reason: 'removing from an array below a scalar is ignored, where it is an error',
    operation: ({ op }, { trail, parts }) =>
      ['$pop', '$pull', '$pullAll'].includes(op) &&
      trail.length > 0 &&
      trail.length < parts.length &&
      !isContainer(trail.at(-1)),
  },
  {
    reason: 'fields are renamed into arrays, and a missing source in an array is refused',
    operation: ({ op }, place) => op === '$rename' && isThroughArray(place),
  },
  {
    reason:
      'an equal number of another kind is another element of a set, and replaces the target of a rename',
    operation: (operation, { value }, fields) => {
      if (operation.op === '$rename') return isEqualButOther(placeOf(fields, operation.to).value, value)
      return operation.op === '$addToSet' && hasEqualButOther([...elementsOf(value), ...operation.arg])
    },
  },
  {
    reason: 'arrays, objects and strings beyond the first plane are ordered otherwise',
    operation: (operation, { value }) => {
      switch (operation.op) {
        case '$min':
        case '$max':
          return (
            isOrderedOtherwise(value) &&
            isOrderedOtherwise(operation.arg) &&
            rankOf(value) === rankOf(operation.arg)
          )
        case '$push':
          return isSortedOtherwise([...elementsOf(value), ...operation.arg], operation.modifiers.sort)
        case '$pull':
          return (
            isOrdering(operation.comparator) &&
            isOrderedOtherwise(operation.arg) &&
            elementsOf(value).some(item => rankOf(item) === rankOf(operation.arg))
          )
        default:
          return false
      }
    },
    guard: ({ comparator, arg }, place) =>
      isOrdering(comparator) &&
      isOrderedOtherwise(arg) &&
      (isThroughArray(place) ||
        [place.value, ...elementsOf(place.value)].some(value => rankOf(value) === rankOf(arg))),
  },
  {
    reason: 'numbers of different kinds are compared after a conversion that loses digits',
    operation: ({ op, ...rest }, { value }) =>
      op !== '$inc' && op !== '$mul' && 'arg' in rest && areComparedOtherwise([value, rest.arg]),
    guard: ({ arg }, { trail }) => areComparedOtherwise([trail[0], arg]),
  },
  {
    reason: 'a decimal that is too small for a double equals 0',
    operation: ({ op, ...rest }, { value }) =>
      op !== '$inc' && op !== '$mul' && 'arg' in rest && [value, rest.arg].some(hasTinyDecimal),
    guard: ({ arg }, { trail }) => [trail[0], arg].some(hasTinyDecimal),
  },
  {
    reason: 'null, objects and arrays are looked for in arrays otherwise',
    guard: ({ comparator, arg }, { trail }) =>
      trail.some(Array.isArray) &&
      [arg, ...(comparator === 'in' ? elementsOf(arg) : [])].some(isNullOrContainer),
  },
  {
    reason: 'an element that a path ends at by its index is looked into',
    guard: (_, { trail, value }) => Array.isArray(value) && Array.isArray(trail.at(-2)),
  },
  {
    reason: 'a number after an array is never a key of its elements',
    guard: (_, { parts, trail }) =>
      trail.some(
        (array, index) =>
          elementsOf(array).some(item => isPlain(item) && Object.hasOwn(item, parts[index + 1] ?? '')) &&
          isIndex(parts[index + 1] ?? ''),
      ),
  },
  {
    reason: 'arrays in arrays are looked into',
    guard: (_, { parts, trail }) =>
      trail.slice(0, parts.length - 1).some(array => elementsOf(array).some(Array.isArray)),
  },
  {
    reason: 'whether a field exists in the objects of an array is asked otherwise',
    guard: ({ comparator }, place) => comparator === 'exists' && isThroughArray(place),
  },
  {
    reason: 'null is neither less than or equal to null nor greater',
    operation: operation =>
      operation.op === '$pull' && isOrdering(operation.comparator) && operation.arg === null,
    guard: ({ comparator, arg }) => isOrdering(comparator) && arg === null,
  },
  {
    reason: 'an element to remove is also looked for as a query that it would be',
    operation: (operation, { value }) => operation.op === '$pullAll' && elementsOf(value).some(isPlain),
  },
  {
    reason: 'a condition on elements does not look into those that are arrays',
    operation: (operation, { value }) => operation.op === '$pull' && elementsOf(value).some(Array.isArray),
  },
  {
    reason: 'a condition on a field of elements is asked of those that are no objects, too',
    operation: (operation, { value }) =>
      operation.op === '$pull' &&
      operation.field !== undefined &&
      elementsOf(value).some(item => !isPlain(item)),
  },
  {
    reason: 'sorting by a field looks into all elements of an array, and into none by its index',
    operation: (operation, { value }) =>
      operation.op === '$push' &&
      fieldsOf(operation.modifiers.sort).some(field =>
        [...elementsOf(value), ...operation.arg].some(
          item => isPlain(item) && isThroughArray(placeOf(item, field)),
        ),
      ),
  },
  {
    reason: 'an int64 that overflows wraps around',
    operation: ({ op, ...rest }, { value }) => 'arg' in rest && isOverflowing(op, value, rest.arg),
  },
  {
    reason: 'there is no minus zero in arithmetic',
    operation: ({ op, ...rest }, { value }) =>
      (op === '$inc' || op === '$mul') && 'arg' in rest && [value, rest.arg].some(isZero),
  },
  {
    reason:
      'a decimal that would be rounded is refused, its exponent is another, and a double has all its digits',
    operation: ({ op, ...rest }, { value }) =>
      (op === '$inc' || op === '$mul') &&
      'arg' in rest &&
      [value, rest.arg].some(n => n instanceof Decimal128) &&
      ![value, rest.arg].every(isShortDecimal),
  },
  {
    reason: 'a negative position beyond the start of an array is refused',
    operation: (operation, { value }) =>
      operation.op === '$push' && (operation.modifiers.position ?? 0) < -elementsOf(value).length,
  },
]

function isPaddedIndex({ parts, trail }: Place): boolean {
  return trail.some((value, index) => Array.isArray(value) && /^0\d/.test(parts[index + 1] ?? ''))
}

function isOverflowing(op: Operation['op'], a: unknown, b: unknown): boolean {
  if (!isInteger(a) || !isInteger(b)) return false
  const [x, y] = [BigInt(String(a)), BigInt(String(b))]
  const result = op === '$inc' ? x + y : op === '$mul' ? x * y : 0n
  return BigInt.asIntN(64, result) !== result
}

function isInteger(value: unknown): boolean {
  return (
    isLong(value) ||
    (Number.isInteger(value) && (value as number) < 2 ** 31 && (value as number) >= -(2 ** 31))
  )
}

function isZero(value: unknown): boolean {
  return (value instanceof Double && value.value === 0) || Object.is(value, -0)
}

function isShortDecimal(value: unknown): boolean {
  // Neither 0 nor 1: MongoDB leaves a number alone, zeros at its end included, where the result equals it.
  return value instanceof Decimal128 && /^-?[1-9][0-9.]{0,11}$/.test(String(value)) && !equal(value, 1)
}

function isOrdering(comparator: string): boolean {
  return comparator.startsWith('<') || comparator.startsWith('>')
}

function isNullOrContainer(value: unknown): boolean {
  return value === null || isContainer(value)
}

function isOrderedOtherwise(value: unknown): boolean {
  if (value instanceof Uint8Array || value instanceof Binary) return true
  return isContainer(value) || (typeof value === 'string' && /[\ud800-\uffff]/.test(value))
}

function areComparedOtherwise(values: unknown): boolean {
  return (
    (holdsSome(values, isHuge) && holdsSome(values, isLong)) ||
    (holdsSome(values, value => value instanceof Decimal128) && holdsSome(values, isFraction))
  )
}

function hasTinyDecimal(values: unknown): boolean {
  return holdsSome(
    values,
    value => value instanceof Decimal128 && Number(String(value)) === 0 && /[1-9]/.test(coefficientOf(value)),
  )
}

function coefficientOf(decimal: Decimal128): string {
  return String(decimal).split('E')[0] as string
}

function isHuge(value: unknown): boolean {
  const isNumeric = value instanceof Decimal128 || typeof value === 'number'
  return isNumeric && Math.abs(Number(String(value))) >= 2 ** 63
}

function isLong(value: unknown): boolean {
  return typeof value === 'bigint' || value instanceof Long
}

function isFraction(value: unknown): boolean {
  return typeof value === 'number' && !Number.isInteger(value)
}

function holdsSome(value: unknown, accept: (value: unknown) => boolean): boolean {
  return accept(value) || (isContainer(value) && Object.values(value).some(item => holdsSome(item, accept)))
}

function isSortedOtherwise(items: readonly unknown[], sort: PushModifiers['sort']): boolean {
  if (sort === undefined || items.length < 2) return false
  if (typeof sort !== 'object') return items.some(isOrderedOtherwise)
  return items.some(
    item => !isPlain(item) || fieldsOf(sort).some(key => isOrderedOtherwise(placeOf(item, key).value)),
  )
}

function fieldsOf(sort: PushModifiers['sort']): string[] {
  return typeof sort === 'object' ? Object.keys(sort) : []
}

/** Whether an array is on the way. */
function isThroughArray({ parts, trail }: Place): boolean {
  return trail.slice(0, parts.length - 1).some(Array.isArray)
}

function elementsOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function hasEqualButOther(items: readonly unknown[]): boolean {
  return items.some((item, index) => items.slice(0, index).some(other => isEqualButOther(item, other)))
}

function takesKind(op: Operation['op']): boolean {
  return !['$set', '$unset', '$min', '$max', '$currentDate', '$rename'].includes(op)
}

function isEqualButOther(a: unknown, b: unknown): boolean {
  return a !== undefined && equal(a, b) && Buffer.compare(serialize({ a }), serialize({ a: b })) !== 0
}

/** Why mongo-java-server would treat the change otherwise than MongoDB, if it would. */
export function differenceIn(fields: Fields, { guards, operations }: Change): string | undefined {
  return differences.find(
    ({ operation, guard }) =>
      (operation &&
        operations.some(o => pathsOf(o).some(path => operation(o, placeOf(fields, path), fields)))) ||
      (guard &&
        (guards.some(g => guard(g, placeOf(fields, g.path))) ||
          operations.some(o => elementGuards(o, fields).some(([g, place]) => guard(g, place))))),
  )?.reason
}

/** What a pull by a field asks of each element is what a guard asks of a session. */
function elementGuards(operation: Operation, fields: Fields): [Guard, Place][] {
  if (operation.op !== '$pull' || operation.field === undefined) return []
  const { path, field, comparator, arg } = operation
  const elements = elementsOf(placeOf(fields, path).value).filter(isPlain)
  return elements.map(element => [{ path: field, comparator, arg }, placeOf(element, field)])
}

/** Whether MongoDB would fill an array with nulls to reach an element, which is an error here. */
export function fillsAnArray(fields: Fields, { op, path }: Operation): boolean {
  if (['$unset', '$rename', '$pop', '$pull', '$pullAll'].includes(op)) return false
  const { parts, trail } = placeOf(fields, path)
  return Array.isArray(trail.at(-1)) && trail.length < parts.length && isIndex(parts[trail.length] as string)
}

function pathsOf(operation: Operation): string[] {
  return operation.op === '$rename' ? [operation.path, operation.to] : [operation.path]
}

function placeOf(fields: Fields, path: string): Place {
  const parts = path.split('.')
  const trail: unknown[] = []
  let current: unknown = fields
  for (const part of parts) {
    if (!isContainer(current) || !Object.hasOwn(current, part)) return { parts, trail, value: undefined }
    current = (current as Fields)[part]
    trail.push(current)
  }
  return { parts, trail, value: current }
}
