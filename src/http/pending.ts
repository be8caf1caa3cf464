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
    const failures: unknown[] = []
    const unfinished: unknown[] = []
    do {
      await queue.settled()
      await this.#visit.finish().catch(error => unfinished.push(error))
      // The app may have begun another call meanwhile.
      if (queue.isPending) continue
      failures.push(...queue.failures(), ...unfinished.splice(0))
      for (const other of failures.splice(1)) this.#exchange.report(other)
      // A listener for errors may have begun one too.
    } while (queue.isPending)
    this.#close()
    if (failures.length > 0) throw failures[0]
  }

  /** For a handler that has thrown. Rejects with its error once the response may be sent. Other errors are reported. */
  async failed(error: unknown): Promise<never> {
    const { queue } = this.#visit
    do {
      await queue.settled()
      await this.#visit.recheck()
      if (queue.isPending) continue
      for (const other of queue.failures()) if (other !== error) this.#exchange.report(other)
    } while (queue.isPending)
    this.#close()
    throw this.#exchange.answerable(error)
  }

  #close(): void {
    this.#reportFailures()
    this.#done()
  }

  /** From now on the response cannot fail, so errors are reported. */
  #reportFailures(): void {
    this.#visit.queue.close(onceOfAKind(error => this.#exchange.report(error)))
  }
}
