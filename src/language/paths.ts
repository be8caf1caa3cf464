import { FieldError } from '../errors.ts'

/** A checked path: parts joined by dots, the first of them a field's name. */
export type Path = string

/** What a command takes as a path: parts joined by dots, or a list of parts taken verbatim. */
export type PathLike = string | readonly (string | number)[]

export const MAX_PART_BYTES = 128
export const MAX_DEPTH = 16

/** The most paths in one call or one chain: a visitor may determine their number. */
export const MAX_PATHS = 1000

/** The members of a session and its handle. A field with one of these names could not be told from the member. */
const own = [
  ...['set', 'unset', 'rename', 'inc', 'mul', 'min', 'max', 'currentDate', 'push', 'pushAll', 'addToSet'],
  ...['pop', 'pull', 'pullAll', 'take', 'if', 'get', 'once', 'update', 'touch', 'destroy', 'regenerate'],
  ...['createCSRF', 'assertCSRF', 'id', 'isNew', 'created', 'expires', 'maxAge', 'then', 'toJSON'],
] as const

/** Names that the compiler refuses as fields. */
// biome-ignore lint/complexity/noBannedTypes: its own names are what is meant
export type ReservedName = (typeof own)[number] | keyof Object | '__proto__' | 'prototype' | `_${string}`

const reserved = new Set<string>([...own, ...Object.getOwnPropertyNames(Object.prototype)])

/** `_bsontype` would make BSON's serializer take a plain object for one of its own types. */
const forbidden = new Set(['__proto__', 'constructor', 'prototype', '_bsontype'])

/** Whether a stored key may be shown. Other keys are never written by this library. */
export function isVisibleKey(key: string): boolean {
  return !forbidden.has(key)
}

export function isFieldName(name: string): boolean {
  return !reserved.has(name) && !name.startsWith('_') && !forbidden.has(name)
}

/** What is wrong with one part of a path or one key of a value; `undefined` if nothing is. */
export function faultOfPart(part: string): string | undefined {
  if (part === '') return 'is empty'
  if (part[0] === '$') return 'begins with $'
  if (part.includes('\0')) return 'holds a NUL'
  if (forbidden.has(part)) return 'is not allowed'
  if (!part.isWellFormed()) return 'holds a lone surrogate'
  if (part.length * 3 > MAX_PART_BYTES && Buffer.byteLength(part) > MAX_PART_BYTES) {
    return `is longer than ${MAX_PART_BYTES} bytes`
  }
  return undefined
}

/** Paths that were checked before: most are in the app's code. The number is limited, because some come from visitors. */
const known = new Map<string, readonly string[]>()
const MAX_KNOWN = 1000

/** Checks a path and returns it in dotted form. Throws `FieldError` if it is not valid; see MAX_PART_BYTES and MAX_DEPTH. */
export function pathOf(path: unknown): Path {
  if (typeof path === 'string') {
    if (!known.has(path)) {
      check(path.split('.'), path)
      remember(ownText(path))
    }
    return path
  }
  if (!Array.isArray(path)) {
    throw new FieldError(`A path is a string or a list of parts, not ${describe(path)}`)
  }
  const parts = path.slice(0, MAX_DEPTH + 1).map(part => partOf(part, path))
  const joined = parts.join('.')
  check(parts, joined)
  return joined
}

/** Checks the paths that one call names. */
export function pathsOf(call: string, paths: readonly unknown[]): Path[] {
  if (paths.length > MAX_PATHS) {
    throw new FieldError(`${call} takes at most ${MAX_PATHS} paths, and got ${paths.length}`)
  }
  return paths.map(path => pathOf(path))
}

/** The parts of a path that `pathOf` has checked. */
export function partsOf(path: Path): readonly string[] {
  return known.get(path) ?? path.split('.')
}

/** Whether a part may address an element of an array. */
export function isIndex(part: string): boolean {
  return /^(?:0|[1-9]\d*)$/.test(part)
}

/** The paths above this one, the field first. */
export function ancestorsOf(path: Path): Path[] {
  const ancestors: Path[] = []
  for (let dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
    ancestors.push(path.slice(0, dot))
  }
  return ancestors
}

/** Whether the paths are equal or one is above the other. */
export function overlap(a: Path, b: Path): boolean {
  return a === b || isBelow(a, b) || isBelow(b, a)
}

const DOT = 46

function isBelow(path: Path, ancestor: Path): boolean {
  return path.charCodeAt(ancestor.length) === DOT && path.startsWith(ancestor)
}

function remember(path: string): void {
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(path, path.split('.'))
}

/** A copy of a string: a substring would keep the whole string in memory. For strings without lone surrogates. */
export function ownText(text: string): string {
  return Buffer.from(text).toString()
}

function partOf(part: unknown, path: readonly unknown[]): string {
  if (typeof part === 'number' && Number.isSafeInteger(part) && part >= 0) return String(part)
  if (typeof part !== 'string') {
    throw new FieldError(`A part of a path is a string or an array index, not ${describe(part)}`, shown(path))
  }
  if (part.includes('.')) {
    throw new FieldError(
      `The part ${quote(part)} of a path holds a dot, which would make it two parts: remove the dot, ` +
        'or give the parts one by one',
      shown(path),
    )
  }
  return part
}

function shown(path: readonly unknown[]): string {
  return path.map(item => (typeof item === 'string' ? item : describe(item))).join(', ')
}

function check(parts: readonly string[], path: string): void {
  if (parts.length === 0) throw new FieldError('A path needs at least one part')
  if (parts.length > MAX_DEPTH) {
    throw new FieldError(`The path ${quote(path)} is deeper than ${MAX_DEPTH} parts`, path)
  }
  for (const part of parts) {
    const fault = faultOfPart(part)
    if (fault) throw new FieldError(`The part ${quote(part)} of the path ${quote(path)} ${fault}`, path)
  }
  const name = parts[0] as string
  if (!isFieldName(name)) {
    throw new FieldError(
      `${quote(name)} cannot be a field: names that begin with _ and the session's own names are reserved`,
      path,
    )
  }
}

/** The text in quotes and shortened, without characters that control a terminal or change the direction of text. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 60)}…` : text
  return JSON.stringify(short).replace(
    /[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** The kind of a value, for messages. A class name is used only if it is a plain name, since a visitor's JSON can fake one. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && /^\w{1,60}$/.test(name) ? name : 'an object'
}
