import { errorPage } from './page.ts'
import type { ShopMiddleware } from './session.ts'

const policy = [
  "default-src 'none'",
  "connect-src 'self'",
  "img-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

export const securityHeaders: ShopMiddleware = (ctx, next) => {
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Content-Security-Policy', policy)
  ctx.set('Referrer-Policy', 'same-origin')
  ctx.set('X-Content-Type-Options', 'nosniff')
  return next()
}

type Failure = Error & { status?: number; expose?: boolean; headers?: Record<string, string> }

/** Answers errors with a page. An error of this library has a status, and says whether a visitor may read its message. */
export const answerErrors: ShopMiddleware = async (ctx, next) => {
  try {
    await next()
    if (ctx.status === 404 && !ctx.body) ctx.throw(404, 'There is no such page')
  } catch (thrown) {
    const error = thrown as Failure
    const { status = 500, expose, headers = {} } = error
    const problem =
      status < 500 ? 'The shop does not understand' : 'The shop cannot answer now; please try again'
    if (status >= 500) ctx.app.emit('error', error, ctx)
    ctx.status = status
    ctx.set(headers)
    ctx.type = 'html'
    ctx.body = errorPage(status, expose ? error.message : problem)
  }
}

/** Prints what only the operator may read. A visitor who leaves a live page is no error. */
export function report(error: Error & { code?: string }): void {
  if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') console.error(error)
}
