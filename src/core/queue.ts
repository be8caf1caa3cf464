/** One request's store calls, one after another, and what came of those that nobody awaits. */
export class Queue {
  #tail: Promise<unknown> | undefined
  #pending = 0
  #waiting: (() => void)[] = []
  #failures: (() => unknown)[] = []
  #report: ((error: unknown) => void) | undefined

  /** Runs `task` once all tasks before it have settled; at once if there are none. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail ? this.#tail.then(task, task) : task()
    this.#tail = result
    const done = () => {
      if (this.#tail === result) this.#tail = undefined
    }
    result.then(done, done)
    return result
  }

  /** Counts `work`, which never rejects, as pending; `failure` tells afterwards of one that nobody handled. */
  track(work: Promise<unknown>, failure: () => unknown): void {
    this.#pending++
    if (!this.#report) this.#failures.push(failure)
    work.then(() => {
      const late = this.#report && failure()
      if (late !== undefined) this.#report?.(late)
      if (--this.#pending > 0) return
      for (const resume of this.#waiting.splice(0)) resume()
    })
  }

  /** Resolves once nothing is pending. */
  async settled(): Promise<void> {
    while (this.#pending > 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  /** From now on nobody asks for failures any more: what is begun after the response reports its own. */
  close(report: (error: unknown) => void): void {
    this.#report = report
  }

  /** What went wrong unhandled since this was last asked, in the order it was begun. */
  failures(): unknown[] {
    return this.#failures.splice(0).flatMap(failure => failure() ?? [])
  }
}
