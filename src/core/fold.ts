import type { Change, Guard, Operation } from './change.ts'
import type { Draft } from './commands.ts'
import { FieldError } from './errors.ts'
import { overlap, type Path, quote } from './paths.ts'
import { literal } from './values.ts'

/** Each is compared with those before it, and visitors may have chosen how many there are. */
const MOST_OPERATIONS = 1000

/**
 * Folds the calls of one chain into one change. Repeated `set`, `unset`, `inc`, `push` and `addToSet` of one path
 * become one operation; whatever else names a path twice, or a path and its parent, is refused at the call,
 * as MongoDB would refuse the update.
 */
export class Fold implements Draft {
  readonly guards: Guard[] = []
  readonly operations: Operation[] = []
  /** The field whose former value is the result. */
  taken: Path | undefined

  operation(operation: Operation): void {
    if (this.operations.length === MOST_OPERATIONS) {
      throw new FieldError(`One chain changes at most ${MOST_OPERATIONS} fields`, operation.path)
    }
    for (let index = 0; index < this.operations.length; index++) {
      const earlier = this.operations[index] as Operation
      const clash = clashOf(earlier, operation)
      if (clash === undefined) continue
      const folded = earlier.path === operation.path ? foldedOf(earlier, operation) : undefined
      if (!folded || this.taken === operation.path) {
        throw new FieldError(
          `One chain cannot change ${quote(clash[0])} and ${quote(clash[1])}: ` +
            'MongoDB applies all of a change at once; use two chains',
          operation.path,
        )
      }
      this.operations[index] = folded
      return
    }
    if (operation.op === '$rename' && overlap(operation.path, operation.to)) {
      throw new FieldError(
        `rename cannot move ${quote(operation.path)} to ${quote(operation.to)}: one holds the other`,
        operation.path,
      )
    }
    this.operations.push(operation)
  }

  guard(guard: Guard): void {
    if (this.operations.length > 0) {
      throw new FieldError('if() comes before the commands it guards', guard.path)
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

/** The paths a change touches: what it resolves to. */
export function touchedPaths(operations: readonly Operation[]): Path[] {
  const paths: Path[] = []
  for (const operation of operations) {
    paths.push(operation.path)
    if (operation.op === '$rename') paths.push(operation.to)
  }
  return paths
}

function clashOf(a: Operation, b: Operation): [Path, Path] | undefined {
  if (a.op !== '$rename' && b.op !== '$rename') return overlap(a.path, b.path) ? [a.path, b.path] : undefined
  for (const one of touchedPaths([a]))
    for (const other of touchedPaths([b])) if (overlap(one, other)) return [one, other]
  return undefined
}

/** Two operations on one path as one, where that has the same result as the one after the other. */
function foldedOf(a: Operation, b: Operation): Operation | undefined {
  if (a.op === '$set' && b.op === '$set') return b
  if (a.op === '$unset' && b.op === '$unset') return b
  if (a.op === '$inc' && b.op === '$inc') {
    const sum = sumOf(a.arg, b.arg)
    return sum === undefined ? undefined : { ...a, arg: literal(sum, a.path) }
  }
  if (a.op === '$addToSet' && b.op === '$addToSet') return { ...a, arg: [...a.arg, ...b.arg] }
  if (a.op === '$push' && b.op === '$push') {
    // At a position, the second would be inserted before the first.
    const same = JSON.stringify(a.modifiers) === JSON.stringify(b.modifiers)
    if (same && a.modifiers.position === undefined) return { ...a, arg: [...a.arg, ...b.arg] }
  }
  return undefined
}

/** Undefined where the sum would not be of the kind that adding one after the other gives. */
function sumOf(a: unknown, b: unknown): number | bigint | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    // Two 32-bit integers become a 64-bit one where a number would be sent as a double.
    return isInt32(a) && isInt32(b) && !isInt32(sum) ? BigInt(sum) : sum
  }
  const [x, y] = [wide(a), wide(b)]
  return x === undefined || y === undefined ? undefined : x + y
}

function wide(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  return isInt32(value) ? BigInt(value) : undefined
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value
}
