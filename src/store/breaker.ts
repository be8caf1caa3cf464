import { publish } from '../events.ts'

/** How many calls in a row must fail: a single slow call must not block all others. */
const FAILURES = 3

/** Milliseconds. A faster failure kept nobody waiting, and the store's own error is more useful to the app. */
const SLOW = 100

/** The shortest time between two trial calls to a store that is down, in milliseconds. */
const SHORTEST_PAUSE = 500

/**
 * A circuit breaker, driven by this process's own calls. After `FAILURES` timeouts in a row the store counts as down. Then only an
 * occasional trial call is made, and any answer closes the breaker. It has no timer, so it keeps no process alive.
 */
export class Breaker {
  /** Between two trial calls. It grows with the timeout, so that few trial calls wait at any time. */
  readonly pause: number
  readonly #slow: number
  #answers = 0
  #failures = 0
  #isOpen = false
  #openedAt = 0
  /** When the next trial call may be made, and how many are running. */
  #next = 0
  #asking = 0

  constructor(timeout: number) {
    this.pause = Math.max(SHORTEST_PAUSE, timeout / 10)
    this.#slow = Math.min(SLOW, timeout / 2)
  }

  /** How many calls were answered so far. A call notes it at its start, for `failed`. */
  get answers(): number {
    return this.#answers
  }

  /** Whether a call may be made now. */
  admits(now: number): boolean {
    if (!this.#isOpen) return true
    if (now < this.#next) return false
    this.#next = now + this.pause
    this.#asking++
    return true
  }

  /** The store answered, even if it refused. */
  answered(): void {
    this.#answers++
    this.#failures = 0
    if (!this.#isOpen) return
    this.#isOpen = false
    publish({ type: 'store back' })
  }

  /** A call was refused by this library or by the driver, which says nothing about the store. */
  unanswered(begun: number): void {
    if (this.#isOpen && begun >= this.#openedAt) this.#asking--
  }

  /** A call failed at `now` because the store is unavailable. `begun` and `answers` are the values at its start. */
  failed(error: unknown, now: number, begun: number, answers: number): void {
    if (this.#isOpen) {
      // Otherwise, if one visitor is alone, each of their requests would be a trial call and time out.
      if (begun >= this.#openedAt && --this.#asking === 0) this.#next = now + this.pause
      return
    }
    // Other calls were answered meanwhile, so the store is not down.
    if (answers !== this.#answers || now - begun < this.#slow) return
    if (++this.#failures < FAILURES) return
    this.#isOpen = true
    this.#openedAt = now
    this.#next = 0
    this.#asking = 0
    publish({ type: 'store down', error })
  }
}
