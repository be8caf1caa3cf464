import { hash } from 'node:crypto'
import { rankOf } from '../../language/compare.ts'
import { type Path, partsOf } from '../../language/paths.ts'
import { type Fields, isPlain } from '../../language/values.ts'

// The sessions of a user are the members of a sorted set, whose name is a hash of the path and the field's value. Equal values must have
// the same hash; different values may share one, since each session that is found is checked again.

/** The set that a session belongs to by what it has at `path`; none where it has nothing. */
export function userSet(path: Path, fields: Fields): string | undefined {
  const bucket = bucketAt(path, fields)
  return bucket === undefined ? undefined : nameOf(path, bucket)
}

/** All sets among which sessions with this value at `path` can be; `undefined` for null, which is also what is missing. */
export function userSets(path: Path, value: unknown): string[] | undefined {
  const bucket = bucketOf(value)
  if (!bucket) return undefined
  return [...new Set([bucket, OTHER])].map(name => nameOf(path, name))
}

function nameOf(path: Path, bucket: string): string {
  return `user:${hash('sha256', `${path}\0${bucket}`, 'hex').slice(0, 32)}`
}

/** The key of a value that may equal several values, as an array equals each of its elements, or that hardly identifies a user. */
const OTHER = 'other'

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
