import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Command, Refresh } from './recording.ts'
import { recorded } from './recording.ts'
import { type Request, Sender } from './sender.ts'

/** How many requests a race has on each side, and how many find an expired token. */
export const REQUESTS = 100
export const REFRESHING = 20
/** How long a request works before its change, milliseconds: 20 to 219, mixed, and the same on both sides. */
const workOf = (number: number) => 20 + ((number * 37) % 200)
const SLOW_WORK = 1500
const BEFORE_SIGNING_OUT = 100

/** What became of one side's requests. */
export interface Lane {
  readonly requests: readonly Request[]
  readonly commands: readonly Command[]
  readonly refreshes: readonly Refresh[]
  /** The numbers of the requests whose line is in the session afterwards. */
  readonly kept: readonly number[]
  /** Whom the session belongs to afterwards, asked with the cookie it had. */
  readonly visitor: string | undefined
}

export interface Lanes {
  readonly atomic: Lane
  readonly ordinary: Lane
}

/**
 * Sends requests to the two apps over HTTP, with a session's cookie. The visitor's browser could not: it opens at most six
 * connections to a host.
 */
export class Runner {
  readonly #atomic: Server
  readonly #ordinary: Server
  #latest: Promise<Lanes | undefined> | undefined

  constructor(atomic: RequestListener, ordinary: RequestListener) {
    this.#atomic = served(atomic)
    this.#ordinary = served(ordinary)
  }

  /** The result of the last race. The first call runs one. `undefined` if it failed: the next call tries again. */
  latest(): Promise<Lanes | undefined> {
    this.#latest ??= this.race().catch(() => {
      this.#latest = undefined
      return undefined
    })
    return this.#latest
  }

  /** A hundred requests at once, each of which adds one line. */
  async race(): Promise<Lanes> {
    const lanes = await this.#onBoth(async send => {
      await atOnce(REQUESTS, number => send(`/add/${number}?work=${workOf(number)}`, `Request ${number}`))
    })
    this.#latest = Promise.resolve(lanes)
    return lanes
  }

  /** A slow request is under way while its visitor signs out. Again where the machine was so busy that it was over by then. */
  async signOut(): Promise<Lanes> {
    for (;;) {
      const lanes = await this.#onBoth(async send => {
        const slow = send(`/add/1?work=${SLOW_WORK}`, 'Slow request')
        await setTimeout(BEFORE_SIGNING_OUT)
        await send('/sign-out', 'Sign out')
        await slow
      })
      if ([lanes.atomic, lanes.ordinary].every(isOvertaken)) return lanes
    }
  }

  /** Twenty requests at once find that the access token has expired. */
  refresh(): Promise<Lanes> {
    return this.#onBoth(async send => {
      await atOnce(REFRESHING, number => send('/token', `Request ${number}`))
    })
  }

  async close(): Promise<void> {
    for (const server of [this.#atomic, this.#ordinary]) {
      server.closeIdleConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }

  /** Each request goes to one side right after the other, so that both begin at the same time. */
  async #onBoth(
    run: (send: (path: string, label: string) => Promise<unknown>) => Promise<void>,
  ): Promise<Lanes> {
    const [atomic, ordinary] = await Promise.all([signedIn(this.#atomic), signedIn(this.#ordinary)])
    const senders = [atomic, ordinary]
    try {
      await run((path, label) => Promise.all(senders.map(sender => sender.send(path, label))))
    } finally {
      for (const { recording } of senders) recording.stop()
    }
    return { atomic: await laneOf(atomic), ordinary: await laneOf(ordinary) }
  }
}

function served(handle: RequestListener): Server {
  const listener: RequestListener = (request, response) => recorded(request, () => handle(request, response))
  return createServer(listener).listen(0, '127.0.0.1')
}

async function signedIn(server: Server): Promise<Sender> {
  if (!server.listening) await once(server, 'listening')
  const sender = new Sender(server.address() as AddressInfo)
  await sender.signIn()
  return sender
}

async function laneOf(sender: Sender): Promise<Lane> {
  const {
    requests,
    recording: { commands, refreshes },
  } = sender
  const { visitor, lines: kept } = await sender.signOut()
  return { requests, commands, refreshes, kept, visitor }
}

/** Whether the first request was still under way when the second was answered. */
function isOvertaken({ requests: [first, second] }: Lane): boolean {
  return first !== undefined && second !== undefined && second.ended < first.ended
}

function atOnce(times: number, send: (number: number) => Promise<unknown>): Promise<unknown> {
  return Promise.all(Array.from({ length: times }, (_, index) => send(index + 1)))
}
