import { onceOfAKind } from '../reports.ts'
import { handleOf } from '../session/handle.ts'
import type { SessionHandle } from '../session/types.ts'
import type { Visit } from '../session/visit.ts'
import type { Exchange } from './exchange.ts'

/** A request that uses its session. Its response waits until all changes made for it are acknowledged. */
export class Pending {
  readonly handle: SessionHandle<unknown>
  readonly #exchange: Exchange
  readonly #visit: Visit
  readonly #done: () => void
  /** For late failures. */
  readonly #report = onceOfAKind(error => this.#exchange.report(error))

  /**
   * `handle` is the session's name in messages, such as `ctx.session`. `isOver`: the handler has already returned. `done` is called
   * once the handler's work for the response is over.
   */
  constructor(exchange: Exchange, visit: Visit, handle: string, isOver: boolean, done: () => void) {
    this.handle = handleOf(visit, handle)
    this.#exchange = exchange
    this.#visit = visit
    this.#done = done
    if (isOver) this.#close()
    else if (exchange.headersSent) this.#reportFailures()
  }

  /** Resolves once no call of the request is running. */
  settled(): Promise<void> {
    return this.#visit.queue.settled()
  }

  /**
   * For a handler that has returned. Resolves once all its changes are acknowledged, or rejects with the first error that was not
   * handled; the other errors are reported. After that the response may be sent.
   */
  async answered(): Promise<void> {
    const { queue } = this.#visit
    const unfinished: unknown[] = []
    // The app may begin another call meanwhile.
    do {
      await queue.settled()
      await this.#visit.finish().catch(error => unfinished.push(error))
    } while (queue.isPending)
    const failures = [...queue.failures(), ...unfinished]
    if (failures.length === 0) return this.#close()
    await this.#fail(failures.slice(1), () => this.#visit.finish().catch(this.#report))
    throw this.#exchange.answerable(failures[0])
  }

  /** For a handler that has thrown. Rejects with its error once the response may be sent. Other errors are reported. */
  async failed(error: unknown): Promise<never> {
    const { queue } = this.#visit
    const finish = () => this.#visit.recheck()
    do {
      await queue.settled()
      await finish()
    } while (queue.isPending)
    const others = queue.failures().filter(other => other !== error)
    await this.#fail(others, finish)
    throw this.#exchange.answerable(error)
  }

  /**
   * The request fails, and these are its other errors. A listener may begin calls for each of them: the response waits for these
   * calls too, but they are late. If they counted as the request's own, each report could cause the next.
   */
  async #fail(others: readonly unknown[], finish: () => Promise<void>): Promise<void> {
    const { queue } = this.#visit
    this.#reportFailures()
    try {
      for (const other of others) this.#exchange.report(other)
      while (queue.isPending) {
        await queue.settled()
        await finish()
      }
    } finally {
      // Even if a listener has thrown: otherwise `sessions.close()` would wait for this request.
      this.#done()
    }
  }

  #close(): void {
    this.#reportFailures()
    this.#done()
  }

  /** From now on no failure changes the answer, so failures are reported. */
  #reportFailures(): void {
    this.#visit.queue.close(this.#report)
  }
}
