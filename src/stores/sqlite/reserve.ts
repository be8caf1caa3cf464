import { randomFillSync } from 'node:crypto'
import { closeSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

const KiB = 1024
/** More than SQLite has in its log before it brings that into the file: which the file then may have to grow by. */
const BYTES = 8192 * KiB
const OWNER_ONLY = 0o600

/**
 * Room on the disk that is kept for ending sessions: a file beside the database's, which is given up for it. SQLite appends to
 * its log whatever is done, so that on a disk without a byte left nobody could sign out.
 */
export class Reserve {
  readonly #path: string

  constructor(database: string) {
    this.#path = `${database}-reserve`
  }

  /** Takes what is missing, but no more than half of what is free: the rest is for sessions. */
  keep(): void {
    this.#grow(size => {
      const { bavail, bsize } = statfsSync(dirname(this.#path))
      return Math.min(BYTES, size + (bavail * bsize) / 2)
    })
  }

  /** Takes back what it gave up, as far as it was not needed. */
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

  /** Whether there was any. */
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
