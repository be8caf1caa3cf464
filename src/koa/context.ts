import type Koa from 'koa'
import { NodeExchange } from '../http/node-exchange.ts'
import { whileReporting } from '../reports.ts'
import { answerAnyway, answerable, reportable } from './thrown.ts'

/** A request and its response in Koa. */
export class KoaExchange extends NodeExchange {
  readonly #ctx: Koa.Context

  constructor(ctx: Koa.Context) {
    super(ctx.req, ctx.res)
    this.#ctx = ctx
  }

  get method(): string {
    return this.#ctx.method
  }

  get path(): string {
    return this.#ctx.path
  }

  get isSecure(): boolean {
    return this.#ctx.secure
  }

  get host(): string {
    return this.#ctx.host
  }

  /** The header from which Koa reads the host. */
  get givenHost(): string {
    const { app, req } = this.#ctx
    const { httpVersionMajor, headers } = req
    const forwarded = app.proxy && headers['x-forwarded-host']
    return String(forwarded || (httpVersionMajor >= 2 && headers[':authority']) || headers.host)
  }

  get body(): unknown {
    return (this.#ctx.request as { body?: unknown }).body
  }

  override answerable(thrown: unknown): unknown {
    answerAnyway(this.#ctx, error => this.report(error))
    return answerable(thrown, this.#ctx.headerSent || !this.#ctx.writable)
  }

  report(error: unknown): void {
    whileReporting(() => this.#ctx.app.emit('error', reportable(error), this.#ctx))
  }
}
