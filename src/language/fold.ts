import { FieldError } from '../errors.ts'
import type { Change, Guard, Operation } from './change.ts'
import { addCommand, type Draft } from './commands.ts'
import { exactSum } from './numbers.ts'
import { describe, MAX_PATHS, overlap, type Path, quote } from './paths.ts'
import { TouchedPaths } from './touched.ts'
import { isPlain } from './values.ts'

/** A guard may look at all elements of an array, and a visitor may determine the number of both. */
const MAX_GUARDS = 100

/**
 * Folds the calls of one chain into one change. Repeated `set`, `unset`, `inc`, `push` and `addToSet` of one path become one
 * operation. Any other call that names a path again, or its parent, is refused at the call: MongoDB would refuse the update.
 */
export class Fold implements Draft {
  readonly guards: Guard[] = []
  readonly operations: Operation[] = []
  readonly #touched = new TouchedPaths()
  /** The field whose former value is the result. */
  taken: Path | undefined

  operation(operation: Operation): void {
    const { path } = operation
    if (operation.op === '$rename' && overlap(path, operation.to)) {
      throw new FieldError(
        `rename cannot move ${quote(path)} to ${quote(operation.to)}: one holds the other`,
        path,
      )
    }
    const place = this.#placeOfOverlap(operation)
    if (place === undefined) {
      this.#add(operation)
      return
    }
    const earlier = this.operations[place] as Operation
    const folded = earlier.path === path && this.taken !== path ? foldedOf(earlier, operation) : undefined
    if (!folded) throw clashOf(earlier, operation)
    this.operations[place] = folded
  }

  #placeOfOverlap(operation: Operation): number | undefined {
    const place = this.#touched.overlapping(operation.path)
    return place === undefined && operation.op === '$rename' ? this.#touched.overlapping(operation.to) : place
  }

  #add(operation: Operation): void {
    const place = this.operations.length
    if (place === MAX_PATHS) {
      throw new FieldError(`One chain changes at most ${MAX_PATHS} fields`, operation.path)
    }
    this.#touched.add(operation.path, place)
    if (operation.op === '$rename') this.#touched.add(operation.to, place)
    this.operations.push(operation)
  }

  guard(guard: Guard): void {
    if (this.operations.length > 0) {
      throw new FieldError('if() comes before the commands it guards', guard.path)
    }
    if (this.guards.length === MAX_GUARDS) {
      throw new FieldError(`One chain has at most ${MAX_GUARDS} guards`, guard.path)
    }
    this.guards.push(guard)
  }

  take(path: Path): void {
    if (this.taken !== undefined) {
      throw new FieldError(`One chain takes one field, and this one takes ${quote(this.taken)} already`, path)
    }
    this.taken = path
  }

  change(): Change {
    return { guards: this.guards, operations: this.operations }
  }
}

/** The operations of the command `set` for an object of fields that another call was given. */
export function setting(call: string, fields: unknown): readonly Operation[] {
  if (!isPlain(fields)) throw new FieldError(`${call} takes an object of fields, not ${describe(fields)}`)
  const fold = new Fold()
  addCommand(fold, 'set', [fields])
  return fold.operations
}

/** The paths that a change touches. Its result has the fields at these paths. */
export function touchedPaths(operations: readonly Operation[]): Path[] {
  const paths: Path[] = []
  for (const operation of operations) {
    paths.push(operation.path)
    if (operation.op === '$rename') paths.push(operation.to)
  }
  return paths
}

function clashOf(earlier: Operation, operation: Operation): FieldError {
  const others = touchedPaths([operation])
  const one = touchedPaths([earlier]).find(path => others.some(other => overlap(path, other))) as Path
  const other = others.find(path => overlap(one, path)) as Path
  return new FieldError(
    `One chain cannot change ${quote(one)} and ${quote(other)}: ` +
      'MongoDB applies all of a change at once; use two chains',
    operation.path,
  )
}

/** Two operations on one path as one; `undefined` if that would not give the same result. */
function foldedOf(a: Operation, b: Operation): Operation | undefined {
  if (a.op === '$set' && b.op === '$set') return b
  if (a.op === '$unset' && b.op === '$unset') return b
  if (a.op === '$inc' && b.op === '$inc') {
    const arg = exactSum(a.arg, b.arg)
    return arg === undefined ? undefined : { ...a, arg }
  }
  if (a.op === '$addToSet' && b.op === '$addToSet') return extended(a, b.arg)
  if (a.op === '$push' && b.op === '$push') {
    // At a position, the second would be inserted before the first.
    const same = JSON.stringify(a.modifiers) === JSON.stringify(b.modifiers)
    if (same && a.modifiers.position === undefined) return extended(a, b.arg)
  }
  return undefined
}

/** Adds in place: otherwise each call would copy the whole list. The list belongs to the fold, since the command made it. */
function extended<O extends Operation & { readonly arg: readonly unknown[] }>(
  operation: O,
  more: O['arg'],
): O {
  const list = operation.arg as unknown[]
  for (const item of more) list.push(item)
  return operation
}
