import { handleOf } from '../session/handle.ts'
import { onceOfAKind } from '../session/reports.ts'
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
   * `handle` is what the app calls it, such as `ctx.session`. `isOver`: the handler is done already. `done` is called once
   * nothing more will be done for the response.
   */
  constructor(exchange: Exchange, visit: Visit, handle: string, isOver: boolean, done: () => void) {
    this.handle = handleOf(visit, handle)
    this.#exchange = exchange
    this.#visit = visit
    this.#done = done
    if (isOver) this.#close()
    else if (exchange.headersSent) this.#reportFailures()
  }

  /** Resolves once no call that the request has made is under way. */
  settled(): Promise<void> {
    return this.#visit.queue.settled()
  }

  /**
   * The handler is done: resolves once all its changes are acknowledged, or rejects with the first failure that nobody handled;
   * the others are reported. Then the response may leave.
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
      // Or by a listener that was told of a failure.
    } while (queue.isPending)
    this.#close()
    if (failures.length > 0) throw failures[0]
  }

  /** The handler failed: rejects with its error once the response may leave. Other failures are reported. */
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
