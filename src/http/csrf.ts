import type Koa from 'koa'
import { ConfigurationError, InvalidCSRFTokenError } from '../errors.ts'
import { namedOptions } from '../language/calloptions.ts'
import type { Tokens } from '../session/types.ts'
import { shown } from '../shown.ts'
import { assertOrigin, trustedOrigins } from './origins.ts'

export interface CSRFOptions {
  /**
   * Other origins whose pages may change things here: scheme, host and port, such as `'https://admin.example.com'` or, of
   * an app or a browser extension, `'capacitor://localhost'`. Compared whole.
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

/**
 * Refuses requests that another site made a visitor's browser send. Safe methods pass; for the others browsers tell by
 * `Sec-Fetch-Site` (Fetch Metadata), older ones by `Origin`; where neither is sent, a token decides, from the header
 * `x-csrf-token` or the field `_csrf` of a parsed body.
 */
export function csrfGuard(
  options: CSRFOptions | undefined,
  sessionIn: (ctx: Koa.Context) => Tokens,
): Koa.Middleware {
  const { origins, exempt: paths } = namedOptions('csrf', options, names)
  const trusted = trustedOrigins('csrf()', origins)
  const exempt = exemptPaths(paths)

  return (ctx, next) => {
    // Nothing of the request's origin decides here, so nothing is said of it to caches.
    if (safeMethods.has(ctx.method) || exempt.has(ctx.path)) return next()
    ctx.vary(['Sec-Fetch-Site', 'Origin'])
    try {
      const isVouchedFor = assertOrigin(
        ctx.request,
        trusted,
        'The request came from another site; requests that change things must not',
      )
      if (!isVouchedFor) sessionIn(ctx as Koa.Context).assertCSRF(tokenOf(ctx as Koa.Context))
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

function exemptPaths(list: unknown = []): ReadonlySet<string> {
  if (!Array.isArray(list)) {
    throw new ConfigurationError(`csrf(): exempt is wrong: ${shown(list)}; give a list of paths`)
  }
  return new Set(Array.from(list, exemptPath))
}

function exemptPath(path: unknown): string {
  if (typeof path === 'string' && path.startsWith('/') && !/[?#*]/.test(path)) return path
  throw new ConfigurationError(
    `csrf(): exempt has ${shown(path)}; give whole paths such as '/webhooks/payments'`,
  )
}
