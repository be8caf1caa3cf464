import { ConfigurationError, InvalidCSRFTokenError } from '../errors.ts'
import { namedOptions } from '../language/calloptions.ts'
import type { Tokens } from '../session/types.ts'
import { shown } from '../shown.ts'
import { varyBy } from './caching.ts'
import type { Exchange } from './exchange.ts'
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
 * Makes what throws for requests that another site made a visitor's browser send. Safe methods pass; for the others browsers tell by
 * `Sec-Fetch-Site` (Fetch Metadata), older ones by `Origin`; where neither is sent, a token decides, from the header
 * `x-csrf-token` or the field `_csrf` of a parsed body.
 */
export function csrfGuard<Context>(
  options: CSRFOptions | undefined,
  exchangeOf: (ctx: Context) => Exchange,
  sessionIn: (ctx: Context) => Tokens,
): (ctx: Context) => void {
  const { origins, exempt: paths } = namedOptions('csrf', options, names)
  const trusted = trustedOrigins('csrf()', origins)
  const exempt = exemptPaths(paths)

  return ctx => {
    const exchange = exchangeOf(ctx)
    // Nothing of the request's origin decides here, so nothing is said of it to caches.
    if (safeMethods.has(exchange.method) || exempt.has(exchange.path)) return
    if (!exchange.headersSent) varyBy(exchange, 'Sec-Fetch-Site', 'Origin')
    try {
      const isVouchedFor = assertOrigin(
        exchange,
        trusted,
        'The request came from another site; requests that change things must not',
      )
      if (!isVouchedFor) sessionIn(ctx).assertCSRF(tokenOf(exchange))
    } catch (error) {
      if (error instanceof InvalidCSRFTokenError) {
        // An error is answered with no other headers than the error's own.
        error.headers = { Vary: exchange.responseHeader('Vary').join(', ') }
      }
      throw error
    }
  }
}

/** Never from the query or from a cookie, which other sites can set or leak. */
function tokenOf(exchange: Exchange): unknown {
  const header = exchange.requestHeader('x-csrf-token')
  if (header !== '') return header
  const { body } = exchange
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
