const LONGEST_TIMER = 2 ** 31 - 1

/** Has expired sessions removed now and then, for as long as the process lives for other reasons. */
export class Sweeper {
  readonly #every: number
  readonly #sweep: () => Promise<unknown>
  #timer: NodeJS.Timeout | undefined
  isStopped = false

  constructor(every: number, sweep: () => Promise<unknown>) {
    this.#every = Math.min(every, LONGEST_TIMER)
    this.#sweep = sweep
    // The processes of an app start together, and need not sweep together.
    this.#after(this.#every * (0.5 + Math.random() / 2))
  }

  stop(): void {
    this.isStopped = true
    clearTimeout(this.#timer)
  }

  #after(milliseconds: number): void {
    this.#timer = setTimeout(async () => {
      // Another time, or another process.
      await this.#sweep().catch(() => {})
      if (!this.isStopped) this.#after(this.#every)
    }, milliseconds).unref()
  }
}
