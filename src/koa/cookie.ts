import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type Koa from 'koa'
import type { Carrier, Derive, Presented, Verified } from '../core/carrier.ts'
import type { TokenKey } from '../core/csrf.ts'
import { tell } from '../core/events.ts'
import { idOf, type Secret, secretFrom } from '../core/ids.ts'
import type { Keys } from './keys.ts'
import { MOST_DAYS, type Settings } from './options.ts'

/**
 * Secret, issue time and maxAge (milliseconds, base 36, as all times here); what only some have, each after its letter: the
 * absolute limit, the heir, and the key of older tokens; signature.
 */
const shape =
  /^(?<secret>[0-9a-f]{40})\.(?<issued>[0-9a-z]{1,11})\.(?<maxAge>[0-9a-z]{1,11})(?:\.a-(?<absolute>[0-9a-z]{1,11}))?(?:\.h-(?<heir>[0-9a-z]{1,11}\.[0-9a-f]{32}))?(?:\.t-(?<tokens>[0-9a-f]{40}))?\.(?<signature>[\w-]{43})$/

/** A browser sends at most a few cookies of one name; what is beyond these is an attack. */
const MOST_CANDIDATES = 4

/** What a request's cookies say of its session: the one of our name that verifies. Of two that do, neither is believed. */
export function presentedIn(cookie: string | undefined, key: string, keys: Keys): Verified | undefined {
  if (!cookie?.includes(key)) return undefined
  let found: Verified | undefined
  for (const value of new Set(valuesOf(key, cookie))) {
    const one = keys.lately?.get(value) ?? verified(copied(value), key, keys)
    if (!one) continue
    if (found && found.secret !== one.secret) {
      tell({ type: 'ambiguous cookie' })
      return undefined
    }
    // The same session's, once set with other attributes: the younger is what it was last told.
    if (!found || one.issued > found.issued) found = one
  }
  return found
}

interface Parts {
  readonly secret: Secret
  readonly issued: string
  readonly maxAge: string
  readonly absolute: string | undefined
  readonly heir: string | undefined
  readonly tokens: TokenKey | undefined
  readonly signature: string
}

function verified(value: string, key: string, keys: Keys): Verified | undefined {
  const parts = shape.exec(value)?.groups as Parts | undefined
  if (!parts) return undefined
  const { secret, issued, maxAge, absolute, heir, tokens, signature } = parts
  const signer = keys.signerOf(signed(key, value.slice(0, -signature.length - 1)), signature)
  if (signer < 0) {
    tell({ type: 'bad signature' })
    return undefined
  }
  const one = {
    secret,
    id: idOf(secret),
    issued: Number.parseInt(issued, 36),
    maxAge: Number.parseInt(maxAge, 36),
    absolute: absolute === undefined ? undefined : Number.parseInt(absolute, 36),
    heir,
    tokens,
    outdated: signer > 0,
  }
  keys.lately?.set(value, one)
  return one
}

function cookieValue(
  { secret, issued, maxAge, absolute, heir, tokens }: Presented,
  key: string,
  keys: Keys,
): string {
  const parts = [secret, issued.toString(36), maxAge.toString(36)]
  if (absolute !== undefined) parts.push(`a-${absolute.toString(36)}`)
  if (heir !== undefined) parts.push(`h-${heir}`)
  if (tokens !== undefined) parts.push(`t-${tokens}`)
  const payload = parts.join('.')
  return `${payload}.${keys.sign(signed(key, payload))}`
}

/** A part of a header keeps all of the header in memory. */
function copied(text: string): string {
  return Buffer.from(text).toString()
}

/** The name is signed too: another app's cookie, or another of ours, is not this one. */
function signed(key: string, payload: string): string {
  return `${key}=${payload}`
}

/**
 * A secret that follows from what is given, for who has the keys: in JSON, so that no two lists are one text; with the
 * cookie's name, so that two kinds of session never share one; and hashed, so that what is signed has no `=`, as all has that
 * is signed for cookies.
 */
function derived(keys: Keys, key: string, ...from: Parameters<Derive>): Secret {
  return secretFrom(keys.sign(`derived ${hash('sha256', JSON.stringify([key, ...from]), 'hex')}`))
}

/** The cookie of a request that has no response of Koa's: read, never set. */
export type CookieReader = (request: IncomingMessage) => Carrier

export function cookieReader({ key }: Settings, keys: () => Keys): CookieReader {
  return request => ({
    presented: () => presentedIn(request.headers.cookie, key, keys()),
    canCarry: () => false,
    carry() {},
    withdraw() {},
    clear() {},
    derive: (...from) => derived(keys(), key, ...from),
  })
}

/** The cookie of a session that is made outside of any request: nobody has one yet, and `header` is what there is to send. */
export class NewCookie implements Carrier {
  readonly #key: string
  readonly #keys: Keys
  header = ''

  constructor(key: string, keys: Keys) {
    this.#key = key
    this.#keys = keys
  }

  presented(): undefined {}

  canCarry(): boolean {
    return true
  }

  carry(presented: Presented): void {
    this.header = `${this.#key}=${cookieValue(presented, this.#key, this.#keys)}`
  }

