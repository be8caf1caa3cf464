import Keygrip from 'keygrip'
import type Koa from 'koa'
import type { Carrier, Presented } from '../core/carrier.ts'
import { ConfigurationError } from '../core/errors.ts'
import type { Settings } from './options.ts'

/** Secret, issue time and maxAge (milliseconds, base 36), signature. */
const shape = /^([0-9a-f]{40})\.([0-9a-z]{1,11})\.([0-9a-z]{1,11})\.([\w-]{43})$/

/** A browser sends at most a few cookies of one name; what is beyond these is an attack. */
const MOST_CANDIDATES = 4

/** The session's cookie of one request: read once, set at most once. */
export class SessionCookie implements Carrier {
  readonly #ctx: Koa.Context
  readonly #settings: Settings
  readonly #keys: () => Keygrip
  /** The `Set-Cookie` to be sent, should an error drop all headers. */
  #header: string | undefined

  constructor(ctx: Koa.Context, settings: Settings, keys: () => Keygrip) {
    this.#ctx = ctx
    this.#settings = settings
    this.#keys = keys
  }

  get header(): string | undefined {
    return this.#header
  }

  /** The one cookie of our name that verifies. Of two different ones that do, neither is believed. */
  presented(): Presented | undefined {
    // Before there is any cookie, so that what is missing is found at the first use.
    const keys = this.#keys()
    const { cookie } = this.#ctx.req.headers
    if (!cookie?.includes(this.#settings.key)) return undefined
    let found: Presented | undefined
    for (const value of new Set(valuesOf(this.#settings.key, cookie))) {
      const match = shape.exec(value)
      if (!match) continue
      const [, secret, issued, maxAge, signature] = match as unknown as [
        string,
        string,
        string,
        string,
        string,
      ]
      if (!keys.verify(this.#signed(value.slice(0, value.lastIndexOf('.'))), signature)) continue
      if (found) return undefined
      found = { secret, issued: Number.parseInt(issued, 36), maxAge: Number.parseInt(maxAge, 36) }
    }
    return found
  }

  canCarry(): boolean {
    return !this.#ctx.res.headersSent
  }

  carry({ secret, issued, maxAge }: Presented, expires: Date): void {
    const payload = `${secret}.${issued.toString(36)}.${maxAge.toString(36)}`
    this.#set(`${payload}.${this.#keys().sign(this.#signed(payload))}`, expires)
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

  #set(value: string, expires: Date): void {
    const { ctx } = { ctx: this.#ctx }
    ctx.cookies.set(this.#settings.key, value, {
      expires,
      httpOnly: true,
      overwrite: true,
      path: '/',
      sameSite: 'lax',
      secure: ctx.secure,
      // The value carries its own signature, over the name too.
      signed: false,
    })
    this.#header = this.#headers().find(header => header.startsWith(`${this.#settings.key}=`))
    if (!ctx.res.hasHeader('Cache-Control')) ctx.set('Cache-Control', 'no-store')
  }

  #headers(): string[] {
    return [this.#ctx.res.getHeader('Set-Cookie') ?? []].flat().map(String)
  }

  /** The name is signed too: another app's cookie, or another of ours, is not this one. */
  #signed(payload: string): string {
    return `${this.#settings.key}=${payload}`
  }
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
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}

/** The app's keys as they are at each use, since an app may set them after `Session(app)`. */
export function keysOf(app: Koa): () => Keygrip {
  let keys: unknown
  let keygrip: Keygrip | undefined
  return () => {
    if (keygrip && keys === app.keys) return keygrip
    keys = app.keys
    keygrip = keygripOf(keys)
    return keygrip
  }
}

function keygripOf(keys: unknown): Keygrip {
  if (!Array.isArray(keys)) {
    if (isKeygrip(keys)) return keys
  } else if (keys.length > 0 && keys.every(key => typeof key === 'string' && key !== '')) {
    if (keys.some(key => key.length < SHORT)) {
      process.emitWarning(
        `app.keys holds a key shorter than ${SHORT} characters, which can be guessed; use random ones`,
        'SessionWarning',
      )
    }
    return new Keygrip(keys, 'sha256')
  }
  throw new ConfigurationError(
    'app.keys is missing: set it to a list of secret strings, the first of which signs session cookies',
  )
}

/** OWASP: a key for HMAC-SHA-256 has at least 32 bytes; Koa's own examples fall short, so this only warns. */
const SHORT = 32

function isKeygrip(keys: unknown): keys is Keygrip {
  return typeof keys === 'object' && keys !== null && 'sign' in keys && 'verify' in keys
}
