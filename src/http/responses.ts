import { EventEmitter, once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { Exchange } from './exchange.ts'

/** The responses of requests that use their session, until nobody works at them and they have been sent or broken off. */
export class Responses {
  readonly #underWay = new Set<() => void>()
  readonly #ends = new EventEmitter()

  /** Gives what is to be called once nobody works at it: who does may go on long after a visitor has gone. */
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

  /** Waits for those under way now, no longer than so many milliseconds. */
  async ended(ms: number): Promise<void> {
    await atMost(ms, this.#endOf([...this.#underWay]))
  }

  async #endOf(responses: readonly (() => void)[]): Promise<void> {
    for (const response of responses) {
      while (this.#underWay.has(response)) await once(this.#ends, 'end')
    }
  }
}

/** Waits for `work`, but no longer than so many milliseconds. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController()
  await Promise.race([work, setTimeout(ms, undefined, enough)]).finally(() => enough.abort())
}
