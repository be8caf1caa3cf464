import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Fate } from './ledger.ts'

export interface Reply {
  readonly fate: Exclude<Fate, 'pending'>
  /** 0 where there was no answer. */
  readonly status: number
  readonly code: string | undefined
  readonly body: string
}

/** Milliseconds: who has waited so long has been forgotten. */
const FORGOTTEN = 20_000

/** Somebody with a browser, who may close it at any time. */
export class Client {
  cookie: string | undefined
  readonly #agent = new Agent({ keepAlive: true })

  /** With `patience`, the request is broken off after so many milliseconds. */
  async ask(url: string, patience?: number): Promise<Reply> {
    const signal = AbortSignal.timeout(patience ?? FORGOTTEN)
    try {
      const response = await this.#send(url, signal)
      const body = await text(response)
      return this.#replyOf(response, body)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === undefined) throw error
      if (signal.aborted && patience === undefined) throw new Error(`No answer to ${url}`)
      return { fate: code === 'ECONNREFUSED' ? 'refused' : 'unknown', status: 0, code, body: '' }
    }
  }

  leave(): void {
    this.#agent.destroy()
  }

  #send(url: string, signal: AbortSignal): Promise<IncomingMessage> {
    const headers = this.cookie ? { Cookie: this.cookie } : {}
    return new Promise((resolve, reject) => {
      request(url, { agent: this.#agent, headers, signal }, resolve).once('error', reject).end()
    })
  }

  #replyOf({ statusCode: status = 0, headers }: IncomingMessage, body: string): Reply {
    const [pair] = headers['set-cookie']?.[0]?.split(';') ?? []
    if (pair?.endsWith('=') && status >= 500)
      throw new Error('A store that was away cost its visitor the cookie')
    if (pair) this.cookie = pair.endsWith('=') ? undefined : pair
    const code = headers['x-code']
    return { fate: fateOf(status, headers['x-outcome'], body), status, code: code && String(code), body }
  }
}

function fateOf(status: number, outcome: unknown, body: string): Reply['fate'] {
  if (body.startsWith('begun ')) outcome = body.slice('begun '.length)
  if (outcome === 'none') return 'refused'
  if (outcome === 'unknown') return 'unknown'
  if (status === 200 || status === 418) return 'acknowledged'
  throw new Error(`An answer that nobody expects: ${status} ${body}`)
}
