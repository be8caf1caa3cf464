import { fstatSync, writeSync } from 'node:fs'
import { META_PAGES } from './openable.ts'
import type { Database, TreeStats } from './package.ts'

const KiB = 1024
const MiB = 1024 * KiB
/** The file grows by so much at a time. */
const STEP = 8 * MiB
/** What a transaction may need beside its writes, for the list of free pages. */
const PER_TRANSACTION = 512 * KiB
/** What a write may need: copies of the pages on the way to its place, and more where they are split. */
const PER_WRITE = 32 * KiB
/** What is left to removing, so that a full disk can be cleared. */
const TO_REMOVE = 3 * MiB
/** The same, while there are free pages in the file, which are used first where they lie together. */
const TO_REMOVE_ONE = PER_TRANSACTION + 4 * PER_WRITE

/**
 * Takes room on the disk before LMDB needs it: where LMDB itself finds none, it writes beyond a buffer of its own and may end
 * the process (lmdb 3.5.6, `mdb_page_flush`). Only used within a write transaction, which only one process has at a time.
 */
export class Space {
  readonly #db: Database
  readonly #fd: number
  /** Bytes that are surely left at the end of the file. */
  #left = 0
  /** Bytes of pages within the file that nothing is on. */
  #free = 0
  #need = 0

  constructor(db: Database, fd: number) {
    this.#db = db
    this.#fd = fd
  }

  /** `isAlone` tells that nobody else has written since the last time. */
  begin(isAlone: boolean): void {
    this.#need = PER_TRANSACTION
    if (!isAlone) this.#left = 0
  }

  /** Counts a write. */
  use(bytes: number): void {
    this.#need += PER_WRITE + 2 * bytes
  }

  /** Makes sure that what was counted can be written. Throws the file system's error if it cannot. */
  reserve(isRemoving: boolean): void {
    if (this.#need === PER_TRANSACTION) return
    if (this.#left < this.#needed(isRemoving)) this.#grow(isRemoving)
    this.#left -= this.#need
  }

  #needed(isRemoving: boolean): number {
    if (isRemoving) return this.#need
    return this.#need + (this.#free < TO_REMOVE ? TO_REMOVE : TO_REMOVE_ONE)
  }

  #grow(isRemoving: boolean): void {
    const { pageSize, lastPageNumber, root, free } = this.#db.getStats()
    const used = (lastPageNumber + 1) * pageSize
    this.#free = used - (META_PAGES + pagesOf(root) + pagesOf(free)) * pageSize
    const needed = this.#needed(isRemoving)
    let { size } = fstatSync(this.#fd)
    try {
      if (size - used < needed) {
        // Page by page, since the kernel keeps what is written at once together, and is slow to change a part of it.
        const zeros = Buffer.alloc(pageSize)
        while (size - used < needed + STEP) size += writeSync(this.#fd, zeros, 0, pageSize, size)
      }
    } catch (error) {
      if (size - used < needed) throw error
    }
    this.#left = size - used
  }
}

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: TreeStats): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages
}
