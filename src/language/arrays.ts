import type { PushModifiers } from './change.ts'
import { compare } from './compare.ts'
import { valueAt } from './excerpt.ts'
import type { Path } from './paths.ts'
import { isPlain } from './values.ts'
import { ValueSet } from './valueset.ts'

/** As MongoDB's `$push` with `$each`: inserts, then sorts, then slices. */
export function pushed(
  array: readonly unknown[],
  items: readonly unknown[],
  modifiers: PushModifiers,
): unknown[] {
  const { position = array.length, sort, slice } = modifiers
  // Not by `splice`, whose arguments are bounded.
  const start = position < 0 ? Math.max(array.length + position, 0) : position
  const result = [...array.slice(0, start), ...items, ...array.slice(start)]
  if (sort !== undefined) result.sort(orderOf(sort))
  if (slice === undefined) return result
  return slice < 0 ? result.slice(slice) : result.slice(0, slice)
}

/** As MongoDB's `$addToSet` with `$each`: adds what is not there yet, in the order given. */
export function united(array: readonly unknown[], items: readonly unknown[]): readonly unknown[] {
  const missing = new ValueSet(items)
  for (const element of array) missing.delete(element)
  const added = missing.values()
  return added.length > 0 ? [...array, ...added] : array
}

export function popped(array: readonly unknown[], end: 1 | -1): readonly unknown[] {
  if (array.length === 0) return array
  return end === 1 ? array.slice(0, -1) : array.slice(1)
}

export function without(
  array: readonly unknown[],
  isRemoved: (element: unknown) => boolean,
): readonly unknown[] {
  const kept = array.filter(element => !isRemoved(element))
  return kept.length < array.length ? kept : array
}

function orderOf(sort: NonNullable<PushModifiers['sort']>): (a: unknown, b: unknown) => number {
  if (typeof sort === 'number') return (a, b) => compare(a, b) * sort
  const keys = Object.entries(sort)
  return (a, b) => {
    for (const [path, direction] of keys) {
      const order = compare(sortKey(a, path), sortKey(b, path)) * direction
      if (order !== 0) return order
    }
    return 0
  }
}

/** What is missing sorts as null, and so does any element that is no object. */
function sortKey(element: unknown, path: Path): unknown {
  return isPlain(element) ? (valueAt(element, path) ?? null) : null
}
