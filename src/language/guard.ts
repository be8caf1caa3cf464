import type { Comparator, Guard, Operation } from './change.ts'
import { compare, equal, rankOf } from './compare.ts'
import { isNaNumber } from './numbers.ts'
import { isIndex, partsOf } from './paths.ts'
import { type Fields, isPlain } from './values.ts'
import { ValueSet } from './valueset.ts'

/** Tests one value at a path; `undefined` means absent. */
type Test = (value: unknown) => boolean

/** Whether all guards hold: whether the same filter in MongoDB would match. */
export function holds(guards: readonly Guard[], fields: Fields): boolean {
  return guards.every(guard => isMet(guard, fields))
}

function isMet({ path, comparator, arg }: Guard, fields: Fields): boolean {
  const { test, wanted } = conditionOf(comparator, arg)
  return someAt(fields, partsOf(path), 0, test) === wanted
}

type Pull = Operation & { readonly op: '$pull' }

/**
 * Which elements `$pull` removes. With a comparator alone it is a filter on the element, so MongoDB looks into one that is an
 * array, one level deep, as it does in any filter: `$pull: { a: { $gte: 2 } }` removes both `3` and `[1, 3]`. With a field it
 * is a filter on elements that are objects, and removes no others. (An exact match is `$pullAll`.)
 */
export function pulledBy({ field, comparator, arg }: Pull): Test {
  const { test, wanted } = conditionOf(comparator, arg)
  if (field === undefined) return element => someOf(element, test) === wanted
  const parts = partsOf(field)
  return element => isPlain(element) && someAt(element, parts, 0, test) === wanted
}

interface Condition {
  readonly test: Test
  /** Whether some of the values must pass the test, or none may. */
  readonly wanted: boolean
}

/** The condition for a comparator; it is made once, for all values. */
function conditionOf(comparator: Comparator, arg: unknown): Condition {
  switch (comparator) {
    case '=':
    case '!=':
      return { test: value => isEqual(value, arg), wanted: comparator === '=' }
    case 'in': {
      const values = new ValueSet(arg as readonly unknown[])
      return { test: value => values.has(value ?? null), wanted: true }
    }
    case 'exists':
      return { test: value => value !== undefined, wanted: arg === true }
    default:
      return { test: value => isOrdered(value, comparator, arg), wanted: true }
  }
}

/** `null` equals an absent value. */
function isEqual(value: unknown, arg: unknown): boolean {
  return value === undefined ? arg === null : equal(value, arg)
}

/** Only values of one type are ordered (MongoDB's "type bracketing"); NaN is neither less nor greater. */
function isOrdered(value: unknown, comparator: '<' | '<=' | '>' | '>=', arg: unknown): boolean {
  const orEqual = comparator === '<=' || comparator === '>='
  if (value === undefined) return orEqual && arg === null
  if (rankOf(value) !== rankOf(arg)) return false
  if (isNaNumber(value) || isNaNumber(arg)) return orEqual && isNaNumber(value) && isNaNumber(arg)
  const order = compare(value, arg)
  if (order === 0) return orEqual
  return order < 0 === (comparator === '<' || comparator === '<=')
}

/**
 * Whether the test accepts any of the values that a path leads to. On the way, an array stands for each of its
 * objects, and a numeric part also for the element of that index; at the end, for its elements and for itself.
 */
function someAt(fields: Fields, parts: readonly string[], start: number, test: Test): boolean {
  let current = fields
  for (let index = start; ; index++) {
    const part = parts[index] as string
    const value = Object.hasOwn(current, part) ? current[part] : undefined
    const isLast = index === parts.length - 1
    if (Array.isArray(value)) return isLast ? someOf(value, test) : someIn(value, parts, index + 1, test)
    if (isLast) return test(value)
    if (!isPlain(value)) return test(undefined)
    current = value
  }
}

function someIn(array: readonly unknown[], parts: readonly string[], start: number, test: Test): boolean {
  const part = parts[start] as string
  const position = isIndex(part) ? Number(part) : -1
  const isLast = start === parts.length - 1
  return array.some((element, index) => {
    if (isPlain(element) && someAt(element, parts, start, test)) return true
    if (index !== position) return false
    // MongoDB does not look into an element that the path's last part addresses by its index.
    if (isLast) return test(element)
    if (Array.isArray(element)) return someIn(element, parts, start + 1, test)
    return isPlain(element) && someAt(element, parts, start + 1, test)
  })
}

function someOf(value: unknown, test: Test): boolean {
  return (Array.isArray(value) && value.some(test)) || test(value)
}
