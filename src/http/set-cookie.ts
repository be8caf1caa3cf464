import { hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type Koa from 'koa'
import { publish } from '../events.ts'
import { idOf, type Secret, secretFrom } from '../ids.ts'
import type { Carrier, Derive, Presented, Verified } from '../session/carrier.ts'
import type { TokenKey } from '../session/tokens.ts'
import type { CookieSettings } from './cookie-options.ts'
import { beforeHeadersLeave, keepFromSharedCaches, linesOf, varyByCookie } from './headers.ts'
import type { Keys } from './keys.ts'
import { MAX_DAYS, type Settings } from './options.ts'

/**
 * Secret, issue time and maxAge (milliseconds, base 36, as all times here); what only some have, each after its letter: the
 * absolute limit, the pending successor, and the key of older tokens; signature.
 */
const shape =
  /^(?<secret>[0-9a-f]{40})\.(?<issued>[0-9a-z]{1,11})\.(?<maxAge>[0-9a-z]{1,11})(?:\.a-(?<absolute>[0-9a-z]{1,11}))?(?:\.h-(?<pendingSuccessor>[0-9a-z]{1,11}\.[0-9a-f]{32}))?(?:\.t-(?<tokens>[0-9a-f]{40}))?\.(?<signature>[\w-]{43})$/

/** A browser sends at most a few cookies of one name; what is beyond these is an attack. */
const MAX_CANDIDATES = 4

/** What a request's cookies say of its session: the one of our name that verifies. Of two that do, neither is believed. */
export function presentedIn(cookie: string | undefined, key: string, keys: Keys): Verified | undefined {
  if (!cookie?.includes(key)) return undefined
  let found: Verified | undefined
  for (const value of new Set(valuesOf(key, cookie))) {
    const one = keys.lately?.get(value) ?? verified(copied(value), key, keys)
    if (!one) continue
    if (found && found.secret !== one.secret) {
      publish({ type: 'ambiguous cookie' })
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
  readonly pendingSuccessor: string | undefined
  readonly tokens: TokenKey | undefined
  readonly signature: string
}

function verified(value: string, key: string, keys: Keys): Verified | undefined {
  const parts = shape.exec(value)?.groups as Parts | undefined
  if (!parts) return undefined
  const { secret, issued, maxAge, absolute, pendingSuccessor, tokens, signature } = parts
  const signer = keys.signerOf(signed(key, value.slice(0, -signature.length - 1)), signature)
  if (signer < 0) {
    publish({ type: 'bad signature' })
    return undefined
  }
  const one = {
    secret,
    id: idOf(secret),
    issued: Number.parseInt(issued, 36),
    maxAge: Number.parseInt(maxAge, 36),
    absolute: absolute === undefined ? undefined : Number.parseInt(absolute, 36),
    pendingSuccessor,
    tokens,
    outdated: signer > 0,
  }
  keys.lately?.set(value, one)
  return one
}

function cookieValue(
  { secret, issued, maxAge, absolute, pendingSuccessor, tokens }: Presented,
  key: string,
  keys: Keys,
): string {
  const parts = [secret, issued.toString(36), maxAge.toString(36)]
  if (absolute !== undefined) parts.push(`a-${absolute.toString(36)}`)
  if (pendingSuccessor !== undefined) parts.push(`h-${pendingSuccessor}`)
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

/** The session's cookie of one request and its response: read once, sent at most once, as the headers leave. */
export class SessionCookie implements Carrier {
  readonly #ctx: Koa.Context
  readonly #settings: Settings
  readonly #keys: Keys
  #line: string | undefined
  /** What `adopt` has set: the other library's cookie must go when ours comes, whatever else becomes of the request. */
  readonly #adopting: string[] = []

  constructor(ctx: Koa.Context, settings: Settings, keys: Keys) {
    this.#ctx = ctx
    this.#settings = settings
    this.#keys = keys
    const look = () => this.#look()
    if (this.canCarry()) beforeHeadersLeave(ctx.res, look)
  }

  async adopting<T>(adopt: () => Promise<T>): Promise<T> {
    const before = new Set(linesOf(this.#ctx.res, 'Set-Cookie'))
    const adopted = await adopt()
    const after = linesOf(this.#ctx.res, 'Set-Cookie')
    this.#adopting.push(...after.filter(line => !before.has(line)))
    return adopted
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
    this.#line = undefined
  }

  clear(): void {
    this.#set('', new Date(0))
  }

  derive(...from: Parameters<Derive>): Secret {
    return derived(this.#keys, this.#settings.key, ...from)
  }

  #set(value: string, expires: Date | undefined): void {
    // What is stored by now is stored; only its visitor cannot be told any more.
    if (!this.canCarry()) return
    const { key, cookie } = this.#settings
    const { secure } = this.#ctx
    if (!secure) warnOfProxy(this.#settings, this.#ctx.get('X-Forwarded-Proto'))
    this.#line = setCookie(key, value, expires, { ...cookie, secure: cookie.secure ?? secure })
  }

  /** The app has done its part: what it has set whole, and what Koa drops when it answers an error, is put back here. */
  #look(): void {
    const { res } = this.#ctx
    varyByCookie(res)
    if (this.#line === undefined) return
    const others = linesOf(res, 'Set-Cookie').filter(line => nameIn(line) !== this.#settings.key)
    const names = new Set([...others.map(nameIn), this.#settings.key])
    const lost = this.#adopting.filter(line => !names.has(nameIn(line)))
    res.setHeader('Set-Cookie', [...others, ...lost, this.#line])
    keepFromSharedCaches(res)
  }
}

function nameIn(line: string): string {
  return line.slice(0, line.indexOf('=')).trim()
}

/** Names, values and attributes are safe: they are ours, or were checked as options. */
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

/** When the cookie ends: in whole seconds, as cookies count, and not before its session. */
function latest(expires: Date): Date {
  const last = Date.now() + MAX_DAYS * 24 * 60 * 60 * 1000
  return new Date(Math.min(Math.ceil(expires.getTime() / 1000) * 1000, last))
}

const warned = new WeakSet<Settings>()

/** Over plain HTTP, as far as Koa knows: `forwarded` is what a proxy says that Koa was not told to trust, or its visitor. */
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

/** Exact name, spaces and tabs around it aside, no decoding (RFC 6265bis, 5.6.3). */
function valuesOf(key: string, header: string): string[] {
  const values: string[] = []
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || trimmed(pair.slice(0, at)) !== key) continue
    values.push(trimmed(pair.slice(at + 1)))
    if (values.length === MAX_CANDIDATES) break
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
