import { hash } from 'node:crypto'
import { rankOf } from '../../language/compare.ts'
import { type Path, partsOf } from '../../language/paths.ts'
import { type Fields, isPlain } from '../../language/values.ts'
import { ID_BYTES, type Range } from './keys.ts'

// The index by user. An entry's key begins with a hash of the path and of what the session has there: that equal values
// have the same hash is all it needs, since each session that is found is looked at again.

const USER = 0x75 // u
const HASH_BYTES = 12

/** The key under which a session is found by what it has at `path`; none where it has nothing, as in a sparse index. */
export function userKey(session: Buffer, path: Path, fields: Fields): Buffer | undefined {
  const bucket = bucketAt(path, fields)
  return bucket === undefined ? undefined : Buffer.concat([prefixOf(path, bucket), session.subarray(1)])
}

/** All entries among which sessions with this value at `path` can be; `undefined` for null, which is also what is missing. */
export function userRanges(path: Path, value: unknown): Range[] | undefined {
  const bucket = bucketOf(value)
  if (!bucket) return undefined
  return [...new Set([bucket, OTHER])].map(name => {
    const start = prefixOf(path, name)
    return { start, end: Buffer.concat([start, Buffer.alloc(ID_BYTES + 1, 0xff)]) }
  })
}

function prefixOf(path: Path, bucket: string): Buffer {
  const digest = hash('sha256', `${path}\0${bucket}`, 'buffer')
  return Buffer.concat([Buffer.of(USER), digest.subarray(0, HASH_BYTES)])
}

/** For what may equal several values, as an array does each of its elements, and for what hardly names a user. */
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
