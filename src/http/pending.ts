import { handleOf } from '../session/handle.ts'
import { onceOfAKind } from '../session/reports.ts'
import type { SessionHandle } from '../session/types.ts'
import type { Visit } from '../session/visit.ts'
import type { Exchange } from './exchange.ts'

/** A request that uses its session: its response does not leave before what it asked for is acknowledged. */
export class Pending {
  readonly handle: SessionHandle<unknown>
  readonly #exchange: Exchange
  readonly #visit: Visit
  readonly #done: () => void

  /**
   * `handle` is what the app calls it, such as `ctx.session`. `isOver`: the handler has done its part already. `done` is called
   * once nobody works at the response.
   */
  constructor(exchange: Exchange, visit: Visit, handle: string, isOver: boolean, done: () => void) {
    this.handle = handleOf(visit, handle)
    this.#exchange = exchange
    this.#visit = visit
    this.#done = done
    if (isOver) this.#close()
    else if (exchange.headersSent) this.#reportFailures()
  }

  /** Resolves once nothing that the request has asked for so far is under way. */
  settled(): Promise<void> {
    return this.#visit.queue.settled()
  }

  /**
   * The handler has done its part: resolves once all that it asked for is acknowledged, and rejects with what failed of it;
   * what else failed is reported. Then the response may leave.
   */
  async answered(): Promise<void> {
    const { queue } = this.#visit
    const failures: unknown[] = []
    const unfinished: unknown[] = []
    do {
      await queue.settled()
      await this.#visit.finish().catch(error => unfinished.push(error))
      // Something may have been begun while the store was asked.
      if (queue.isPending) continue
      failures.push(...queue.failures(), ...unfinished.splice(0))
      for (const other of failures.splice(1)) this.#exchange.report(other)
      // Or by who is told of a failure.
    } while (queue.isPending)
    this.#close()
    if (failures.length > 0) throw failures[0]
  }

  /** The handler failed, and its error is the response's: rejects with it once that may leave. What else failed is reported. */
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

  /** No response can fail for them from now on. */
  #reportFailures(): void {
    this.#visit.queue.close(onceOfAKind(error => this.#exchange.report(error)))
  }
}
