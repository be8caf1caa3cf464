import type { RequestListener } from 'node:http'
import Koa from 'koa'
import type { Act } from '../acts.ts'

/** Where an app keeps its sessions. */
export interface Place {
  /** Of the database server; empty where there is none. */
  readonly uri: string
  /** A name that no other contender has, of letters and underscores. */
  readonly name: string
}

export interface Contender {
  /** What it cannot do. */
  readonly lacks?: readonly Act[]
  /** Its app, on a place that nobody else uses. */
  start(place: Place): Promise<RequestListener>
}

export const KEY = 'a key for the benchmark only, and long enough'

/** How long sessions last, milliseconds. */
export const DAY = 24 * 60 * 60 * 1000

export type Handlers = Readonly<Record<string, (ctx: Koa.Context) => unknown>>

/** An app that answers `/${name}` with what the handler of that name returns. */
export function koaOf(handlers: Handlers, prepare: (app: Koa) => void = () => {}): RequestListener {
  const app = new Koa()
  app.keys = [KEY]
  prepare(app)
  app.use(async ctx => {
    const handler = handlers[ctx.path.slice(1)]
    if (handler) ctx.body = await handler(ctx)
  })
  return app.callback()
}

export const untouched = () => 'untouched'
