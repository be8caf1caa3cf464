import type { Guard, Operation } from '../../language/change.ts'
import { overlap, type Path } from '../../language/paths.ts'
import type { Update } from '../../store/joining.ts'
import type { Answer } from '../../store/store.ts'
import { encodeField, sizeOfField } from '../fields.ts'
import { topOf } from './seen.ts'
import type { Parameters } from './statement.ts'
import { userKey } from './users.ts'
import { type Cell, cellOf } from './values.ts'

/**
 * A change that the server can make itself: fields are set and removed, 32-bit integers added, and guards look at fields that
 * are no more than one value. Whatever of that does not fit what is stored, the server leaves to the app.
 */
export interface SimpleChange {
  readonly sets: readonly (readonly [name: string, cell: Cell])[]
  readonly unsets: readonly string[]
  readonly increments: readonly (readonly [name: string, by: number])[]
  readonly guards: readonly Guard[]
  /** The fields that are given back. */
  readonly answered: readonly string[]
  /** Whether as they were, or as the change leaves them. */
  readonly when: Answer['when']
  /** The fields that must not be large ones. */
  readonly small: readonly string[]
  /** The most by which the fields become larger, bytes of BSON. */
  readonly growth: number
  /** Where the change says who the user is. */
  readonly userKey?: string
}

/** Each shape of a statement is a text of its own, which the server prepares; so many parts may be in one. */
const MAX_PARTS = 4

/** As large as one becomes. */
const number = encodeField(0.5)

export function simpleChange({ change, answer }: Update, user: Path | undefined): SimpleChange | undefined {
  const { guards, operations } = change
  if (guards.length > MAX_PARTS || !guards.every(isSimpleGuard)) return undefined
  const answered = [...new Set((answer?.paths ?? []).map(topOf))]
  if (answered.length > MAX_PARTS) return undefined
  const sets: [string, Cell][] = []
  const unsets: string[] = []
  const increments: [string, number][] = []
  let growth = 0
  let key: string | undefined
  for (const operation of operations) {
    const { path } = operation
    if (path.includes('.')) return undefined
    switch (operation.op) {
      case '$set': {
        const bytes = encodeField(operation.arg)
        const cell = cellOf(operation.arg, bytes)
        // A statement does not see what it adds to another table.
        if (cell.bytes && answered.includes(path)) return undefined
        sets.push([path, cell])
        growth += sizeOfField(path, bytes)
        break
      }
      case '$unset':
        unsets.push(path)
        break
      case '$inc':
        if (!isInt32(operation.arg) || increments.length === MAX_PARTS) return undefined
        increments.push([path, operation.arg])
        growth += sizeOfField(path, number)
        break
      default:
        return undefined
    }
    if (user !== undefined && overlap(path, user)) {
      const after = userAfter(operation)
      if (after === undefined) return undefined
      key = userKey(user, after)
    }
  }
  const small = new Set([...answered, ...unsets, ...guards.map(({ path }) => path)])
  for (const [name] of increments) small.add(name)
  for (const [name, { bytes }] of sets) if (!bytes) small.add(name)
  const when = answer?.when ?? 'after'
  const parts = { sets, unsets, increments, guards, answered, when, small: [...small], growth }
  return { ...parts, ...(key !== undefined && { userKey: key }) }
}

function userAfter(operation: Operation): Record<string, unknown> | undefined {
  if (operation.op === '$set') return { [operation.path]: operation.arg }
  return operation.op === '$unset' ? {} : undefined
}

function isInt32(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value && !Object.is(value, -0)
}

/** Whether a guard is one for which `conditionOf` has a condition. */
function isSimpleGuard({ path, comparator, arg }: Guard): boolean {
  if (path.includes('.')) return false
  switch (comparator) {
    case 'exists':
      return true
    case '=':
    case '!=':
      return isScalar(arg)
    case 'in':
      return false
    default:
      return typeof arg === 'number' && Number.isFinite(arg)
  }
}

function isScalar(arg: unknown): boolean {
  if (typeof arg === 'string') return arg.length <= 200 && !arg.includes('\0')
  return typeof arg === 'boolean' || arg === null || isInt32(arg)
}

/**
 * Holds only if the guard does, and not always if it does: what is stored as an object here is a value that the app knows how
 * to compare. JSON of one type is ordered as its values are, but for texts.
 */
export function conditionOf({ path, comparator, arg }: Guard, parameters: Parameters): string {
  const name = parameters.text(path)
  const value = `(s.small -> ${name})`
  switch (comparator) {
    case 'exists':
      return arg === true ? `s.small ? ${name}` : `NOT s.small ? ${name}`
    case '=':
      return arg === null
        ? `coalesce(${value} = 'null', true)`
        : `${value} = ${parameters.json(JSON.stringify(arg))}`
    case '!=': {
      const differs = `jsonb_typeof(${value}) <> 'object' AND ${value} <> ${parameters.json(JSON.stringify(arg))}`
      return arg === null ? differs : `coalesce(${differs}, true)`
    }
    default:
      return `jsonb_typeof(${value}) = 'number' AND ${value} ${comparator} ${parameters.json(String(arg))}`
  }
}
