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

  beforeHeadersLeave(look: () => void): void {
    const res: WatchedResponse = this.#res
    watchHeaders(res)
    res[looks] ??= []
    res[looks].push(look)
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

const original = Symbol('writeHead')
const looks = Symbol('looks')

/** A response with `writeHead` as it was, and with what to call before the headers are sent. */
type WatchedResponse = ServerResponse & { [original]?: ServerResponse['writeHead']; [looks]?: (() => void)[] }

/**
 * Makes the response call what `beforeHeadersLeave` is given. Who replaces `writeHead` later calls this one last, so what it sets
 * is seen. One function for all responses, because most requests do not use their session.
 */
export function watchHeaders(res: WatchedResponse): void {
  if (res[original]) return
  res[original] = res.writeHead
  res.writeHead = lookAndWriteHead
}

/** Headers passed to `writeHead` are set first, so that they are seen too. */
function lookAndWriteHead(this: WatchedResponse, ...given: unknown[]): ServerResponse {
  const writeHead = this[original] as ServerResponse['writeHead']
  const all = this[looks]
  if (!all || this.headersSent) return Reflect.apply(writeHead, this, given)
  const headers = given.find(argument => typeof argument === 'object' && argument !== null)
  if (headers) setAll(this, headers as OutgoingHttpHeaders | unknown[])
  for (const look of all) look()
  const others = given.filter(argument => typeof argument !== 'object')
  return Reflect.apply(writeHead, this, others)
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
