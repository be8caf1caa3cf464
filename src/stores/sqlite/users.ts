import { createHash } from 'node:crypto'
import type { Change } from '../../language/change.ts'
import { rankOf } from '../../language/compare.ts'
import { overlap, type Path, partsOf } from '../../language/paths.ts'
import { type Fields, isPlain } from '../../language/values.ts'
import { decodeExactly, namesOf } from '../bson.ts'
import { cut } from '../elements.ts'
import type { Query, SQLiteStatement } from './driver.ts'
import type { SessionFile } from './file.ts'
import { assertForm } from './form.ts'

/**
 * The index by the user's field. The column `user` of a row has a key made from the field's value. Equal values must have the same key;
 * different values may share one, since each session that is found is checked again.
 */
export class UserIndex {
  readonly #file: SessionFile
  readonly #select: Query<[form: number, userPath: Path | null, isIndexed: number]>
  readonly #set: SQLiteStatement

  constructor(file: SessionFile) {
    this.#file = file
    this.#select = file.query('SELECT form, userPath, isIndexed FROM session_file')
    this.#set = file.prepare('UPDATE session_file SET userPath = ?, isIndexed = ?')
  }

  assertForm(): void {
    this.#found()
  }

  /** Where the users are. Throws if the file is of another form by now. */
  get path(): Path | null {
    return this.#found().userPath
  }

  isComplete(path: Path): boolean {
    const { userPath, isIndexed } = this.#found()
    return userPath === path && isIndexed === 1
  }

  /** The keys among which sessions with this value can be; `undefined` if no index tells. */
  keysFor(path: Path, value: unknown): readonly string[] | undefined {
    const key = this.isComplete(path) ? keyOf(value) : null
    // What is null may also be missing, and is in no index then.
    return key === null ? undefined : [...new Set([key, OTHER])]
  }

  /** From then on writes of all processes keep it. Tells whether it is complete. */
  declare(path: Path): boolean {
    if (this.isComplete(path)) return true
    this.#set.run(path, 0)
    return false
  }

  /** It has all that was stored before, unless another has been asked for meanwhile. */
  complete(path: Path): void {
    if (this.path === path) this.#set.run(path, 1)
  }

  #found(): { readonly userPath: Path | null; readonly isIndexed: number } {
    const [form, userPath = null, isIndexed = 0] = this.#select.row() ?? []
    assertForm(form, this.#file.path)
    return { userPath, isIndexed }
  }
}

/** What a session with these fields is found by; null if there is no such index, or it has nothing there. */
export function userIn(fields: Uint8Array, path: Path | null): string | null {
  return path === null ? null : userKeyOf(decodeExactly(cut(fields, namesOf([path]))), path)
}

export function touchesUser({ operations }: Change, path: Path): boolean {
  return operations.some(one => overlap(one.path, path) || (one.op === '$rename' && overlap(one.to, path)))
}

/** The key of a value that may equal several values, as an array equals each of its elements, or that hardly identifies a user. */
const OTHER = 'other'

/** Longer ones are hashed, characters. */
const LONGEST = 100

function userKeyOf(fields: Fields, path: Path): string | null {
  let value: unknown = fields
  for (const part of partsOf(path)) {
    if (Array.isArray(value)) return OTHER
    if (!isPlain(value) || !Object.hasOwn(value, part)) return null
    value = value[part]
  }
  return keyOf(value)
}

function keyOf(value: unknown): string | null {
  switch (rankOf(value)) {
    case 0:
    case 5:
      return null
    case 10: // Of all kinds, which may equal one another.
      return `number ${Number(String(value))}`
    case 15:
      return `string ${short(value as string)}`
    case 35:
      return `ObjectId ${value}`
    case 40:
      return `boolean ${value}`
    default:
      return OTHER
  }
}

/** Not every tool reads a text on beyond a NUL. */
function short(text: string): string {
  if (text.length <= LONGEST && !text.includes('\0')) return text
  return `sha256 ${createHash('sha256').update(text).digest('hex')}`
}
