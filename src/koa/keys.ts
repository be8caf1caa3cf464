import { timingSafeEqual } from 'node:crypto'
import Keygrip from 'keygrip'
import type Koa from 'koa'
import type { Verified } from '../core/carrier.ts'
import { ConfigurationError } from '../core/errors.ts'

/** OWASP: a key for HMAC-SHA-256 has at least 32 bytes; Koa's own examples fall short, so this only warns. */
const SHORT = 32

/** In base64. */
const SHA256_LENGTH = 43

/** The keys of an app: they sign, and tell which of them has signed. */
export class Keys {
  readonly #keygrip: Keygrip
  readonly #given: unknown
  /** As the list was, since an app may alter its own. */
  readonly #list: readonly unknown[]
  /**
   * Cookies that were verified lately, by their values: who comes again, such as for all of one page, need not pay for it
   * again. Of a Keygrip none, since its list is out of sight.
   */
  readonly lately: Lately | undefined

  constructor(given: unknown) {
    this.#keygrip = keygripOf(given)
    this.#given = given
    this.#list = Array.isArray(given) ? [...given] : []
    this.lately = Array.isArray(given) ? new Lately() : undefined
  }

  /** Whether these are the keys that the app has now. */
  areOf(given: unknown): boolean {
    if (given !== this.#given) return false
    if (!Array.isArray(given)) return true
    return given.length === this.#list.length && given.every((key, index) => key === this.#list[index])
  }

  sign(data: string): string {
    return this.#keygrip.sign(data)
  }

  /**
   * The place of the key that signed, or -1. Nearly always it is the first: comparing here spares the two HMACs under a
   * random key by which Keygrip compares.
   */
  signerOf(data: string, signature: string): number {
    const first = Buffer.from(this.sign(data))
    const given = Buffer.from(signature)
    if (first.length === given.length && timingSafeEqual(first, given)) return 0
    return this.#keygrip.index(data, signature)
  }
}

/** So many are remembered at least, and twice as many at most. */
const MANY = 1000

class Lately {
  #young = new Map<string, Verified>()
  #old = new Map<string, Verified>()

  get(cookie: string): Verified | undefined {
    return this.#young.get(cookie) ?? this.#old.get(cookie)
  }

  set(cookie: string, verified: Verified): void {
    if (this.#young.size === MANY) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(cookie, verified)
  }
}

/** The app's keys as they are at each use, since an app may set them after `Session(app)`. */
export function keysOf(app: Koa): () => Keys {
  let keys: Keys | undefined
  return () => {
    if (!keys?.areOf(app.keys)) keys = new Keys(app.keys)
    return keys
  }
}

function keygripOf(keys: unknown): Keygrip {
  if (!Array.isArray(keys)) {
    if (isKeygrip(keys)) {
      if (keys.sign('').length === SHA256_LENGTH) return keys
      throw new ConfigurationError(
        "app.keys is a Keygrip that does not sign with SHA-256: give new Keygrip(keys, 'sha256'), or the list of keys",
      )
    }
  } else if (keys.length > 0 && keys.every(key => typeof key === 'string' && key !== '')) {
    if (keys.some(key => key.length < SHORT)) {
      process.emitWarning(
        `app.keys holds a key shorter than ${SHORT} characters, which can be guessed; use random ones`,
        'SessionWarning',
      )
    }
    // By itself it encodes so too, but has to replace characters for that.
    return new Keygrip([...keys], 'sha256', 'base64url' as 'base64')
  }
  throw new ConfigurationError(
    'app.keys is missing: set it to a list of secret strings, the first of which signs session cookies',
  )
}

function isKeygrip(keys: unknown): keys is Keygrip {
  return typeof keys === 'object' && keys !== null && 'sign' in keys && 'verify' in keys && 'index' in keys
}
