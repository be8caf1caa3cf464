import { Agent, type IncomingMessage, request as send } from 'node:http'
import { text } from 'node:stream/consumers'
import { type Request, routeOf } from './requests.ts'

/**
 * `done`, with the body of the answer; `refused`: a `CommandError`; `ended`: a `SessionEndedError`; `unknown`: whatever was
 * asked may have been done or not, even later if it is not over.
 */
export type Answer =
  | Done
  | { readonly outcome: 'refused' | 'ended' }
  | { readonly outcome: 'unknown'; readonly isOver: boolean }

export interface Done {
  readonly outcome: 'done'
  readonly body: Readonly<Record<string, unknown>>
}

export interface Reply {
  readonly answer: Answer
  /** The cookie the reply gives, as it is to be sent back. Empty if it takes one away. */
  readonly cookie: string | undefined
}

const outcomes: Readonly<Record<string, 'refused' | 'ended' | 'unknown'>> = {
  SESSION_COMMAND: 'refused',
  SESSION_ENDED: 'ended',
  SESSION_STORE_UNAVAILABLE: 'unknown',
  // Of whoever held a lease longer than it lasts, as on a busy machine: what another has stored is seen by others.
  SESSION_LEASE_LOST: 'unknown',
}

/** Sends requests to an app as many browsers with one cookie would. */
export class Asker {
  readonly #agent = new Agent({ keepAlive: true })

  async ask(origin: string, request: Request, cookie: string | undefined): Promise<Reply> {
    const response = await this.#post(`${origin}${routeOf(request)}`, JSON.stringify(request), cookie)
    const body: unknown = JSON.parse(await text(response))
    return { answer: answerOf(response, body), cookie: cookieOf(response) }
  }

  close(): void {
    this.#agent.destroy()
  }

  #post(url: string, body: string, cookie: string | undefined): Promise<IncomingMessage> {
    const headers = {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
      ...(cookie && { Cookie: cookie }),
    }
    return new Promise((resolve, reject) => {
      send(url, { method: 'POST', agent: this.#agent, headers }, resolve).once('error', reject).end(body)
    })
  }
}

function answerOf({ statusCode }: IncomingMessage, body: unknown): Answer {
  const fields = body as Record<string, unknown>
  if (statusCode === 200) return { outcome: 'done', body: fields }
  const outcome = outcomes[String(fields.code)]
  if (!outcome) throw new Error(`An answer that nobody expects: ${statusCode} ${JSON.stringify(body)}`)
  return outcome === 'unknown' ? { outcome, isOver: fields.isOver === true } : { outcome }
}

function cookieOf({ headers }: IncomingMessage): string | undefined {
  const pair = headers['set-cookie']?.[0]?.split(';')[0]
  return pair?.endsWith('=') ? '' : pair
}
