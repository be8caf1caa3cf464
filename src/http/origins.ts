import { ConfigurationError } from '../errors.ts'
import { callOptions } from '../language/calloptions.ts'
import { refusal } from '../session/tokens.ts'
import { shown } from '../shown.ts'
import type { Exchange } from './exchange.ts'

/** A host as in RFC 9110, 7.2: without user information. */
const hostShape = /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** Browsers send the origin `null` for pages of these schemes, as for sandboxed pages. */
const opaque = /^(?:null$|(?:about|blob|data|file|javascript):)/i

/**
 * The origins that an app trusts in addition to its own.
 *
 * @throws {ConfigurationError} if one is not in the form in which browsers send it (RFC 6454, 6.2; URL Standard, "host serializer").
 */
export function trustedOrigins(call: string, list: unknown = []): ReadonlySet<string> {
  if (!Array.isArray(list)) {
    throw new ConfigurationError(`${call}: origins is wrong: ${shown(list)}; give a list of them`)
  }
  return new Set(Array.from(list, origin => trustedOrigin(call, origin)))
}

function trustedOrigin(call: string, origin: unknown): string {
  const text = typeof origin === 'string' ? origin : ''
  const fault = faultOf(text)
  if (fault === undefined) return text
  throw new ConfigurationError(`${call}: ${shown(origin)} is no origin that can be trusted: ${fault}`)
}

function faultOf(text: string): string | undefined {
  if (opaque.test(text)) return 'browsers send null for such pages, whoever made them'
  if (text.includes('*')) return 'origins are compared whole, so name each'
  const sent = serialised(text)
  if (sent === undefined) return "give scheme, host and port as in 'https://admin.example.com'"
  if (/^wss?:/.test(sent))
    return `a WebSocket has its page's origin: give ${shown(sent.replace('ws', 'http'))}`
  return sent === text ? undefined : `give ${shown(sent)}, which is what browsers send`
}

/** Scheme, host and port in the form in which browsers send them. `URL#origin` works for some schemes only. */
function serialised(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { protocol, host } = new URL(text)
  return host === '' ? undefined : `${protocol}//${host}`
}

/**
 * `true` if the headers show that a page of this app or of a trusted origin sent the request. `false` if neither header was sent,
 * as by programs other than browsers. For an origin that is not trusted, `Sec-Fetch-Site` counts before `Origin`.
 *
 * @throws {InvalidCSRFTokenError} with this message, if a page of another site sent it.
 */
export function assertOrigin(exchange: Exchange, trusted: ReadonlySet<string>, message: string): boolean {
  const site = exchange.requestHeader('sec-fetch-site')
  const origin = exchange.requestHeader('origin')
  if (site === 'same-origin' || site === 'none') return true
  if (origin !== '' && trusted.has(origin)) return true
  if (site !== '') {
    const seen = `Sec-Fetch-Site is ${shown(site)}, and Origin is ${shown(origin)}`
    throw refusal('cross-site', message, `${seen}; the option origins allows other origins`)
  }
  if (origin === '') return false
  if (isOwn(origin, exchange)) return true
  const { host, givenHost, isSecure } = exchange
  // A framework may take the part after an @ for the host, which would look like the origin.
  const to = `${isSecure ? 'https' : 'http'}://${givenHost.includes('@') ? givenHost : host}`
  throw refusal(
    'origin',
    message,
    `Origin is ${shown(origin)}, and the request went to ${shown(to)}; the option ` +
      'origins allows other origins. Behind a proxy, set app.proxy = true and let the proxy send X-Forwarded-Host and ' +
      'X-Forwarded-Proto',
  )
}

/**
 * Checks the origin of a request that the app passes to `load(request, options)`.
 *
 * @throws {InvalidCSRFTokenError} if a page of another site sent it.
 */
export function assertLoadable(exchange: Exchange, options: unknown): void {
  const { origins } = callOptions('load', options, ['origins'])
  const message =
    'The request came from another site: load(request, { origins }) takes the origins whose pages may send it'
  assertOrigin(exchange, trustedOrigins('load()', origins), message)
}

/** Compares the hosts. An `https` origin is allowed on a plain connection, since a proxy may have ended TLS. */
function isOwn(origin: string, exchange: Exchange): boolean {
  const { host, givenHost, isSecure } = exchange
  // A framework may take the part after an @ for the host. No browser sends an @.
  if (!hostShape.test(host) || givenHost.includes('@') || !URL.canParse(origin)) return false
  const { host: ofOrigin, origin: whole, protocol } = new URL(origin)
  if (whole !== origin || (protocol !== 'https:' && protocol !== 'http:')) return false
  if (ofOrigin !== new URL(`${protocol}//${host}`).host) return false
  return protocol === 'https:' || !isSecure
}
