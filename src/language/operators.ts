import { CommandError } from '../errors.ts'
import { popped, pushed, united, without } from './arrays.ts'
import type { Operation } from './change.ts'
import { compare, compareStrings, equal } from './compare.ts'
import { edited, type Owned, type Reach } from './edit.ts'
import { pulledBy } from './guard.ts'
import { type DoubleMaker, isNumber, product, sum } from './numbers.ts'
import { describe, isIndex, type Path, partsOf, quote } from './paths.ts'
import { type Fields, isContainer, isPlain } from './values.ts'
import { ValueSet } from './valueset.ts'

/** What operators get from the store that applies them. */
export interface Context {
  /** The date that `$currentDate` writes. @default the current time of this process */
  readonly now?: Date
  /** @default the number itself */
  readonly double?: DoubleMaker
}

/** https://www.mongodb.com/docs/manual/reference/limits/ */
const MAX_NESTING = 100

/**
 * The fields after these operations, as an update in MongoDB 5.0 or newer would leave them. No two operations may overlap. The given
 * fields are not changed; unchanged parts are shared with the result.
 *
 * Throws `CommandError` if MongoDB would refuse the update. By a rule of this library it also throws if MongoDB would fill an array
 * with nulls to reach an element that does not exist.
 */
export function applied(fields: Fields, operations: readonly Operation[], context: Context = {}): Fields {
  const owned: Owned = new Set()
  let result = fields
  for (const operation of inOrder(operations)) result = after(operation, result, context, owned)
  return result
}

function after(operation: Operation, fields: Fields, context: Context, owned: Owned): Fields {
  const { path } = operation
  const edit = (reach: Reach, value: (current: unknown) => unknown) =>
    edited(fields, { path, parts: partsOf(path), reach, value }, owned)
  switch (operation.op) {
    case '$set':
      return edit('create', () => operation.arg)
    case '$unset':
      return edit('find if any', () => undefined)
    case '$rename':
      return renamed(fields, path, operation.to, owned)
    case '$inc':
    case '$mul':
      return edit('create', current => calculated(current, operation, context))
    case '$min':
      return edit('create', current => (isKept(current, operation.arg, -1) ? current : operation.arg))
    case '$max':
      return edit('create', current => (isKept(current, operation.arg, 1) ? current : operation.arg))
    case '$currentDate':
      return edit('create', () => new Date(context.now ?? Date.now()))
    case '$push':
      return edit('create', current =>
        pushed(arrayOf(current, operation) ?? [], operation.arg, operation.modifiers),
      )
    case '$addToSet':
      return edit('create', current => united(arrayOf(current, operation) ?? [], operation.arg))
    case '$pop':
      return edit('find', current => reduced(current, operation, array => popped(array, operation.arg)))
    case '$pull':
      return edit('find', current =>
        reduced(current, operation, array => without(array, pulledBy(operation))),
      )
    case '$pullAll':
      return edit('find', current =>
        reduced(current, operation, array => {
          const values = new ValueSet(operation.arg)
          return without(array, element => values.has(element))
        }),
      )
    default:
      return unreachable(operation)
  }
}

function calculated(current: unknown, operation: Operation & { arg: unknown }, context: Context): unknown {
  const { op, path, arg } = operation
  const double = context.double ?? (n => n)
  // MongoDB makes a missing field a zero of the argument's kind before it multiplies.
  if (current === undefined) return op === '$inc' ? arg : product(arg, 0, double)
  if (!isNumber(current)) {
    throw new CommandError(
      `${op} needs a number at ${quote(path)}, which is of type ${describe(current)}`,
      path,
    )
  }
  const result = op === '$inc' ? sum(current, arg, double) : product(current, arg, double)
  if (result !== undefined) return result
  throw new CommandError(`${op} would make ${quote(path)} an integer beyond 64 bits`, path)
}

function isKept(current: unknown, arg: unknown, direction: 1 | -1): boolean {
  return current !== undefined && compare(current, arg) * direction >= 0
}

function arrayOf(current: unknown, { op, path }: Operation): readonly unknown[] | undefined {
  if (current === undefined || Array.isArray(current)) return current
  throw new CommandError(
    `${op} needs an array at ${quote(path)}, which is of type ${describe(current)}`,
    path,
  )
}

/** Removing elements from an absent array leaves it absent. */
function reduced(
  current: unknown,
  operation: Operation,
  reduce: (array: readonly unknown[]) => unknown,
): unknown {
  const array = arrayOf(current, operation)
  return array && reduce(array)
}

function renamed(fields: Fields, path: Path, to: Path, owned: Owned): Fields {
  const value = movable(fields, path)
  if (value === undefined) return fields
  const parts = partsOf(to)
  if (parts.length + nestingOf(value) > MAX_NESTING) {
    throw new CommandError(`${quote(path)} cannot be renamed: ${quote(to)} would nest it too deep`, path)
  }
  // MongoDB does not write a target that already equals the source, even if it is another kind of number.
  const write = (current: unknown) => (current !== undefined && equal(current, value) ? current : value)
  const written = edited(fields, { path: to, parts, reach: 'create outside arrays', value: write }, owned)
  const remove = () => undefined
  return edited(written, { path, parts: partsOf(path), reach: 'find if any', value: remove }, owned)
}

/** The value that `$rename` moves; `undefined` if it is absent. A source below a scalar or in an array is an error. */
function movable(fields: Fields, path: Path): unknown {
  let current: unknown = fields
  let isInArray = false
  for (const part of partsOf(path)) {
    if (Array.isArray(current) ? !isIndex(part) : !isPlain(current)) {
      throw new CommandError(`${quote(path)} leads nowhere: ${describe(current)} has no ${quote(part)}`, path)
    }
    isInArray ||= Array.isArray(current)
    if (!Object.hasOwn(current as Fields, part)) return undefined
    current = (current as Fields)[part]
  }
  if (isInArray) throw new CommandError(`$rename cannot take ${quote(path)} out of an array`, path)
  return current
}

function nestingOf(value: unknown): number {
  if (!isContainer(value)) return 0
  return 1 + Object.values(value).reduce((deepest: number, item) => Math.max(deepest, nestingOf(item)), 0)
}

/** MongoDB's order since 5.0, in which new fields are created: by name, numbers by value. */
function inOrder(operations: readonly Operation[]): readonly Operation[] {
  if (operations.length < 2) return operations
  return operations
    .map(operation => ({ operation, parts: partsOf(targetOf(operation)) }))
    .sort((a, b) => compareParts(a.parts, b.parts))
    .map(({ operation }) => operation)
}

function targetOf(operation: Operation): Path {
  return operation.op === '$rename' ? operation.to : operation.path
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index]
    if (other === undefined) return 1
    if (part !== other) return comparePart(part, other)
  }
  return a.length - b.length
}

/** Parts that begin with a digit are ordered by length first. */
function comparePart(a: string, b: string): number {
  const isNumeric = /^(?:0$|[1-9])/
  if (isNumeric.test(a) && isNumeric.test(b) && a.length !== b.length) return a.length - b.length
  return compareStrings(a, b)
}

function unreachable(operation: never): never {
  throw new TypeError(`Unknown operator: ${(operation as Operation).op}`)
}
