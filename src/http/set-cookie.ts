import type { Secret } from '../ids.ts'
import type { Carrier, Derive, Presented, Verified } from '../session/carrier.ts'
import { keepFromSharedCaches, varyBy } from './caching.ts'
import type { CookieSettings } from './cookie-options.ts'
import { cookieValue, derived, presentedIn } from './cookie-value.ts'
import type { Exchange } from './exchange.ts'
import type { Keys } from './keys.ts'
import { MAX_DAYS, type Settings } from './options.ts'

/** The session cookie of one request and its response. It is set at most once, just before the headers are sent. */
export class SessionCookie implements Carrier {
  readonly #exchange: Exchange
  readonly #settings: Settings
  readonly #keys: Keys
  #line: string | undefined
  /** The `Set-Cookie` lines of `adopt`, which clear the other library's cookie: they must be sent together with this cookie. */
  readonly #adopting: string[] = []

  constructor(exchange: Exchange, settings: Settings, keys: Keys) {
    this.#exchange = exchange
    this.#settings = settings
    this.#keys = keys
    const look = () => this.#look()
    if (this.canCarry()) exchange.beforeHeadersLeave(look)
  }

  async adopting<T>(adopt: () => Promise<T>): Promise<T> {
    const before = new Set(this.#exchange.responseHeader('Set-Cookie'))
    const adopted = await adopt()
    const after = this.#exchange.responseHeader('Set-Cookie')
    this.#adopting.push(...after.filter(line => !before.has(line)))
    return adopted
  }

  presented(): Verified | undefined {
    return presentedIn(this.#exchange.requestHeader('cookie'), this.#settings.key, this.#keys)
  }

  canCarry(): boolean {
    return !this.#exchange.headersSent
  }

  carry(presented: Presented, expires: Date): void {
    const value = cookieValue(presented, this.#settings.key, this.#keys)
    this.#set(value, expiryOf(presented, expires, this.#settings))
  }

  withdraw(): void {
    this.#line = undefined
  }

  clear(): void {
    this.#set('', new Date(0))
  }

  derive(...from: Parameters<Derive>): Secret {
    return derived(this.#keys, this.#settings.key, ...from)
  }

  #set(value: string, expires: Date | undefined): void {
    // Too late to set the cookie. The change has been stored all the same.
    if (!this.canCarry()) return
    const { key, cookie } = this.#settings
    const { isSecure } = this.#exchange
    if (!isSecure) warnOfProxy(this.#settings, this.#exchange.requestHeader('x-forwarded-proto'))
    this.#line = setCookie(key, value, expires, { ...cookie, secure: cookie.secure ?? isSecure })
  }

  /** Adds the cookie, and lines that were lost: the app may have replaced `Set-Cookie`, and Koa drops it when it answers an error. */
  #look(): void {
    const exchange = this.#exchange
    varyBy(exchange, 'Cookie')
    if (this.#line === undefined) return
    const others = exchange.responseHeader('Set-Cookie').filter(line => nameIn(line) !== this.#settings.key)
    const names = new Set([...others.map(nameIn), this.#settings.key])
    const lost = this.#adopting.filter(line => !names.has(nameIn(line)))
    exchange.setResponseHeader('Set-Cookie', [...others, ...lost, this.#line])
    keepFromSharedCaches(exchange)
  }
}

function nameIn(line: string): string {
  return line.slice(0, line.indexOf('=')).trim()
}

/** Nothing needs escaping: the value is made here, and the name and attributes were checked as options. */
function setCookie(
  name: string,
  value: string,
  expires: Date | undefined,
  { path, domain, sameSite, secure, partitioned }: CookieSettings,
): string {
  return [
    `${name}=${value}`,
    `path=${path}`,
    ...(expires ? [`expires=${expires.toUTCString()}`] : []),
    ...(domain === undefined ? [] : [`domain=${domain}`]),
    `samesite=${sameSite}`,
    ...(secure ? ['secure'] : []),
    'httponly',
    ...(partitioned ? ['partitioned'] : []),
  ].join('; ')
}

/** When the cookie of a session that ends at `expires` expires; `undefined`: when the browser is closed. */
export function expiryOf({ maxAge }: Presented, expires: Date, settings: Settings): Date | undefined {
  return settings.cookie.persistent || maxAge !== settings.maxAge ? latest(expires) : undefined
}

/** In whole seconds, as cookies count, rounded up so that the cookie does not end before its session. */
function latest(expires: Date): Date {
  const last = Date.now() + MAX_DAYS * 24 * 60 * 60 * 1000
  return new Date(Math.min(Math.ceil(expires.getTime() / 1000) * 1000, last))
}

const warned = new WeakSet<Settings>()

/** For a request over plain HTTP, as far as Koa knows. `forwarded` is the value of a header that Koa was not told to trust. */
function warnOfProxy(settings: Settings, forwarded: string): void {
  const { key, cookie } = settings
  const isByTLS = /^https[ \t]*(?:,|$)/i.test(forwarded)
  if (warned.has(settings) || !(cookie.secure ?? isByTLS)) return
  warned.add(settings)
  process.emitWarning(
    cookie.secure
      ? `The session cookie ${key} is secure, and a request that needs it came over plain HTTP as far as Koa knows: browsers ` +
          'drop it unless they are connected by TLS. If a proxy ends TLS, set app.proxy = true and have the proxy send ' +
          'X-Forwarded-Proto'
      : `The session cookie ${key} is not secure, though X-Forwarded-Proto says that its visitor is connected by TLS: if a ` +
          'proxy ends TLS, set app.proxy = true, so that Koa trusts this header, or cookie: { secure: true }',
    'SessionWarning',
  )
}
