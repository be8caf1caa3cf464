import type Koa from 'koa'

/** What answers a request: what it returns is sent as JSON; `undefined` leaves the response to it. */
export type Handler = (ctx: Koa.Context, next: Koa.Next) => unknown

/** A handler for each path, or one for all. */
export type Routes = Handler | Record<string, Handler>

export function answering(routes: Routes): Koa.Middleware {
  return async (ctx, next) => {
    const handler = typeof routes === 'function' ? routes : routes[ctx.path]
    if (!handler) return
    const answer = await handler(ctx, next)
    if (answer === undefined) {
      if (ctx.body === undefined && ctx.respond !== false) ctx.body = ''
      return
    }
    ctx.type = 'json'
    ctx.body = JSON.stringify(answer)
  }
}
