import type { Owned } from './edit.ts'
import { ancestorsOf, isIndex, type Path, partsOf } from './paths.ts'
import { type Fields, isContainer, isPlain } from './values.ts'

/** What stands at a path, or `undefined`. Only what a container holds itself: nothing of its prototype. */
export function valueAt(fields: Fields, path: Path): unknown {
  let value: unknown = fields
  for (const part of partsOf(path)) {
    if (!isContainer(value) || !Object.hasOwn(value, part)) return undefined
    // An array has a `length` of its own, which is no element.
    if (Array.isArray(value) && !isIndex(part)) return undefined
    value = (value as Fields)[part]
  }
  return value
}

/** The fields at the given paths, nested as they are; an element of an array with its whole array. */
export function excerpt(fields: Fields, paths: readonly Path[]): Fields {
  return graftedAll({}, fields, paths)
}

/** `onto` with what `source` has at the paths; shares with `onto` all that no path touches. */
export function graftedAll(onto: Fields, source: Fields, paths: readonly Path[]): Fields {
  const owned: Owned = new Set()
  return paths.reduce((result, path) => grafted(result, source, partsOf(path), 0, owned), onto)
}

function grafted(
  onto: unknown,
  source: Fields,
  parts: readonly string[],
  depth: number,
  owned: Owned,
): Fields {
  const part = parts[depth] as string
  const next = parts[depth + 1]
  const copy: Fields = isPlain(onto) ? (owned.has(onto) ? onto : { ...onto }) : {}
  owned.add(copy)
  const value = Object.hasOwn(source, part) ? source[part] : undefined
  if (next === undefined) {
    if (value === undefined) delete copy[part]
    else copy[part] = value
  } else if (isPlain(value)) {
    copy[part] = grafted(copy[part], value, parts, depth + 1, owned)
  } else if (Array.isArray(value) && isIndex(next)) {
    if (!Object.hasOwn(copy, part)) copy[part] = value
  } else if (isPlain(copy[part])) {
    delete copy[part]
  }
  // Otherwise a scalar or an array is on the way: no operation reaches below it, so what was known of it still holds.
  return copy
}

/** The given paths without those below an array's element, which stores answer with the array, and without repeats. */
export function answerable(paths: readonly Path[]): Path[] {
  if (paths.length === 1 && !/\d/.test(paths[0] as Path)) return paths as Path[]
  const whole = new Set(paths.map(untilIndex))
  return [...whole].filter(path => !ancestorsOf(path).some(ancestor => whole.has(ancestor)))
}

function untilIndex(path: Path): Path {
  const parts = partsOf(path)
  const index = parts.findIndex((part, at) => at > 0 && isIndex(part))
  return index < 0 ? path : parts.slice(0, index).join('.')
}
