import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import { noteCookie } from './leaks.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body, parsed. */
  readonly json: unknown
  /** The `Set-Cookie` lines as they came. */
  readonly setCookies: readonly string[]
}

/** Somebody with a browser: keeps cookies by name, sends them back, follows no redirect. */
export class Visitor {
  /** Values by name, as the server sent them. */
  readonly jar = new Map<string, string>()
  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true })

  constructor(url: string) {
    this.#url = url
  }

  get(path: string, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.#send('GET', path, headers)
  }

  post(path: string, body: unknown, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.#send('POST', path, { 'Content-Type': 'application/json', ...headers }, JSON.stringify(body))
  }

  /** Somebody else's browser with the same cookies. */
  twin(): Visitor {
    return new Visitor(this.#url).withCookiesOf(this)
  }

  withCookiesOf({ jar }: Visitor): this {
    for (const [name, value] of jar) this.jar.set(name, value)
    return this
  }

  leave(): void {
    this.#agent.destroy()
  }

  #send(method: string, path: string, given: OutgoingHttpHeaders, body?: string): Promise<Answer> {
    const headers = { ...this.#cookies(), ...given }
    return new Promise((resolve, reject) => {
      const sent = request(`${this.#url}${path}`, { method, headers, agent: this.#agent }, response => {
        const chunks: Buffer[] = []
        response.on('data', chunk => chunks.push(chunk))
        response.once('error', reject)
        response.once('end', () => {
          const setCookies = response.headers['set-cookie'] ?? []
          for (const line of setCookies) this.#keep(line)
          const text = Buffer.concat(chunks).toString()
          if (this.#isToldIn(text)) reject(new Error(`The answer to ${path} shows the session’s cookie`))
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            get json() {
              return JSON.parse(text)
            },
            setCookies,
          })
        })
      })
      sent.once('error', reject)
      sent.end(body)
    })
  }

  #cookies(): OutgoingHttpHeaders {
    if (this.jar.size === 0) return {}
    return { Cookie: [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ') }
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split(/; */)
    const at = pair.indexOf('=')
    const name = pair.slice(0, at)
    const expires = attributes.find(attribute => /^expires=/i.test(attribute))?.slice('expires='.length)
    if (expires && Date.parse(expires) <= Date.now()) this.jar.delete(name)
    else this.jar.set(name, pair.slice(at + 1))
    noteCookie(pair.slice(at + 1))
  }

  #isToldIn(text: string): boolean {
    return [...this.jar.values()].some(value => {
      const [secret = ''] = value.split('.')
      return secret.length === 40 && text.includes(secret)
    })
  }
}
