import type { IncomingMessage } from 'node:http'
import type { Keys } from './keys.ts'
import type { Adopted, OnceStored, Settings } from './options.ts'

/**
 * One request and its response. This folder uses them only through this interface, which each framework's folder implements.
 * `NodeExchange` implements the part that all frameworks on Node's `ServerResponse` share.
 */
export interface Exchange {
  readonly method: string
  /** The path of the URL, without its query. */
  readonly path: string
  /** Whether the visitor is connected by TLS. A proxy's headers count only if the framework was told to trust them. */
  readonly isSecure: boolean
  /** The host that the request was sent to, with its port. A proxy's headers count only if the framework was told to trust them. */
  readonly host: string
  /** The whole text of the header from which `host` was read. */
  readonly givenHost: string
  /** The body, if a parser has read it. */
  readonly body: unknown
  /** A header of the request, by its name in lower case; empty if it was not sent. */
  requestHeader(name: string): string

  /** Whether the response's headers have been sent. */
  readonly headersSent: boolean
  /** The names of the response's headers so far, in lower case. */
  responseHeaderNames(): string[]
  /** The lines of a response's header, however it was set; empty if it was not set. */
  responseHeader(name: string): string[]
  /** Replaces a response's header, with a line for each value. */
  setResponseHeader(name: string, value: string | string[]): void
  /**
   * Calls `look` just before the response's headers are sent, whether by the framework, by its error handler, or by the app itself.
   * Headers that `look` sets are sent too.
   */
  beforeHeadersLeave(look: () => void): void
  /** Whether the response has been sent completely, or was aborted. */
  readonly isClosed: boolean
  onceClosed(done: () => void): void

  /** The thrown value, or another error in its place if the framework could not answer this one. */
  answerable(thrown: unknown): unknown
  /** Reports an error to the app that this response cannot show: it shows another one, or has been sent. */
  report(error: unknown): void
}

/** What a framework's folder provides for all requests of an app. `Context` is the argument of its handlers. */
export interface Framework<Context, Middleware> {
  readonly settings: Settings
  /** The app's keys as they are now. */
  readonly keys: () => Keys
  readonly exchangeOf: (ctx: Context) => Exchange
  /**
   * Called before the handler runs, so that `beforeHeadersLeave` is the last to see the headers: after every listener of the
   * handler's own. Most requests do not use their session, so it must cost little.
   */
  readonly watchHeaders: (ctx: Context) => void
  /** The context of a request that the framework does not serve. */
  readonly contextOf: (request: IncomingMessage) => Context
  /** The name of a request's session in messages, such as `ctx.session`. */
  readonly handle: string
  /** The error message if the session is used in a request that `Requests.serve` does not run. */
  readonly unseen: string
  readonly adopt: ((ctx: Context, onceStored: OnceStored) => Adopted | Promise<Adopted>) | undefined
  /** Middleware that calls `guard`, which throws for a request that must not pass. */
  readonly guarding: (guard: (ctx: Context) => void) => Middleware
  /** Takes an error for which no request can fail. */
  readonly report: (error: unknown) => void
}
