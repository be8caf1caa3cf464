import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Exchange } from './exchange.ts'

/** The part that is the same for all frameworks on Node's own request and response. */
export abstract class NodeExchange implements Exchange {
  readonly #req: IncomingMessage
  readonly #res: ServerResponse

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.#req = req
    this.#res = res
  }

  abstract readonly method: string
  abstract readonly path: string
  abstract readonly isSecure: boolean
  abstract readonly host: string
  abstract readonly givenHost: string
  abstract readonly body: unknown
  abstract report(error: unknown): void

  answerable(thrown: unknown): unknown {
    return thrown
  }

  requestHeader(name: string): string {
    return (this.#req.headers[name] as string | undefined) ?? ''
  }

  get headersSent(): boolean {
    return this.#res.headersSent
  }

  responseHeaderNames(): string[] {
    return this.#res.getHeaderNames()
  }

  responseHeader(name: string): string[] {
    return [this.#res.getHeader(name) ?? []].flat().map(String)
  }

  setResponseHeader(name: string, value: string | string[]): void {
    this.#res.setHeader(name, value)
  }

  /** Headers passed to `writeHead` are set first, so that `look` sees them too. */
  beforeHeadersLeave(look: () => void): void {
    const res = this.#res
    const { writeHead } = res
    const looking = (status: number, ...given: unknown[]): ServerResponse => {
      const headers = given.find(argument => typeof argument === 'object' && argument !== null)
      if (!res.headersSent) {
        if (headers) setAll(res, headers as OutgoingHttpHeaders | unknown[])
        look()
      }
      const message = given.filter(argument => typeof argument === 'string')
      return Reflect.apply(writeHead, res, [status, ...message])
    }
    res.writeHead = looking as typeof writeHead
  }

  /** A response of HTTP/2 does not tell, and its stream does. */
  get isClosed(): boolean {
    const res: { readonly closed?: boolean; readonly stream?: { readonly destroyed: boolean } } = this.#res
    return res.closed ?? res.stream?.destroyed ?? false
  }

  onceClosed(done: () => void): void {
    this.#res.once('close', done)
  }
}

/** Sets headers in each form that `writeHead` takes: an object, a flat list of names and values, or a list of pairs. */
function setAll(res: ServerResponse, headers: OutgoingHttpHeaders | unknown[]): void {
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value as string)
    return
  }
  const flat = (Array.isArray(headers[0]) ? headers.flat() : headers) as string[]
  const names = flat.filter((_, at) => at % 2 === 0)
  for (const name of names) res.removeHeader(name)
  for (const [at, name] of names.entries()) res.appendHeader(name, flat[2 * at + 1] as string)
}
