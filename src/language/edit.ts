import { CommandError } from '../errors.ts'
import { describe, isIndex, type Path, quote } from './paths.ts'
import { type Fields, isContainer } from './values.ts'

/**
 * What happens if the path does not exist.
 * `create`: missing objects on the way are created; it is an error if that is impossible.
 * `create outside arrays`: the same, but a path through an array is an error.
 * `find`: nothing, but a path that can never exist is an error: below a scalar, or by a name into an array.
 * `find if any`: nothing.
 */
export type Reach = 'create' | 'create outside arrays' | 'find' | 'find if any'

export interface Edit {
  readonly path: Path
  readonly parts: readonly string[]
  readonly reach: Reach
  /** Returns the new value for the current one. `undefined` means absent, both ways. */
  readonly value: (current: unknown) => unknown
}

/** Containers that the current change has created, so that it may alter them. All others are shared with its input. */
export type Owned = Set<object>

/** The container with the edit's path changed. Only containers on the path are copied; if nothing changes, none is. */
export function edited<T extends Fields | unknown[]>(container: T, edit: Edit, owned: Owned, depth = 0): T {
  const key = keyOf(container, edit, depth)
  if (key === undefined) return container
  const current = Object.hasOwn(container, key) ? (container as Fields)[key] : undefined
  const next = nextOf(current, edit, owned, depth)
  if (Object.is(next, current)) return container
  const copy = owned.has(container) ? container : copyOf(container)
  owned.add(copy)
  // A removed element of an array becomes null, so that the others keep their places.
  if (next === undefined && !Array.isArray(copy)) delete (copy as Fields)[key]
  else write(copy as Fields, key, next ?? null)
  return copy
}

function nextOf(current: unknown, edit: Edit, owned: Owned, depth: number): unknown {
  if (depth === edit.parts.length - 1) return edit.value(current)
  if (isContainer(current)) return edited(current, edit, owned, depth + 1)
  if (current === undefined) return isCreating(edit) ? created(edit, owned, depth + 1) : undefined
  if (edit.reach === 'find if any') return current
  throw blocked(edit, depth, describe(current))
}

/** The value to create at a missing part. Below it, numeric parts are keys of objects. */
function created(edit: Edit, owned: Owned, depth: number): unknown {
  const { parts, value } = edit
  let content = value(undefined)
  if (content === undefined) return undefined
  for (let index = parts.length - 1; index >= depth; index--) {
    const parent: Fields = {}
    write(parent, parts[index] as string, content)
    owned.add(parent)
    content = parent
  }
  return content
}

/** The key for the part at this depth; `undefined` if there is nothing to do. */
function keyOf(container: Fields | unknown[], edit: Edit, depth: number): string | undefined {
  const part = edit.parts[depth] as string
  if (!Array.isArray(container)) return part
  if (edit.reach === 'create outside arrays') throw blocked(edit, depth - 1, 'Array')
  if (isIndex(part)) {
    if (Number(part) < container.length) return part
    // MongoDB would fill the gap with nulls.
    if (isCreating(edit)) {
      throw new CommandError(
        `Nothing can be stored at ${quote(edit.path)}: the array has no element ${part}, and push adds one`,
        edit.path,
      )
    }
  } else if (edit.reach !== 'find if any') {
    throw blocked(edit, depth - 1, 'Array')
  }
  return undefined
}

function isCreating({ reach }: Edit): boolean {
  return reach === 'create' || reach === 'create outside arrays'
}

function blocked({ path, parts }: Edit, depth: number, what: string): CommandError {
  const holder = quote(parts.slice(0, depth + 1).join('.'))
  return new CommandError(`${quote(path)} leads nowhere: ${holder} is of type ${what}`, path)
}

function copyOf<T extends Fields | unknown[]>(container: T): T {
  return (Array.isArray(container) ? container.slice() : { ...container }) as T
}

/** Also for a key such as `__proto__`, whose assignment would have an effect. */
function write(target: Fields, key: string, value: unknown): void {
  if (key !== '__proto__') target[key] = value
  else Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}
