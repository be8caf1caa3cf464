import { FieldError } from '../errors.ts'
import { refuseCallback, tooMany } from './calloptions.ts'
import type { Comparator, Guard, Operation, PushModifiers } from './change.ts'
import { describe, type Path, partsOf, pathOf, quote } from './paths.ts'
import { isBSON, isPlain, literal } from './values.ts'

/** Collects the guards and operations of commands, in the order of the calls. */
export interface Draft {
  operation(operation: Operation): void
  guard(guard: Guard): void
  /** The field whose former value is the chain's result. */
  take(path: Path): void
}

const comparators: readonly string[] = ['=', '!=', '<', '<=', '>', '>=', 'in', 'exists']
const modifierNames: readonly string[] = ['slice', 'sort', 'position']
/** MongoDB's limit for indexes and queries. Each field costs a comparison for each pair of elements. */
const MAX_SORT_FIELDS = 32

export type CommandName = keyof typeof commands

type Arguments = readonly unknown[]

/** One call of a command. Arguments are literals, checked and copied here. */
export function addCommand(draft: Draft, name: CommandName, args: Arguments): void {
  const most = maxArguments[name]
  if (args.length > most) {
    refuseCallback(name, args, most)
    const path = typeof args[0] === 'string' ? args[0] : undefined
    throw new FieldError(tooMany(name, most, args.length), path)
  }
  try {
    commands[name](draft, args)
  } catch (error) {
    refuseCallback(name, args, neededArguments[name])
    throw error
  }
}

/** A function after these is a callback. Before, it is a value, which a session cannot hold. */
const neededArguments: Record<CommandName, number> = {
  set: 2,
  unset: 1,
  rename: 2,
  inc: 1,
  mul: 2,
  min: 2,
  max: 2,
  currentDate: 1,
  push: 2,
  pushAll: 2,
  addToSet: 2,
  pop: 1,
  pull: 2,
  pullAll: 2,
  take: 1,
  if: 2,
}

/** More arguments are refused: they would be ignored without an error. */
const maxArguments: Record<CommandName, number> = {
  set: 2,
  unset: Number.POSITIVE_INFINITY,
  rename: 2,
  inc: 2,
  mul: 2,
  min: 2,
  max: 2,
  currentDate: 1,
  push: 3,
  pushAll: 3,
  addToSet: Number.POSITIVE_INFINITY,
  pop: 2,
  pull: 4,
  pullAll: 2,
  take: 1,
  if: 3,
}

/** Every command: what its arguments become. They are passed as a list, since spreading a long list would overflow the stack. */
export const commands = {
  set(draft: Draft, args: Arguments) {
    const [target, value] = args
    if (isPlain(target)) {
      if (args.length > 1) {
        refuseCallback('set', args)
        throw new FieldError('set() with two arguments takes a path first; an object of fields stands alone')
      }
      if (Object.getOwnPropertySymbols(target).length > 0) {
        throw new FieldError('set() takes names of fields, and was given a symbol')
      }
      for (const [name, member] of Object.entries(target)) set(draft, pathOf(name), member)
      return
    }
    const path = pathOf(target)
    if (args.length === 1) {
      throw new FieldError(`set(${quote(path)}) needs a value; unset() removes a field`, path)
    }
    set(draft, path, value)
  },

  unset(draft: Draft, paths: Arguments) {
    if (paths.length === 0) throw new FieldError('unset() needs a path')
    for (const path of paths) draft.operation({ op: '$unset', path: pathOf(path) })
  },

  rename(draft: Draft, [from, target]: Arguments) {
    draft.operation({ op: '$rename', path: pathOf(from), to: pathOf(target) })
  },

  inc(draft: Draft, [target, by = 1]: Arguments) {
    arithmetic(draft, '$inc', target, by)
  },

  mul(draft: Draft, [target, by]: Arguments) {
    arithmetic(draft, '$mul', target, by)
  },

  min(draft: Draft, [target, value]: Arguments) {
    const path = pathOf(target)
    draft.operation({ op: '$min', path, arg: literal(value, path) })
  },

  max(draft: Draft, [target, value]: Arguments) {
    const path = pathOf(target)
    draft.operation({ op: '$max', path, arg: literal(value, path) })
  },

  currentDate(draft: Draft, [target]: Arguments) {
    draft.operation({ op: '$currentDate', path: pathOf(target) })
  },

  push(draft: Draft, [target, value, modifiers]: Arguments) {
    const path = pathOf(target)
    const arg = [literal(value, path)]
    draft.operation({ op: '$push', path, arg, modifiers: checkedModifiers(modifiers, path) })
  },

  pushAll(draft: Draft, [target, values, modifiers]: Arguments) {
    const path = pathOf(target)
    const arg = listOf('pushAll', values, path)
    draft.operation({ op: '$push', path, arg, modifiers: checkedModifiers(modifiers, path) })
  },

  addToSet(draft: Draft, [target, ...values]: Arguments) {
    const path = pathOf(target)
    if (values.length === 0) throw new FieldError(`addToSet(${quote(path)}) needs a value`, path)
    draft.operation({ op: '$addToSet', path, arg: listOf('addToSet', values, path) })
  },

  pop(draft: Draft, [target, end = 1]: Arguments) {
    const path = pathOf(target)
    if (end !== 1 && end !== -1) {
      throw new FieldError(`pop(${quote(path)}, …) takes 1 for the last element or -1 for the first`, path)
    }
    draft.operation({ op: '$pop', path, arg: end })
  },

  pull(draft: Draft, [target, ...condition]: Arguments) {
    const path = pathOf(target)
    if (condition.length === 0) throw new FieldError(`pull(${quote(path)}) needs a value`, path)
    if (condition.length === 3) {
      const [field, ...comparing] = condition
      draft.operation({ op: '$pull', path, field: fieldBelow(path, field), ...comparison(comparing, path) })
      return
    }
    const { comparator, arg } = comparison(condition, path)
    if (comparator === 'exists') {
      throw new FieldError(
        `pull(${quote(path)}, 'exists', …) has no meaning, since elements exist: name a field of theirs first`,
        path,
      )
    }
    // As a list of literals: MongoDB would read an object given to $pull as a query.
    if (comparator === '=') draft.operation({ op: '$pullAll', path, arg: [arg] })
    else draft.operation({ op: '$pull', path, comparator, arg })
  },

  pullAll(draft: Draft, [target, values]: Arguments) {
    const path = pathOf(target)
    draft.operation({ op: '$pullAll', path, arg: listOf('pullAll', values, path) })
  },

  take(draft: Draft, [target]: Arguments) {
    const path = pathOf(target)
    draft.operation({ op: '$unset', path })
    draft.take(path)
  },

  if(draft: Draft, [target, ...condition]: Arguments) {
    const path = pathOf(target)
    if (condition.length === 0) throw new FieldError(`if(${quote(path)}) needs a value to compare with`, path)
    draft.guard({ path, ...comparison(condition, path) })
  },
}

