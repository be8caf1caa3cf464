import { StoreUnavailableError } from '../errors.ts'
import { isReporting } from './reports.ts'

/** One request's store calls, one after another, and what came of those that nobody awaits. */
export class Queue {
  #tail: Promise<unknown> | undefined
  #outages = 0
  #isAway = false
  #pending = 0
  #waiting: (() => void)[] = []
  readonly #failures = new Set<() => unknown>()
  #report: ((error: unknown) => void) | undefined

  /**
   * Gives `task` its place: it runs once all tasks begun before it have settled, and at once if there are none. If one of
   * them fails because the store is unavailable, those behind it fail too: each would wait in its turn for a store that
   * does not answer.
   */
  run<T>(task: () => Promise<T>): Promise<T> {
    const outages = this.#outages
    const next = () => (outages === this.#outages ? task() : Promise.reject(unsent()))
    const result = this.#tail ? this.#tail.then(next, next) : task()
    this.#tail = result
    const done = (isAway: boolean) => {
      if (isAway) this.#outages++
      this.#isAway = isAway
      if (this.#tail === result) this.#tail = undefined
    }
    result.then(
      () => done(false),
      error => done(error instanceof StoreUnavailableError),
    )
    return result
  }

  /** `promise`, counted as pending; if it fails and nobody handles that, the failure is the request's. */
  watch<T>(promise: Promise<T>): Promise<T> {
    const act = new Act<T>(resolve => resolve(promise))
    act.queue = this
    let failure: unknown
    const settled = act.settled(error => {
      failure = error
    })
    this.track(settled, () => (act.asked ? undefined : failure))
    return act
  }

  /** Counts `work`, which never rejects, as pending; `failed` tells afterwards of a failure that nobody handled. */
  track(work: Promise<unknown>, failed: () => unknown): void {
    const failure = isReporting() ? nothing : failed
    this.#pending++
    if (!this.#report) this.#failures.add(failure)
    work.then(() => {
      if (--this.#pending === 0) for (const resume of this.#waiting.splice(0)) resume()
      // What has not failed, or was handled, is nobody's business any more.
      if (failure() === undefined) this.#failures.delete(failure)
      const late = this.#report && failure()
      if (late !== undefined) this.#report?.(late)
    })
  }

  /** Whether the last task to settle failed for want of the store: what can be left undone need not wait for it again. */
  get isAway(): boolean {
    return this.#isAway
  }

  get isPending(): boolean {
    return this.#pending > 0
  }

  /** Resolves once nothing is pending. */
  async settled(): Promise<void> {
    while (this.isPending) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  /** From now on nobody asks for failures any more: what is begun after the response reports its own. */
  close(report: (error: unknown) => void): void {
    this.#report = report
  }

  /** What went wrong unhandled since this was last asked, in the order it was begun. */
  failures(): unknown[] {
    if (this.#failures.size === 0) return []
    const failures = [...this.#failures].flatMap(failure => failure() ?? [])
    this.#failures.clear()
    return failures
  }
}

/**
 * A promise that knows whether anybody waits for it, and so also handles a failure; what is only derived from it, as by
 * `.then(session.update)`, is watched in its place.
 */
class Act<T> extends Promise<T> {
  static override readonly [Symbol.species] = Promise
  asked = false
  queue: Queue | undefined

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.asked = true
    const derived = super.then(fulfilled, rejected)
    return rejected || !this.queue ? derived : this.queue.watch(derived)
  }

  override finally(settled?: (() => void) | null): Promise<T> {
    const derived = super.finally(settled)
    return this.queue ? this.queue.watch(derived) : derived
  }

  settled(failed: (error: unknown) => void): Promise<void> {
    return super.then(nothing, failed)
  }
}

function unsent(): StoreUnavailableError {
  return new StoreUnavailableError('The session store did not answer a call before this one', 'none')
}

function nothing(): void {}
