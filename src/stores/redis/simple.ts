import type { Change, Guard, Operation } from '../../language/change.ts'
import { type Path, partsOf } from '../../language/paths.ts'
import { isBSON } from '../../language/values.ts'
import type { Update } from '../../store/joining.ts'
import { encodeField, type FieldBytes } from '../fieldbytes.ts'
import { type Numeric, Program } from './program.ts'

// What the server applies by itself: operators on top-level fields whose cost does not grow with what is stored.

/**
 * One change as a program, or several of which each is applied whatever the session holds; nothing where one of them is not
 * simple. `isApart` tells of fields that need more than being written.
 */
export function simpleProgram(
  updates: readonly Update[],
  isApart: (name: string) => boolean,
): Program | undefined {
  const isAlone = updates.length === 1
  if (!isAlone && updates.some(({ change }) => change.guards.length > 0 || change.rev !== undefined)) {
    return undefined
  }
  const program = new Program()
  // First what is asked for: a reply has those.
  for (const update of updates) for (const name of wantedOf(update)) program.field(name)
  const isWritten = updates.every(({ change }) => {
    if (change.operations.some(({ path }) => isApart(partsOf(path)[0] as string))) return false
    return isSimple(program, change, isAlone)
  })
  return isWritten ? program : undefined
}

/** The fields that an answer needs of the server: what a change sets is known. */
export function wantedOf({ change, answer }: Update): Set<string> {
  const names = new Set<string>()
  for (const path of answer?.paths ?? []) {
    const name = partsOf(path)[0] as string
    if (answer?.when === 'before' || !setBy(change, name)) names.add(name)
  }
  return names
}

export function setBy({ operations }: Change, name: Path): (Operation & { op: '$set' }) | undefined {
  for (const operation of operations) {
    if (operation.op === '$set' && operation.path === name) return operation
  }
  return undefined
}

function isSimple(program: Program, change: Change, isAlone: boolean): boolean {
  const { guards, operations, expires, maxAge, whileMaxAge, rev, maxSize } = change
  if (rev !== undefined) program.revision(rev, true)
  if (!guards.every(guard => writeGuard(program, guard))) return false
  if (!operations.every(operation => writeOperation(program, operation, isAlone))) return false
  if (maxSize !== undefined || !isAlone) program.fits(maxSize ?? Number.POSITIVE_INFINITY)
  if (expires || maxAge !== undefined || whileMaxAge !== undefined) {
    program.extend(expires?.getTime(), maxAge, whileMaxAge)
  }
  return true
}

function isTopLevel(path: Path): boolean {
  return partsOf(path).length === 1
}

function writeGuard(program: Program, { path, comparator, arg }: Guard): boolean {
  if (!isTopLevel(path) || comparator === 'in') return false
  if (comparator === 'exists') {
    program.exists(path, arg === true)
    return true
  }
  const numeric = numericOf(arg)
  if (numeric) {
    program.compare(path, comparator, numeric)
    return true
  }
  if (comparator !== '=' && comparator !== '!=') return false
  const bytes = scalarBytes(arg)
  if (bytes) program.equals(path, comparator, bytes)
  return bytes !== undefined
}

function writeOperation(program: Program, operation: Operation, isAlone: boolean): boolean {
  const { op, path } = operation
  if (!isTopLevel(path)) return false
  switch (op) {
    case '$set':
      program.set(path, encodeField(operation.arg))
      return true
    case '$unset':
      program.unset(path)
      return true
    case '$inc':
    case '$mul': {
      const numeric = numericOf(operation.arg)
      if (numeric) program.calculate(op, path, numeric)
      return numeric !== undefined
    }
    case '$min':
    case '$max': {
      const numeric = numericOf(operation.arg)
      if (numeric) program.limit(op, path, numeric, encodeField(operation.arg))
      return numeric !== undefined
    }
    case '$currentDate':
      program.currentDate(path)
      // The results of several are worked out here once more, where the server's instant is not known.
      return isAlone
    default:
      return false
  }
}

const DOUBLE = 1
const INT32 = 16
const INT64 = 18

/** A number that the server calculates with exactly, which it does in doubles, and compares as MongoDB does: not NaN. */
function numericOf(value: unknown): Numeric | undefined {
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return undefined
    return { type: (value | 0) === value && !Object.is(value, -0) ? INT32 : DOUBLE, value }
  }
  const integer = integerOf(value)
  if (integer === undefined || integer !== BigInt.asIntN(53, integer)) return undefined
  return { type: INT64, value: Number(integer) }
}

function integerOf(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (!isBSON(value) || value._bsontype !== 'Long') return undefined
  return (value as unknown as { toBigInt(): bigint }).toBigInt()
}

/** What equals only what has the same bytes. */
function scalarBytes(value: unknown): FieldBytes | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return encodeField(value)
  return isBSON(value) && value._bsontype === 'ObjectId' ? encodeField(value) : undefined
}
