import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

const KiB = 1024
/** More than the size of SQLite's log before a checkpoint: the file may have to grow by that much. */
const BYTES = 8192 * KiB
const OWNER_ONLY = 0o600

/**
 * Reserved disk space for ending sessions: a file next to the database, which is deleted when the space is needed. SQLite appends to
 * its log even to delete, so on a full disk nobody could sign out otherwise.
 */
export class Reserve {
  readonly #path: string

  constructor(database: string) {
    this.#path = `${database}-reserve`
  }

  /** Fills the reserve, with at most half of the free space: the rest is for sessions. */
  keep(): void {
    this.#grow(size => {
      const { bavail, bsize } = statfsSync(dirname(this.#path))
      return Math.min(BYTES, size + (bavail * bsize) / 2)
    })
  }

  /** Fills the reserve again, as far as there is space. */
  retake(): void {
    this.#grow(() => BYTES)
  }

  #grow(wanted: (size: number) => number): void {
    try {
      let size = this.#size
      if (size >= BYTES) return
      const bytes = wanted(size)
      const fd = openSync(this.#path, 'a', OWNER_ONLY)
      try {
        // Not zeros, which some file systems store as nothing.
        const part = randomFillSync(Buffer.allocUnsafe(256 * KiB))
        while (size < bytes) size += writeSync(fd, part)
      } finally {
        closeSync(fd)
      }
    } catch {
      // There is no more, for now.
    }
  }

  /** Frees the reserve. Returns whether there was any. */
  release(): boolean {
    try {
      if (this.#size === 0) return false
      truncateSync(this.#path)
      return true
    } catch {
      return false
    }
  }

  get #size(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0
  }
}
