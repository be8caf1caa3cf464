import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { type Command, Recording, recorded } from './recording.ts'

/** How many requests a race has on each side. */
export const REQUESTS = 100
/** How long a request works before its change, milliseconds: 20 to 219, mixed, and the same on both sides. */
const workOf = (number: number) => 20 + ((number * 37) % 200)
const SLOW_WORK = 1500
const BEFORE_SIGNING_OUT = 100

export interface Request {
  readonly number: number
  readonly label: string
  /** Milliseconds of `performance.now()`. */
  readonly began: number
  readonly ended: number
  readonly status: number
}

/** What became of one side's requests. */
export interface Lane {
  readonly requests: readonly Request[]
  readonly commands: readonly Command[]
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
 * Sends requests to the two apps as a browser would, with a session's cookie, over HTTP; not from the visitor's own
 * browser, which opens six connections to a host and no more. Nobody else is told where they listen.
 */
export class Runner {
  readonly #atomic: Server
  readonly #ordinary: Server

  constructor(atomic: RequestListener, ordinary: RequestListener) {
    this.#atomic = served(atomic)
    this.#ordinary = served(ordinary)
  }

  /** A hundred requests at once, each of which adds one line. */
  race(): Promise<Lanes> {
    return this.#onBoth(async sender => {
      const numbers = Array.from({ length: REQUESTS }, (_, index) => index + 1)
      await Promise.all(
        numbers.map(number => sender.send(`/add/${number}?work=${workOf(number)}`, `Request ${number}`)),
      )
    })
  }

  /** A slow request is under way while its visitor signs out. */
  signOut(): Promise<Lanes> {
    return this.#onBoth(async sender => {
      const slow = sender.send(`/add/1?work=${SLOW_WORK}`, 'Slow request')
      await setTimeout(BEFORE_SIGNING_OUT)
      await sender.send('/sign-out', 'Sign out')
      await slow
    })
  }

  async close(): Promise<void> {
    for (const server of [this.#atomic, this.#ordinary]) {
      server.closeIdleConnections()
      await new Promise(resolve => server.close(resolve))
    }
  }

  async #onBoth(run: (sender: Sender) => Promise<void>): Promise<Lanes> {
    const [atomic, ordinary] = await Promise.all([lane(this.#atomic, run), lane(this.#ordinary, run)])
    return { atomic, ordinary }
  }
}

function served(handle: RequestListener): Server {
  return createServer((request, response) => recorded(request, () => handle(request, response))).listen(
    0,
    '127.0.0.1',
  )
}

async function lane(server: Server, run: (sender: Sender) => Promise<void>): Promise<Lane> {
  if (!server.listening) await once(server, 'listening')
  const sender = new Sender(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await sender.signIn()
  try {
    await run(sender)
  } finally {
    sender.recording.stop()
  }
  const { requests, recording } = sender
  const { visitor, lines: kept } = await sender.signOut()
  return { requests, commands: recording.commands, kept, visitor }
}

/** One visitor, who keeps the cookie that signing in gave. */
class Sender {
  readonly recording = new Recording()
  readonly requests: Request[] = []
  readonly #url: string
  #cookie = ''
  #sent = 0

  constructor(url: string) {
    this.#url = url
  }

  async signIn(): Promise<void> {
    const { headers } = await this.#fetch('/sign-in', { method: 'POST' })
    this.#cookie = headers
      .getSetCookie()
      .map(line => line.split(';')[0])
      .join('; ')
  }

  async send(path: string, label: string): Promise<void> {
    const number = ++this.#sent
    const began = performance.now()
    const { status } = await this.#fetch(path, { method: 'POST', headers: this.recording.headers(number) })
    this.requests[number - 1] = { number, label, began, ended: performance.now(), status }
  }

  /** What is in the session at last. */
  async signOut(): Promise<{ visitor: string | undefined; lines: number[] }> {
    const response = await this.#fetch('/session', {})
    const { visitor, lines = [] } = (await response.json()) as { visitor?: string; lines?: number[] }
    await this.#fetch('/sign-out', { method: 'POST' })
    return { visitor, lines }
  }

  async #fetch(
    path: string,
    { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> },
  ) {
    const response = await fetch(this.#url + path, { method, headers: { ...headers, Cookie: this.#cookie } })
    if (response.status >= 500) throw new Error(`${method} ${path} was answered with ${response.status}`)
    return response
  }
}
