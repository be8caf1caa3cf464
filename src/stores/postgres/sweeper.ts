const LONGEST_TIMER = 2 ** 31 - 1

/** Removes expired sessions on a timer, which does not keep the process alive. */
export class Sweeper {
  readonly #every: number
  readonly #sweep: () => Promise<unknown>
  #timer: NodeJS.Timeout | undefined
  isStopped = false

  constructor(every: number, sweep: () => Promise<unknown>) {
    this.#every = Math.min(every, LONGEST_TIMER)
    this.#sweep = sweep
    // Random, so that processes that start together do not sweep together.
    this.#after(this.#every * (0.5 + Math.random() / 2))
  }

  stop(): void {
    this.isStopped = true
    clearTimeout(this.#timer)
  }

  #after(milliseconds: number): void {
    this.#timer = setTimeout(async () => {
      // If it fails, the next run or another process does it.
      await this.#sweep().catch(() => {})
      if (!this.isStopped) this.#after(this.#every)
    }, milliseconds).unref()
  }
}
