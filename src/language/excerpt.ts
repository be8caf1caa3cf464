import type { Owned } from './edit.ts'
import { ancestorsOf, isIndex, type Path, partsOf } from './paths.ts'
import { type Fields, isContainer, isPlain } from './values.ts'

/** The value at a path, or `undefined`. Only own properties count, not those of a prototype. */
export function valueAt(fields: Fields, path: Path): unknown {
  let value: unknown = fields
  for (const part of partsOf(path)) {
    if (!isContainer(value) || !Object.hasOwn(value, part)) return undefined
    // An array has an own property `length`, which is not an element.
    if (Array.isArray(value) && !isIndex(part)) return undefined
    value = (value as Fields)[part]
  }
  return value
}

/** The fields at the given paths, nested as in the record. For an element of an array, the whole array. */
export function excerpt(fields: Fields, paths: readonly Path[]): Fields {
  return graftedAll({}, fields, paths)
}

/** `onto` with the values of `source` at the paths. All other parts are shared with `onto`. */
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
  // Otherwise the path leads through a scalar or an array. No operation reaches below it, so it has not changed.
  return copy
}

/** The given paths, cut before an array's element (stores return the whole array), without repeats. */
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
