import type { Path } from '../../language/paths.ts'
import { decodeExactly } from '../bson.ts'
import type { SessionFile } from './file.ts'
import { expiryKey, idOfKey, sessionKey } from './keys.ts'
import { bytesOf, type Entry, entryOf, standing } from './layout.ts'
import { userKey } from './users.ts'

const NOTHING = new Uint8Array()
const always = () => true

/** The entries of sessions, and the indexes that follow them. Used within transactions. */
export class Entries {
  readonly #file: SessionFile

  constructor(file: SessionFile) {
    this.#file = file
  }

  /** Whether anything at all is stored there. */
  has(key: Buffer): boolean {
    return this.#file.get(key) !== undefined
  }

  standing(key: Buffer): Entry | undefined {
    return standing(key, this.#file.get(key))
  }

  add(key: Buffer, entry: Entry): void {
    this.#file.put(key, bytesOf(key, entry))
    this.#file.put(expiryKey(key, entry.expires), NOTHING)
    this.#index(key, undefined, entry)
  }

  /** `isTouched` tells whether what is at a path may have changed. */
  replace(key: Buffer, old: Entry, next: Entry, isTouched?: (path: Path) => boolean): void {
    this.#file.put(key, bytesOf(key, next))
    if (old.expires !== next.expires) {
      this.#file.remove(expiryKey(key, old.expires))
      this.#file.put(expiryKey(key, next.expires), NOTHING)
    }
    this.#index(key, old, next, isTouched)
  }

  remove(key: Buffer): void {
    const bytes = this.#file.get(key)
    if (bytes) this.#remove(key, entryOf(key, bytes))
  }

  /** `entry` is nothing if what is stored is damaged, or none of ours. */
  #remove(key: Buffer, entry: Entry | undefined): void {
    if (entry) {
      this.#file.remove(expiryKey(key, entry.expires))
      this.#index(key, entry, undefined)
    }
    this.#file.remove(key)
  }

  /** Removes the sessions of these keys of the expiry index whose time has come, and has not been put off since. */
  sweep(expiries: readonly Buffer[]): void {
    const now = Date.now()
    for (const expiry of expiries) {
      const key = sessionKey(idOfKey(expiry))
      const bytes = this.#file.get(key)
      const entry = bytes && entryOf(key, bytes)
      const isStanding = entry && entry.expires > now
      if (bytes && !isStanding) this.#remove(key, entry)
      // Gone already, unless the session was damaged, or extended by someone who did not keep the index.
      if (!isStanding || !expiryKey(key, entry.expires).equals(expiry)) this.#file.remove(expiry)
    }
  }

  /** Adds a session to the index by `path`, which was made after it was stored. */
  index(key: Buffer, path: Path): void {
    const entry = this.standing(key)
    const user = entry && !entry.isEnded && userKey(key, path, decodeExactly(entry.data))
    if (user) this.#file.put(user, NOTHING)
  }

  #index(
    key: Buffer,
    old: Entry | undefined,
    next: Entry | undefined,
    isTouched: (path: Path) => boolean = always,
  ): void {
    for (const { path } of this.#file.meta.indexes) {
      if (!isTouched(path)) continue
      const [before, after] = [old, next].map(
        entry => entry && !entry.isEnded && userKey(key, path, decodeExactly(entry.data)),
      )
      if (before && after && before.equals(after)) continue
      if (before) this.#file.remove(before)
      if (after) this.#file.put(after, NOTHING)
    }
  }
}
