import { publish } from '../events.ts'

/** So many calls in a row have to fail: one that is slow by itself must not shut all others out. */
const FAILURES = 3

/** Milliseconds. What failed sooner made nobody wait, and an app is better served by the store's own error. */
const SLOW = 100

/** Milliseconds between two calls that ask a store that is down whether it is back. */
const SHORTEST_PAUSE = 500

/**
 * Whether a store is worth asking, by what became of this process's own calls. After some failures in a row it is taken
 * to be down: then only one call in a while is made, to find out whether it is back, and any answer shows that it is.
 * It has no timer: an app that asks nothing learns nothing, and is kept alive by nothing.
 */
export class Breaker {
  /** So that those which never come back are few at any time, also where each waits for long. */
  readonly pause: number
  readonly #slow: number
  #answers = 0
  #failures = 0
  #isOpen = false
  #openedAt = 0
  /** When the next call may be made to a store that is down, and how many such are under way. */
  #next = 0
  #asking = 0

  constructor(timeout: number) {
    this.pause = Math.max(SHORTEST_PAUSE, timeout / 10)
    this.#slow = Math.min(SLOW, timeout / 2)
  }

  /** To be handed back by a call that fails. */
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

  /** The store answered, if only to refuse. */
  answered(): void {
    this.#answers++
    this.#failures = 0
    if (!this.#isOpen) return
    this.#isOpen = false
    publish({ type: 'store back' })
  }

  /** A call ended before the store could show whether it is there: refused by this library or by the driver. */
  unanswered(begun: number): void {
    if (this.#isOpen && begun >= this.#openedAt) this.#asking--
  }

  /** A call failed for want of the store; `answers` is how many there had been when it was begun. */
  failed(error: unknown, begun: number, answers: number): void {
    const now = performance.now()
    if (this.#isOpen) {
      // A visitor who is alone would otherwise be the one who asks, and waits in vain, each time.
      if (begun >= this.#openedAt && --this.#asking === 0) this.#next = now + this.pause
      return
    }
    // Others were answered meanwhile: it was the call's fault.
    if (answers !== this.#answers || now - begun < this.#slow) return
    if (++this.#failures < FAILURES) return
    this.#isOpen = true
    this.#openedAt = now
    this.#next = 0
    this.#asking = 0
    publish({ type: 'store down', error })
  }
}
