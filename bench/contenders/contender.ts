import type { RequestListener } from 'node:http'
import Koa from 'koa'
import type { Collection } from 'mongodb'
import type { Act } from '../acts.ts'

export interface Contender {
  /** What it cannot do. */
  readonly lacks?: readonly Act[]
  /** Its app, on a collection that nobody else uses. */
  start(collection: () => Collection<Stored>): Promise<RequestListener>
}

/** Documents of any kind whose `_id` is a text. */
export interface Stored {
  _id: string
}

export const KEY = 'a key for the benchmark only, and long enough'

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
