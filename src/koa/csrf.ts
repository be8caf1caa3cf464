import type Koa from 'koa'
import { ConfigurationError, InvalidCSRFTokenError } from '../core/errors.ts'
import { tell } from '../core/events.ts'
import type { Tokens } from '../core/types.ts'

export interface CSRFOptions {
  /**
   * Other origins whose pages may change things here: scheme, host and port, such as `'https://admin.example.com'`.
   * Compared whole.
   * @default []
   */
  origins?: readonly string[]
  /**
   * Paths that are let through unchecked, such as `'/webhooks/payments'`, because something else authenticates their
   * requests. Compared whole with the request's path.
   * @default []
   */
  exempt?: readonly string[]
}

const names = ['origins', 'exempt'] satisfies (keyof CSRFOptions)[]
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])
const hostShape = /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/**
 * Refuses requests that another site made a visitor's browser send. Safe methods pass; for the others browsers tell by
 * `Sec-Fetch-Site` (Fetch Metadata), older ones by `Origin`; where neither is sent, a token decides, from the header
 * `x-csrf-token` or the field `_csrf` of a parsed body.
 */
export function csrfGuard(options: CSRFOptions, sessionIn: (ctx: Koa.Context) => Tokens): Koa.Middleware {
  for (const name of Object.keys(options)) {
    if (!(names as string[]).includes(name)) {
      throw new ConfigurationError(
        `csrf: there is no option ${JSON.stringify(name)}; there are ${names.join(', ')}`,
      )
    }
  }
  const origins = new Set(listOf('origins', options.origins).map(trustedOrigin))
  const exempt = new Set(listOf('exempt', options.exempt).map(exemptPath))

  const isAllowed = (ctx: Koa.Context): boolean => {
    const site = ctx.get('Sec-Fetch-Site')
    const origin = ctx.get('Origin')
    if (site === 'same-origin' || site === 'none') return true
    if (origin !== '' && origins.has(origin)) return true
    if (site !== '') return false
    if (origin !== '') return isOwn(origin, ctx)
    sessionIn(ctx).assertCSRF(tokenOf(ctx))
    return true
  }

  return (ctx, next) => {
    ctx.vary(['Sec-Fetch-Site', 'Origin'])
    if (safeMethods.has(ctx.method) || exempt.has(ctx.path)) return next()
    try {
      if (!isAllowed(ctx as Koa.Context)) {
        tell({ type: 'CSRF failed' })
        throw new InvalidCSRFTokenError(
          'The request came from another site; requests that change things must not',
        )
      }
    } catch (error) {
      if (error instanceof InvalidCSRFTokenError) {
        // Koa answers an error with no other headers than the error's own.
        error.headers = { Vary: ctx.response.get('Vary') }
      }
      throw error
    }
    return next()
  }
}

/** Never from the query or from a cookie, which other sites can set or leak. */
function tokenOf(ctx: Koa.Context): unknown {
  const header = ctx.get('X-CSRF-Token')
  if (header !== '') return header
  const { body } = ctx.request as { body?: unknown }
  return typeof body === 'object' && body !== null && Object.hasOwn(body, '_csrf')
    ? (body as { _csrf: unknown })._csrf
    : undefined
}

/** Host against host: whether TLS is ended before this process cannot be told here. */
function isOwn(origin: string, ctx: Koa.Context): boolean {
  // Koa takes what stands behind an @ for the host, and no browser sends one.
  if (!hostShape.test(ctx.host) || ctx.get('Host').includes('@') || !URL.canParse(origin)) return false
  const { host, origin: whole, protocol } = new URL(origin)
  if (whole !== origin || (protocol !== 'https:' && protocol !== 'http:')) return false
  if (ctx.secure && protocol !== 'https:') return false
  return host === new URL(`${protocol}//${ctx.host}`).host
}

function listOf(option: keyof CSRFOptions, list: unknown = []): readonly unknown[] {
  if (Array.isArray(list)) return list
  throw new ConfigurationError(`csrf: ${option} is wrong: ${JSON.stringify(list)}; give a list`)
}

function trustedOrigin(origin: unknown): string {
  const isOne = typeof origin === 'string' && URL.canParse(origin) && new URL(origin).origin === origin
  // A URL may have a * in its host, but here it would stand for nothing but itself.
  if (isOne && !origin.includes('*')) return origin
  throw new ConfigurationError(
    `csrf: ${JSON.stringify(origin)} is no origin; give scheme, host and port as in 'https://admin.example.com', ` +
      'without a path or a slash at the end',
  )
}

function exemptPath(path: unknown): string {
  if (typeof path === 'string' && path.startsWith('/') && !/[?#*]/.test(path)) return path
  throw new ConfigurationError(
    `csrf: exempt has ${JSON.stringify(path)}; give whole paths such as '/webhooks/payments'`,
  )
}