function set(draft: Draft, path: Path, value: unknown): void {
  draft.operation({ op: '$set', path, arg: literal(value, path) })
}

function arithmetic(draft: Draft, op: '$inc' | '$mul', target: unknown, by: unknown): void {
  const path = pathOf(target)
  const arg = literal(by, path)
  if (!isNumeric(arg)) {
    throw new FieldError(`${op.slice(1)}(${quote(path)}, …) takes a number, not ${describe(by)}`, path)
  }
  draft.operation({ op, path, arg })
}

function isNumeric(value: unknown): boolean {
  if (isBSON(value)) return value._bsontype === 'Long' || value._bsontype === 'Decimal128'
  return typeof value === 'number' || typeof value === 'bigint'
}

function listOf(command: string, values: unknown, path: Path): unknown[] {
  if (!Array.isArray(values)) {
    throw new FieldError(`${command}(${quote(path)}, …) takes an array, not ${describe(values)}`, path)
  }
  return literal(values, path) as unknown[]
}

/** A path below an array's elements, in dotted form. It is checked as a path through the array. */
function fieldBelow(path: Path, field: unknown): Path {
  const parts: unknown = typeof field === 'string' ? field.split('.') : field
  if (!Array.isArray(parts) || parts.length === 0) {
    throw new FieldError(
      `pull(${quote(path)}, …) takes the name of a field below the elements, not ${describe(field)}`,
      path,
    )
  }
  return pathOf([...partsOf(path), ...parts]).slice(path.length + 1)
}

function comparison(condition: unknown[], path: Path): { comparator: Comparator; arg: unknown } {
  if (condition.length === 1) return { comparator: '=', arg: literal(condition[0], path) }
  const [comparator, value] = condition
  if (!isComparator(comparator)) {
    throw new FieldError(
      `${typeof comparator === 'string' ? quote(comparator) : describe(comparator)} is no comparator; there are ${comparators.join(' ')}`,
      path,
    )
  }
  if (comparator === 'exists' && typeof value !== 'boolean') {
    throw new FieldError(`'exists' takes true or false, not ${describe(value)}`, path)
  }
  return { comparator, arg: comparator === 'in' ? listOf("'in'", value, path) : literal(value, path) }
}

function isComparator(value: unknown): value is Comparator {
  return typeof value === 'string' && comparators.includes(value)
}

function checkedModifiers(modifiers: unknown, path: Path): PushModifiers {
  if (modifiers === undefined) return {}
  const wrong = isPlain(modifiers)
    ? Object.entries(modifiers).find(([name, value]) => !isModifier(name, value, path))?.[0]
    : describe(modifiers)
  if (wrong !== undefined) {
    throw new FieldError(
      `The push modifiers for ${quote(path)} are wrong at ${quote(wrong)}: there are slice and position ` +
        `(integers) and sort (1, -1 or { field: 1 | -1 }, of at most ${MAX_SORT_FIELDS} fields)`,
      path,
    )
  }
  return Object.fromEntries(
    Object.entries(modifiers as PushModifiers)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, isPlain(value) ? { ...value } : value]),
  )
}

function isModifier(name: string, value: unknown, path: Path): boolean {
  if (!modifierNames.includes(name)) return false
  if (value === undefined) return true
  if (name !== 'sort') return Number.isSafeInteger(value)
  if (!isPlain(value)) return value === 1 || value === -1
  // Checked as a path below the field, as MongoDB reads it.
  const fields = Object.keys(value)
  if (fields.length > MAX_SORT_FIELDS) return false
  for (const field of fields) pathOf(`${path}.${field}`)
  return fields.length > 0 && fields.every(field => value[field] === 1 || value[field] === -1)
}
