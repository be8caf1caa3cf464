import { fstatSync, writeSync } from 'node:fs'
import type { Database } from './lmdb-package.ts'

const KiB = 1024
const MiB = 1024 * KiB
/** The file grows by so much at a time. */
const STEP = 8 * MiB
/** What a transaction may need beside its writes, for the list of free pages. */
const PER_TRANSACTION = 512 * KiB
/** What a write may need: copies of the pages on the way to its place, and more where they are split. */
const PER_WRITE = 32 * KiB
/** Left alone by all that does not remove, so that a full disk can be cleared. */
const FOR_REMOVING = MiB

const zeros = Buffer.alloc(STEP)

/**
 * Takes room on the disk before LMDB needs it: where LMDB itself finds none, it writes beyond a buffer of its own and may end
 * the process (lmdb 3.5.6, `mdb_page_flush`). Only used within a write transaction, which only one process has at a time.
 */
export class Space {
  readonly #db: Database
  readonly #fd: number
  /** Bytes that are surely left at the end of the file. */
  #left = 0
  #transaction = 0
  #need = 0

  constructor(db: Database, fd: number) {
    this.#db = db
    this.#fd = fd
  }

  begin(): void {
    this.#need = PER_TRANSACTION
  }

  /** Counts a write. */
  use(bytes: number): void {
    this.#need += PER_WRITE + 2 * bytes
  }

  /** Makes sure that what was counted can be written. Throws the file system's error if it cannot. */
  reserve(isRemoving: boolean): void {
    const need = this.#need + (isRemoving ? 0 : FOR_REMOVING)
    const transaction = this.#db.getWriteTxnId()
    if (this.#transaction + 1 !== transaction || this.#left < need) this.#grow(need)
    this.#transaction = transaction
    this.#left -= this.#need
  }

  #grow(need: number): void {
    const { pageSize, lastPageNumber } = this.#db.getStats()
    let { size } = fstatSync(this.#fd)
    const used = (lastPageNumber + 1) * pageSize
    try {
      while (size - used < need + STEP / 2) size += writeSync(this.#fd, zeros, 0, STEP, size)
    } catch (error) {
      if (size - used < need) throw error
    }
    this.#left = size - used
  }
}
