import type { IncomingMessage } from 'node:http'
import type { Keys } from './keys.ts'
import type { Adopted, OnceStored, Settings } from './options.ts'

/**
 * One request and its response, as the framework that serves them knows them. The rest of this room knows nothing else of them,
 * so a framework's room implements this. `NodeExchange` is the half of it that all frameworks on Node's `ServerResponse` share.
 */
export interface Exchange {
  readonly method: string
  /** The path of the URL, without its query. */
  readonly path: string
  /** Whether the visitor is connected by TLS. A proxy's word counts only if the framework was told to trust it. */
  readonly isSecure: boolean
  /** The host that the request was sent to, with its port. A proxy's word counts only if the framework was told to trust it. */
  readonly host: string
  /** The header's whole text that `host` was read from. */
  readonly givenHost: string
  /** The body, if a parser has read it. */
  readonly body: unknown
  /** A header of the request, by its name in lower case; empty if it was not sent. */
  requestHeader(name: string): string

  /** Whether the response's headers have left. */
  readonly headersSent: boolean
  /** The names of the response's headers so far, in lower case. */
  responseHeaderNames(): string[]
  /** The lines of a response's header, however it was set; none, if it was not. */
  responseHeader(name: string): string[]
  /** Sets a response's header in place of what there was, a line for each value. */
  setResponseHeader(name: string, value: string | string[]): void
  /**
   * Calls `look` whenever the response's headers are about to leave, whoever sends them: the framework, an error's answer, or the
   * app by hand. What it sets then leaves with them.
   */
  beforeHeadersLeave(look: () => void): void
  /** Whether the response has been sent whole, or broken off. */
  readonly isClosed: boolean
  onceClosed(done: () => void): void

  /** What a handler threw, or in its place what the framework can answer. */
  answerable(thrown: unknown): unknown
  /** Tells the app of a failure that this response cannot tell: it has another one, or has left. */
  report(error: unknown): void
}

/** What a framework's room gives for all requests of an app. `Context` is what its handlers get. */
export interface Framework<Context, Middleware> {
  readonly settings: Settings
  /** The app's keys as they are now. */
  readonly keys: () => Keys
  readonly exchangeOf: (ctx: Context) => Exchange
  /** Of a request that the framework does not serve. */
  readonly contextOf: (request: IncomingMessage) => Context
  /** What the app calls a request's session, such as `ctx.session`. */
  readonly handle: string
  /** The error message where it is used in a request that `Requests.serve` does not run. */
  readonly unseen: string
  readonly adopt: ((ctx: Context, onceStored: OnceStored) => Adopted | Promise<Adopted>) | undefined
  /** Middleware that calls `guard`, which throws for a request that must not pass. */
  readonly guarding: (guard: (ctx: Context) => void) => Middleware
  /** Where a failure goes that no request can be failed for. */
  readonly report: (error: unknown) => void
}
