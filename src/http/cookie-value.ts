import { hash } from 'node:crypto'
import { publish } from '../events.ts'
import { idOf, type Secret, secretFrom } from '../ids.ts'
import { ownText } from '../language/paths.ts'
import type { Derive, Presented, Verified } from '../session/carrier.ts'
import type { TokenKey } from '../session/tokens.ts'
import type { Keys } from './keys.ts'

/**
 * Secret, issue time and maxAge. Then the optional parts, each after a letter: the absolute limit (a), the pending successor (h)
 * and the key of older tokens (t). Then the signature. All times are milliseconds in base 36.
 */
const shape =
  /^(?<secret>[0-9a-f]{40})\.(?<issued>[0-9a-z]{1,11})\.(?<maxAge>[0-9a-z]{1,11})(?:\.a-(?<absolute>[0-9a-z]{1,11}))?(?:\.h-(?<pendingSuccessor>[0-9a-z]{1,11}\.[0-9a-f]{32}))?(?:\.t-(?<tokens>[0-9a-f]{40}))?\.(?<signature>[\w-]{43})$/

/** A browser sends at most a few cookies of one name. More than this is an attack. */
const MAX_CANDIDATES = 4

/** The content of the session cookie: the cookie of this name that verifies. If two for different sessions verify: none. */
export function presentedIn(cookie: string | undefined, key: string, keys: Keys): Verified | undefined {
  if (!cookie?.includes(key)) return undefined
  let found: Verified | undefined
  for (const value of new Set(valuesOf(key, cookie))) {
    // What is remembered of it must not keep the whole header in memory.
    const one = keys.recentlyVerified?.get(value) ?? verified(ownText(value), key, keys)
    if (!one) continue
    if (found && found.secret !== one.secret) {
      publish({ type: 'ambiguous cookie' })
      return undefined
    }
    // Two cookies of the same session, set with different attributes: the newer one counts.
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
  keys.recentlyVerified?.set(value, one)
  return one
}

/** The cookie's value, signed. */
export function cookieValue(
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

/** The name is signed too, so that a cookie is not valid under another name. */
function signed(key: string, payload: string): string {
  return `${key}=${payload}`
}

/**
 * A secret that only an owner of the keys can derive from these inputs. JSON, so that no two lists have the same text. With the
 * cookie's name, so that two kinds of session never share a secret. Hashed, so that the signed text has no `=` and cannot be taken
 * for a signed cookie, which always has one.
 */
export function derived(keys: Keys, key: string, ...from: Parameters<Derive>): Secret {
  return secretFrom(keys.sign(`derived ${hash('sha256', JSON.stringify([key, ...from]), 'hex')}`))
}

/** By the exact name, without spaces and tabs around it, and without decoding (RFC 6265bis, 5.6.3). */
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

/** Not `trim()`, which also removes characters that browsers keep, such as a no-break space. */
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
