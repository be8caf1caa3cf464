import { ConfigurationError, InvalidCSRFTokenError } from '../errors.ts'
import { namedOptions } from '../language/calloptions.ts'
import type { Tokens } from '../session/types.ts'
import { shown } from '../shown.ts'
import { varyBy } from './caching.ts'
import type { Exchange } from './exchange.ts'
import { assertOrigin, trustedOrigins } from './origins.ts'

export interface CSRFOptions {
  /**
   * Other origins whose pages may send requests that change something: scheme, host and port, such as
   * `'https://admin.example.com'`, or `'capacitor://localhost'` for a mobile app. The whole origin is compared.
   * @default []
   */
  origins?: readonly string[]
  /**
   * Paths that are not checked, such as `'/webhooks/payments'`, because something else authenticates their requests. The whole
   * path is compared, as it is sent: other characters than those of ASCII are percent-encoded.
   * @default []
   */
  exempt?: readonly string[]
}

const names = ['origins', 'exempt'] satisfies (keyof CSRFOptions)[]
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * Makes a function that throws for requests which another site made a visitor's browser send. Safe methods pass. For the others,
 * `Sec-Fetch-Site` (Fetch Metadata) decides, or in older browsers `Origin`. If neither is sent, a token decides: from the header
 * `x-csrf-token`, or from the field `_csrf` of a parsed body.
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
    // The response does not depend on the request's origin, so `Vary` needs no change.
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
        // Koa drops the headers that are set, and sends only those of the error.
        error.headers = { Vary: exchange.responseHeader('Vary').join(', ') }
      }
      throw error
    }
  }
}

/** Not from the query or a cookie: a query can leak to other sites, and other sites can set a cookie. */
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
  if (typeof path === 'string' && path.startsWith('/') && !/[?#*]|[^!-~]/.test(path)) return path
  throw new ConfigurationError(
    `csrf(): exempt has ${shown(path)}; give whole paths as they are sent, such as '/webhooks/payments'`,
  )
}
