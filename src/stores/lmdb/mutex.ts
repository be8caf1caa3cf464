import { flush, openLMDB } from './open.ts'
import type { Database } from './package.ts'

/** Nothing is ever stored in it. */
const MAP_SIZE = 2 ** 20

/**
 * Lets one at a time, of all processes, open a file of sessions, write to it, or close it. LMDB's own lock covers writing
 * only: whoever opens the file sets its count of transactions to what it read a moment before, and what was committed in
 * between is lost (lmdb 3.5.6, `mdb_env_open2`; in LMDB itself ITS#9496).
 *
 * This is the lock of a second LMDB file, beside the first: it costs 1 µs, and is freed when its holder is killed. As
 * nothing is ever written there, opening that one does no harm.
 */
export class Mutex {
  readonly #path: string
  readonly #db: Database

  /** Of the file `path`. */
  constructor(path: string) {
    this.#path = `${path}-mutex`
    this.#db = openLMDB(this.#path, { mapSize: MAP_SIZE, noSync: true })
  }

  /** Has it be whole after the machine has lost its power. */
  flush(): void {
    flush(this.#path)
  }

  run<T>(work: () => T): T {
    return this.#db.transactionSync(work)
  }

  close(): void {
    void this.#db.close()
  }
}
