import { StoreUnavailableError } from '../errors.ts'
import { isReporting } from '../reports.ts'

/** One request's store calls, one after another, and the failures that nobody handles. Callers use `run` and `watch`. */
export class Queue {
  #tail: Promise<unknown> | undefined
  #outages = 0
  #isAway = false
  #isFromListener = false
  #pending = 0
  #waiting: (() => void)[] = []
  readonly #calls = new Set<Call<unknown>>()
  #report: ((error: unknown) => void) | undefined

  /**
   * Gives `task` its place: it runs once all tasks begun before it have settled, and at once if there are none. If one of
   * them fails because the store is unavailable, those behind it fail too: each would wait in its turn for a store that
   * does not answer.
   */
  run<T>(task: () => Promise<T>): Promise<T> {
    const outages = this.#outages
    const work = isReporting() ? () => this.#runForListener(task) : task
    const next = () => (outages === this.#outages ? work() : Promise.reject(unsent()))
    const result = this.#tail ? this.#tail.then(next, next) : work()
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

  async #runForListener<T>(task: () => Promise<T>): Promise<T> {
    this.#isFromListener = true
    try {
      return await task()
    } finally {
      this.#isFromListener = false
    }
  }

  /** @internal Whether the running task was begun by a listener of failures while it was told of one. */
  get isFromListener(): boolean {
    return this.#isFromListener
  }

  /** `promise`, counted as pending; if it fails and nobody handles that, the failure is the request's. */
  watch<T>(promise: Promise<T>): Promise<T> {
    const returned = new Returned<T>(resolve => resolve(promise))
    returned.call = new Call(this, returned)
    return returned
  }

  /** For `Call`: counts it as pending until it is over. */
  count(call: Call<unknown>): void {
    // A listener of failures may make calls. Their failures are not reported, since each report could cause the next.
    const isReported = !isReporting()
    this.#pending++
    if (isReported && !this.#report) this.#calls.add(call)
    call.over.then(() => {
      if (--this.#pending === 0) for (const resume of this.#waiting.splice(0)) resume()
      const { unhandled } = call
      if (unhandled === undefined) this.#calls.delete(call)
      else if (isReported) this.#report?.(unhandled)
    })
  }

  /** Whether the store was unavailable for the last task: what can be left undone need not wait for it again. */
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

  /** The response leaves, so nobody asks for failures any more: from now on each call reports its own. */
  close(report: (error: unknown) => void): void {
    this.#report = report
  }

  /** What went wrong unhandled since this was last asked, in the order it was begun. */
  failures(): unknown[] {
    if (this.#calls.size === 0) return []
    const failures = [...this.#calls].flatMap(({ unhandled }) => unhandled ?? [])
    this.#calls.clear()
    return failures
  }
}

/**
 * One call of the app. If it fails, the failure is the request's, unless somebody handles it. `then` tells whether somebody does:
 * - `then` with a function for failures, as `await` calls it, handles the failure.
 * - `then` without one returns a promise that fails too. That promise is watched in place of the call.
 * - Where `then` was not called until the response leaves, nobody handles the failure.
 *
 * Node's `unhandledRejection` comes too early, at the end of the tick, and does not know the request.
 */
export class Call<T> {
  readonly #queue: Queue
  /** The result or, if the call failed, `undefined`. Never rejects: a failure is the request's, not the process's. */
  readonly over: Promise<T | undefined>
  /** Somebody waits for the result. */
  isAwaited = false
  failure: unknown

  constructor(queue: Queue, work: Promise<T>) {
    this.#queue = queue
    this.over = work.catch(error => {
      this.failure ??= error
      return undefined
    })
    queue.count(this)
  }

  /** What `then` of the call is to return: `derived`, which was given the function `rejected`, if any. */
  awaitedBy<A>(derived: Promise<A>, rejected: unknown): Promise<A> {
    this.isAwaited = true
    return rejected ? derived : this.#queue.watch(derived)
  }

  get unhandled(): unknown {
    return this.isAwaited ? undefined : this.failure
  }
}

/** The promise that a call returns to the app. */
class Returned<T> extends Promise<T> {
  static override readonly [Symbol.species] = Promise
  /** `undefined` while `Call` itself begins to wait for it. */
  call: Call<T> | undefined

  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  override then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    const derived = super.then(fulfilled, rejected)
    return this.call ? this.call.awaitedBy(derived, rejected) : derived
  }

  override finally(settled?: (() => void) | null): Promise<T> {
    const derived = super.finally(settled)
    return this.call ? this.call.awaitedBy(derived, undefined) : derived
  }
}

function unsent(): StoreUnavailableError {
  return new StoreUnavailableError('The session store did not answer a call before this one', 'none')
}
