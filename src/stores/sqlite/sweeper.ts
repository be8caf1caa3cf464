import { setImmediate } from 'node:timers/promises'
import type { SessionFile } from './file.ts'
import type { SessionTable } from './sessions.ts'

/** How long one transaction of the sweep may take, in milliseconds. It decides how many sessions are removed in one. */
const MILLISECONDS = 0.3

/** The pause after a transaction, as a multiple of its time: on a busy machine the pause is longer. */
const REST = 9

/**
 * After this many removed sessions the log is moved into the file. SQLite does so only at 1000 pages, within whatever call comes then,
 * and a sweep fills them soon: in smaller portions nobody waits long.
 */
const BETWEEN_CHECKPOINTS = 100

const LONGEST_TIMER = 2 ** 31 - 1

/** Removes expired sessions, and tombstones, bit by bit. Any number of processes may do so at once. */
export class Sweeper {
  readonly #file: SessionFile
  readonly #sessions: SessionTable
  readonly #every: number
  #timer: NodeJS.Timeout | undefined
  #most = 1
  #sinceCheckpoint = 0

  constructor(file: SessionFile, sessions: SessionTable, every: number) {
    this.#file = file
    this.#sessions = sessions
    this.#every = Math.min(every, LONGEST_TIMER)
    this.#after(this.#every)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #after(milliseconds: number): void {
    this.#timer = setTimeout(() => this.#sweep(), milliseconds).unref()
  }

  async sweepAll(): Promise<number> {
    for (let all = 0; ; ) {
      const removed = await this.#sweepSome()
      if (removed === 0) return all
      all += removed
      await setImmediate()
    }
  }

  async #sweep(): Promise<void> {
    let rest = this.#every
    try {
      const begun = performance.now()
      if ((await this.#sweepSome()) > 0) rest = REST * (performance.now() - begun)
      else this.#file.keepReserve()
    } catch {
      // The next time comes.
      this.#most = 1
    }
    if (!this.#file.isClosed) this.#after(rest)
  }

  /** How many it has removed: fewer the next time, if that took long. */
  async #sweepSome(): Promise<number> {
    if (!(await this.#file.read(() => this.#sessions.hasExpired()))) return 0
    const most = this.#most
    const begun = performance.now()
    const removed = await this.#file.write(() => this.#sessions.sweep(most), true)
    this.#most = performance.now() - begun > MILLISECONDS ? Math.ceil(most / 2) : most + 1
    this.#sinceCheckpoint += removed
    if (this.#sinceCheckpoint >= BETWEEN_CHECKPOINTS) {
      this.#sinceCheckpoint = 0
      this.#file.checkpoint('PASSIVE')
    }
    return removed
  }
}
