import type { Entries } from './entries.ts'
import type { SessionFile } from './file.ts'
import { expiredBy } from './keys.ts'

/** The most that is removed in one transaction, if it takes no longer than that. */
const MOST_SESSIONS = 100
const MOST_MILLISECONDS = 1
/** Times as long as it takes, it rests: a busy machine is left alone all the longer. */
const REST = 9

const LONGEST_TIMER = 2 ** 31 - 1

/** Removes expired sessions, and tombstones, bit by bit. Any number of processes may do so at once. */
export class Sweeper {
  readonly #file: SessionFile
  readonly #entries: Entries
  readonly #every: number
  #timer: NodeJS.Timeout | undefined
  #isSweeping = false
  #most = MOST_SESSIONS

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
    const begun = performance.now()
    let isDone = true
    try {
      if (!this.#isSweeping) this.#file.forgetTheDead()
      isDone = this.#file.readKeys(expiredBy(Date.now()), 1).length === 0 || (await this.#sweepSome()) === 0
      if (isDone) this.#most = MOST_SESSIONS
    } catch {
      // On a full disk there may be room for removing them one by one. If not, the next time comes.
      isDone = this.#most === 1
      this.#most = 1
    }
    this.#isSweeping = !isDone
    if (!this.#file.isClosed) this.#after(isDone ? this.#every : REST * (performance.now() - begun))
  }

  #sweepSome(): Promise<number> {
    return this.#file.write(() => {
      const until = performance.now() + MOST_MILLISECONDS
      return this.#entries.sweep(Date.now(), this.#most, () => performance.now() > until)
    })
  }
}
