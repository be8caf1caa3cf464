import { hash } from 'node:crypto'
import { rankOf } from '../../language/compare.ts'
import { type Path, partsOf } from '../../language/paths.ts'
import { type Fields, isPlain } from '../../language/values.ts'

// The key in the column by which sessions are found: a prefix for the path, then a part for the field's value. Equal values must have
// the same key; different values may share one, since each session that is found is checked again. NULL: not indexed yet.

/** Characters of hashes. */
export const PREFIX = 8
const VALUE = 24

/** The key of a value that may equal several values, as an array equals each of its elements, or that hardly identifies a user. */
const OTHER = 'other'

/** The prefix of the keys by this path. */
export function prefixOf(path: Path): string {
  return hash('sha256', `path\0${path}`, 'hex').slice(0, PREFIX)
}

/** The key of a session with these fields, which are all that the path can lead to. */
export function userKey(path: Path, fields: Fields): string {
  return keyOf(path, bucketAt(path, fields))
}

/** The keys of all sessions that can have this value at the path, but for those that are not known yet. */
export function userKeys(path: Path, value: unknown): string[] {
  const bucket = bucketOf(value)
  // Null is also what is missing.
  return [...new Set([keyOf(path, bucket), keyOf(path, OTHER)])]
}

function keyOf(path: Path, bucket: string | undefined): string {
  const value = bucket === undefined ? '' : hash('sha256', `value\0${bucket}`, 'hex').slice(0, VALUE)
  return `${prefixOf(path)}:${value}`
}

function bucketAt(path: Path, fields: Fields): string | undefined {
  let value: unknown = fields
  for (const part of partsOf(path)) {
    if (Array.isArray(value)) return OTHER
    if (!isPlain(value) || !Object.hasOwn(value, part)) return undefined
    value = value[part]
  }
  return bucketOf(value)
}

function bucketOf(value: unknown): string | undefined {
  switch (rankOf(value)) {
    case 0:
    case 5:
      return undefined
    case 10: // Of all kinds, which may equal one another.
      return `number ${Number(String(value))}`
    case 15:
    case 35:
    case 40:
      return `${typeof value} ${value}`
    default:
      return OTHER
  }
}
