import { timingSafeEqual } from 'node:crypto'
import Keygrip from 'keygrip'
import { ConfigurationError } from '../errors.ts'
import { describe } from '../language/paths.ts'
import { isUint8Array } from '../language/values.ts'
import type { Verified } from '../session/carrier.ts'

type Key = string | Uint8Array

/** OWASP: a key for HMAC-SHA-256 has at least 32 bytes. Koa's own examples are shorter, so a short key only causes a warning. */
const SHORT = 32

/** Characters of a SHA-256 signature in base64. */
const SHA256_LENGTH = 43

/** The keys of an app: they sign, and find the key that made a signature. */
export class Keys {
  readonly #keygrip: Keygrip
  readonly #given: unknown
  /** A copy of the list: the app may change its list, and the bytes of a key, in place. */
  readonly #list: readonly Key[]
  /**
   * Verified cookies by their values, so that the requests of one page do not verify the same cookie again. Not for a Keygrip: its
   * keys may change unnoticed.
   */
  readonly recentlyVerified: RecentlyVerified | undefined

  constructor(given: unknown) {
    this.#list = Array.isArray(given) ? listOf(given) : []
    this.#keygrip = Array.isArray(given) ? keygripWith(this.#list) : keygripOf(given)
    this.#given = given
    this.recentlyVerified = Array.isArray(given) ? new RecentlyVerified() : undefined
  }

  /** Whether these are the keys that the app has now. */
  areOf(given: unknown): boolean {
    if (given !== this.#given) return false
    if (!Array.isArray(given)) return true
    return given.length === this.#list.length && this.#list.every((key, index) => isSame(key, given[index]))
  }

  sign(data: string): string {
    return this.#keygrip.sign(data)
  }

  /**
   * The index of the key that signed, or -1. It is nearly always 0. Comparing with the first key here saves the two HMACs that
   * Keygrip's own comparison takes.
   */
  signerOf(data: string, signature: string): number {
    const first = Buffer.from(this.sign(data))
    const given = Buffer.from(signature)
    if (first.length === given.length && timingSafeEqual(first, given)) return 0
    return this.#keygrip.index(data, signature)
  }
}

/** The number of cookies in one generation. The last two generations are remembered. */
const GENERATION = 1000

class RecentlyVerified {
  #young = new Map<string, Verified>()
  #old = new Map<string, Verified>()

  get(cookie: string): Verified | undefined {
    return this.#young.get(cookie) ?? this.#old.get(cookie)
  }

  set(cookie: string, verified: Verified): void {
    if (this.#young.size === GENERATION) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(cookie, verified)
  }
}

/** The app's keys at each use: an app may set them after `Session(app)`, or change them. */
export function keysOf(app: { readonly keys?: unknown }): () => Keys {
  let keys: Keys | undefined
  return () => {
    if (!keys?.areOf(app.keys)) keys = new Keys(app.keys)
    return keys
  }
}

/** A copy of the list: an app that wipes a key's bytes must not change what signs. */
function listOf(given: readonly unknown[]): Key[] {
  if (given.length === 0) throw missing('is empty')
  const keys = Array.from(given, (key, index) => {
    if (typeof key === 'string' && key !== '') return key
    if (isUint8Array(key) && key.some(byte => byte !== 0)) return Uint8Array.from(key)
    throw missing(`has no key at [${index}] but ${faultOf(key)}`)
  })
  if (keys.some(key => Buffer.byteLength(key) < SHORT)) {
    process.emitWarning(
      `app.keys holds a key shorter than ${SHORT} bytes, which can be guessed; use random ones`,
      'SessionWarning',
    )
  }
  return keys
}

/** Never the key itself. */
function faultOf(key: unknown): string {
  if (key === '') return 'an empty string'
  if (key === undefined) return 'undefined; is an environment variable not set?'
  return isUint8Array(key) ? `${key.length} bytes of zeros` : describe(key)
}

function isSame(known: Key, given: unknown): boolean {
  return typeof known === 'string'
    ? known === given
    : isUint8Array(given) && Buffer.compare(known, given) === 0
}

function keygripWith(keys: readonly Key[]): Keygrip {
  // Keygrip makes base64url from base64 by replacing characters; asking for it at once is faster. Its types omit it, and keys of
  // bytes, but both work.
  return new Keygrip(keys as string[], 'sha256', 'base64url' as 'base64')
}

function keygripOf(given: unknown): Keygrip {
  if (!isKeygrip(given))
    throw missing(given === undefined ? 'is missing' : `is ${describe(given)} and no list`)
  if (given.sign('').length === SHA256_LENGTH) return given
  throw new ConfigurationError(
    "app.keys is a Keygrip that does not sign with SHA-256, in base64: give new Keygrip(keys, 'sha256'), or the list of keys",
  )
}

function missing(fault: string): ConfigurationError {
  return new ConfigurationError(
    `app.keys ${fault}: set it to a list of secret strings or bytes, the first of which signs session cookies`,
  )
}

function isKeygrip(keys: unknown): keys is Keygrip {
  return typeof keys === 'object' && keys !== null && 'sign' in keys && 'verify' in keys && 'index' in keys
}