  withdraw(): void {}

  clear(): void {}

  derive(...from: Parameters<Derive>): Secret {
    return derived(this.#keys, this.#key, ...from)
  }
}

/** The session's cookie of one request and its response: read once, set at most once. */
export class SessionCookie implements Carrier {
  readonly #ctx: Koa.Context
  readonly #settings: Settings
  readonly #keys: Keys
  #header: string | undefined
  readonly #adopting: string[] = []

  constructor(ctx: Koa.Context, settings: Settings, keys: Keys) {
    this.#ctx = ctx
    this.#settings = settings
    this.#keys = keys
  }

  /** The `Set-Cookie` lines to be sent even if an error drops all headers. */
  get headers(): string[] {
    if (this.#header === undefined) return []
    const sent = this.#headers()
    return [...new Set([...this.#adopting.filter(header => sent.includes(header)), this.#header])]
  }

  /** Notes what `adopt` sets: the other library's cookie must go when ours comes, whatever else becomes of the request. */
  async adopting<T>(adopt: () => Promise<T>): Promise<T> {
    const before = new Set(this.#headers())
    const ours = this.#header
    const adopted = await adopt()
    this.#adopting.push(...this.#headers().filter(header => !before.has(header)))
    // Where the other cookie had our name, ours has taken its place.
    if (ours && ours === this.#header && !this.#headers().includes(ours) && this.canCarry())
      this.#restore(ours)
    return adopted
  }

  #restore(ours: string): void {
    const { key } = this.#settings
    const others = this.#headers().filter(header => !header.startsWith(`${key}=`))
    this.#ctx.res.setHeader('Set-Cookie', [...others, ours])
  }

  presented(): Verified | undefined {
    return presentedIn(this.#ctx.req.headers.cookie, this.#settings.key, this.#keys)
  }

  canCarry(): boolean {
    return !this.#ctx.res.headersSent
  }

  carry(presented: Presented, expires: Date): void {
    const { key, cookie, maxAge: usual } = this.#settings
    const value = cookieValue(presented, key, this.#keys)
    this.#set(value, cookie.persistent || presented.maxAge !== usual ? latest(expires) : undefined)
  }

  withdraw(): void {
    if (!this.canCarry()) return
    const others = this.#headers().filter(header => header !== this.#header)
    if (others.length > 0) this.#ctx.res.setHeader('Set-Cookie', others)
    else this.#ctx.res.removeHeader('Set-Cookie')
    this.#header = undefined
  }

  clear(): void {
    if (this.canCarry()) this.#set('', new Date(0))
  }

  derive(...from: Parameters<Derive>): Secret {
    return derived(this.#keys, this.#settings.key, ...from)
  }

  #set(value: string, expires: Date | undefined): void {
    // What is stored by now is stored; only its visitor cannot be told any more.
    if (!this.canCarry()) return
    const { cookies, res, secure } = this.#ctx
    const { key, cookie } = this.#settings
    if (cookie.secure && !secure) warnOfProxy(this.#settings)
    const { secure: before } = cookies
    // Koa would refuse to send it over what it takes for plain HTTP; the browser knows better what it is connected by.
    cookies.secure = cookie.secure ?? secure
    try {
      cookies.set(key, value, {
        ...(expires && { expires }),
        httpOnly: true,
        overwrite: true,
        path: cookie.path,
        ...(cookie.domain !== undefined && { domain: cookie.domain }),
        sameSite: cookie.sameSite,
        secure: cookie.secure ?? secure,
        partitioned: cookie.partitioned,
        // The value carries its own signature, over the name too.
        signed: false,
      })
    } finally {
      cookies.secure = before
    }
    this.#header = this.#headers().find(header => header.startsWith(`${key}=`))
    if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'no-store')
  }

  #headers(): string[] {
    return [this.#ctx.res.getHeader('Set-Cookie') ?? []].flat().map(String)
  }
}

/** When the cookie ends: in whole seconds, as cookies count, and not before its session. */
function latest(expires: Date): Date {
  const last = Date.now() + MOST_DAYS * 24 * 60 * 60 * 1000
  return new Date(Math.min(Math.ceil(expires.getTime() / 1000) * 1000, last))
}

const warned = new WeakSet<Settings>()

function warnOfProxy(settings: Settings): void {
  if (warned.has(settings)) return
  warned.add(settings)
  process.emitWarning(
    `The session cookie ${settings.key} is secure, and a request that needs it came over plain HTTP as far as Koa knows: ` +
      'browsers drop it unless they are connected by TLS. If a proxy ends TLS, set app.proxy = true and have the proxy ' +
      'send X-Forwarded-Proto',
    'SessionWarning',
  )
}

/** Exact name, spaces and tabs around it aside, no decoding (RFC 6265bis, 5.6.3). */
function valuesOf(key: string, header: string): string[] {
  const values: string[] = []
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || trimmed(pair.slice(0, at)) !== key) continue
    values.push(trimmed(pair.slice(at + 1)))
    if (values.length === MOST_CANDIDATES) break
  }
  return values
}

/** Not `trim()`, which also takes what no browser does, such as a no-break space. */
function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
