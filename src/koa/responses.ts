import type { ServerResponse } from 'node:http'
import { setTimeout } from 'node:timers/promises'

/** The responses of requests that use their session, until they have been sent or broken off. */
export class Responses {
  readonly #underWay = new Set<ServerResponse>()

  add(response: ServerResponse): void {
    if (response.closed) return
    this.#underWay.add(response)
    response.once('close', () => this.#underWay.delete(response))
  }

  /** Waits for those under way now, no longer than so many milliseconds. */
  async sent(ms: number): Promise<void> {
    const closed = [...this.#underWay].map(response => new Promise(sent => response.once('close', sent)))
    await atMost(ms, Promise.all(closed))
  }
}

/** Waits for `work`, but no longer than so many milliseconds. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController()
  await Promise.race([work, setTimeout(ms, undefined, enough)]).finally(() => enough.abort())
}
