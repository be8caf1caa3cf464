import type { SessionId } from '../../ids.ts'
import type { Change, Guard, Operation, PushModifiers } from '../../language/change.ts'
import { answerable } from '../../language/excerpt.ts'
import { isIndex, type Path, partsOf } from '../../language/paths.ts'
import type { Fields } from '../../language/values.ts'
import { ENDED_FORM, FORM } from '../../store/record.ts'

/** The filter for writes: a record that has not expired. The TTL index removes expired records some time later. */
export function live(id: SessionId, now: Date): Record<string, unknown> {
  return { _id: id, expires: { $gt: now }, v: FORM }
}

/** A record that has not been written since it was found with this, which may be no revision: every write counts it on. */
export function unwritten(id: SessionId, rev: unknown, now: Date): Record<string, unknown> {
  return { ...live(id, now), $or: [{ rev: { $eq: rev } }, { rev: { $not: { $type: 'number' } } }] }
}

/** What can be read: that, or what is left of one that has ended. */
export function readable(id: SessionId | { $in: readonly SessionId[] }, now: Date): object {
  return { _id: id, v: { $in: [FORM, ENDED_FORM] }, expires: { $gt: now } }
}

/** Fields live in `data`, so no path can name anything else. */
export function inData(path: Path): string {
  return `data.${path}`
}

export function projectionOf(paths: readonly Path[]): Record<string, unknown> {
  const projection: Record<string, unknown> = { _id: 0, rev: 1 }
  for (const path of answerable(paths)) projection[inData(path)] = 1
  return projection
}

/**
 * The filter under which a change may be applied: the session lives, the guards hold, the array elements exist. With
 * `rev`, at that revision, for which all of this has been worked out.
 */
export function filterOf(
  id: SessionId,
  { guards, operations, whileMaxAge, rev: expected }: Change,
  now: Date,
  rev?: number,
): Record<string, unknown> {
  const filter = live(id, now)
  if (whileMaxAge !== undefined) filter.maxAge = whileMaxAge
  if (expected !== undefined) filter.rev = expected
  if (rev !== undefined) {
    filter.rev = rev
    return filter
  }
  const conditions = [...guards.map(conditionOf), ...operations.flatMap(elementsExist)]
  if (conditions.length > 0) filter.$and = conditions
  return filter
}

/**
 * The filter of a change in a bulk, of which the server counts those that found their session and tells apart only those
 * that failed. So for a document that the filter does not match this fails: the size of what is no array is an error.
 */
export function matchedOrFailing(id: SessionId, filter: object): object {
  return { _id: id, $or: [filter, failing] }
}

const failing = { $expr: { $size: '$_id' } }

const queryOperators = {
  '=': '$eq',
  '!=': '$ne',
  '<': '$lt',
  '<=': '$lte',
  '>': '$gt',
  '>=': '$gte',
  in: '$in',
  exists: '$exists',
} as const

function conditionOf({ path, comparator, arg }: Guard): object {
  return { [inData(path)]: { [queryOperators[comparator]]: arg } }
}

/**
 * MongoDB would fill an array with nulls up to the element that a path names; these refuse it. They refuse some that would
 * be right too, where elements have the number as a key or an index of their own.
 */
function elementsExist(operation: Operation): object[] {
  if (!/\d/.test(operation.path) || !creates(operation)) return []
  const parts = partsOf(operation.path)
  return parts.flatMap<object>((part, at) => {
    if (!/^\d+$/.test(part)) return []
    // Somebody's hand may have made a list of the fields themselves.
    if (at === 0) return [{ data: { $not: { $type: 'array' } } }]
    const array = inData(parts.slice(0, at).join('.'))
    const isNone = { [array]: { $not: { $type: 'array' } } }
    // MongoDB refuses it; some servers that speak its protocol take 007 for an index.
    if (!isIndex(part)) return [isNone]
    const isElement = {
      [`${array}.${part}`]: { $exists: true },
      [array]: { $not: { $elemMatch: { [part]: { $exists: true } } } },
    }
    return [{ $or: [isNone, isElement] }]
  })
}

function creates({ op }: Operation): boolean {
  return op !== '$unset' && op !== '$rename' && op !== '$pop' && op !== '$pull' && op !== '$pullAll'
}

/** The change as it is to be applied to a record whose lifetime is another than it goes by. */
export function withoutExtension({ whileMaxAge: _, expires: __, ...rest }: Change): Change {
  return rest
}

/** The change as MongoDB's update document. */
export function updateOf({ operations, expires, maxAge }: Change): Record<string, Fields> {
  const update: Record<string, Fields> = { $inc: { rev: 1 } }
  for (const operation of operations) {
    const arguments_ = update[operation.op] ?? {}
    arguments_[inData(operation.path)] = argumentOf(operation)
    update[operation.op] = arguments_
  }
  if (maxAge !== undefined) update.$set = { ...update.$set, maxAge, ...(expires && { expires }) }
  else if (expires) update.$max = { ...update.$max, expires }
  return update
}

function argumentOf(operation: Operation): unknown {
  switch (operation.op) {
    case '$set':
    case '$inc':
    case '$mul':
    case '$min':
    case '$max':
    case '$pop':
    case '$pullAll':
      return operation.arg
    case '$unset':
      return ''
    case '$rename':
      return inData(operation.to)
    case '$currentDate':
      return true
    // Always in $each: an object that a visitor sent is an element, never a modifier.
    case '$push':
      return pushArgument(operation.arg, operation.modifiers)
    case '$addToSet':
      return { $each: operation.arg }
    case '$pull': {
      const condition = { [queryOperators[operation.comparator]]: operation.arg }
      return operation.field === undefined ? condition : { [operation.field]: condition }
    }
  }
}

function pushArgument(each: readonly unknown[], { slice, sort, position }: PushModifiers): object {
  return {
    $each: each,
    ...(position !== undefined && { $position: position }),
    ...(sort !== undefined && { $sort: sort }),
    ...(slice !== undefined && { $slice: slice }),
  }
}
