import { EventEmitter, once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { Exchange } from './exchange.ts'

/** The responses of requests that use their session, each until its handler is done and it has been sent or aborted. */
export class Responses {
  readonly #underWay = new Set<() => void>()
  readonly #ends = new EventEmitter()

  /** Returns the function to call once the handler is done: a handler may run on long after its visitor has disconnected. */
  add(exchange: Exchange): () => void {
    let awaited = exchange.isClosed ? 1 : 2
    const done = () => {
      if (--awaited > 0) return
      this.#underWay.delete(done)
      this.#ends.emit('end')
    }
    this.#underWay.add(done)
    if (!exchange.isClosed) exchange.onceClosed(done)
    return done
  }

  /** Waits for the responses that are open now, for at most `ms` milliseconds. */
  async ended(ms: number): Promise<void> {
    await atMost(ms, this.#endOf([...this.#underWay]))
  }

  async #endOf(responses: readonly (() => void)[]): Promise<void> {
    for (const response of responses) {
      while (this.#underWay.has(response)) await once(this.#ends, 'end')
    }
  }
}

/** Waits for `work`, for at most `ms` milliseconds. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController()
  await Promise.race([work, setTimeout(ms, undefined, enough)]).finally(() => enough.abort())
}
