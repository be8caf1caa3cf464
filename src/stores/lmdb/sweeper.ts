import type { Entries } from './entries.ts'
import type { SessionFile } from './file.ts'
import { expiredBy } from './keys.ts'

/** So many keys are read at once, whose sessions then are removed in many transactions. */
const PAGE = 250
/** What others wait for one transaction, its end included: as many sessions are removed in it as take so long. */
const MILLISECONDS = 0.3

/** Times as long as it takes, it rests: a busy machine is left alone all the longer. */
const REST = 9

const LONGEST_TIMER = 2 ** 31 - 1

/** Removes expired sessions, and tombstones, bit by bit. Any number of processes may do so at once. */
export class Sweeper {
  readonly #file: SessionFile
  readonly #entries: Entries
  readonly #every: number
  #timer: NodeJS.Timeout | undefined
  #expired: Buffer[] = []
  #most = 1

  constructor(file: SessionFile, entries: Entries, every: number) {
    this.#file = file
    this.#entries = entries
    this.#every = Math.min(every, LONGEST_TIMER)
    this.#after(this.#every)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #after(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#sweep(), milliseconds).unref()
  }

  async #sweep(): Promise<void> {
    let rest = this.#every
    try {
      if (this.#expired.length === 0) this.#expired = this.#file.readKeys(expiredBy(Date.now()), PAGE)
      if (this.#expired.length > 0) rest = REST * (await this.#sweepSome())
      else this.#file.forgetTheDead()
    } catch {
      // On a full disk there may be room for removing them one by one. If not, the next time comes.
      this.#expired = []
      if (this.#most > 1) rest = 0
      this.#most = 1
    }
    if (!this.#file.isClosed) this.#after(rest)
  }

  /** Milliseconds that it took. */
  async #sweepSome(): Promise<number> {
    const some = this.#expired.splice(0, this.#most)
    const begun = performance.now()
    await this.#file.write(() => this.#entries.sweep(some))
    const took = performance.now() - begun
    this.#most = took > MILLISECONDS ? Math.ceil(this.#most / 2) : this.#most + 1
    return took
  }
}
