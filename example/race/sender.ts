import type { AddressInfo } from 'node:net'
import { Recording } from './recording.ts'

export interface Request {
  readonly number: number
  readonly label: string
  /** Milliseconds of `performance.now()`. */
  readonly began: number
  readonly ended: number
  readonly status: number
}

/** One visitor, who keeps the cookie that signing in gave. */
export class Sender {
  readonly recording = new Recording()
  readonly requests: Request[] = []
  readonly #url: string
  #cookie = ''
  #sent = 0

  constructor({ port }: AddressInfo) {
    this.#url = `http://127.0.0.1:${port}`
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

  /** Ends the visit, and gives what the session held until then. */
  async signOut(): Promise<{ visitor: string | undefined; lines: number[] }> {
    const response = await this.#fetch('/session', {})
    const { visitor, lines = [] } = (await response.json()) as { visitor?: string; lines?: number[] }
    await this.#fetch('/sign-out', { method: 'POST' })
    return { visitor, lines }
  }

  async #fetch(
    path: string,
    { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> },
  ): Promise<Response> {
    const response = await fetch(this.#url + path, { method, headers: { ...headers, Cookie: this.#cookie } })
    if (response.status >= 500) throw new Error(`${method} ${path} was answered with ${response.status}`)
    return response
  }
}
