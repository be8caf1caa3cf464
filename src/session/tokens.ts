import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { InvalidCSRFTokenError } from '../errors.ts'
import { publish } from '../events.ts'
import { type Secret, secretFrom } from '../ids.ts'

const SALT_BYTES = 16
const TOKEN = /^[\w-]{65}$/
const SALT_LENGTH = 22

/** The key of a session's tokens. It is derived from the cookie's secret, which cannot be derived from it. */
export type TokenKey = string

/** With a label before the secret, so that no other value derived from the secret is a token's key. */
export function tokenKeyOf(secret: Secret): TokenKey {
  return secretFrom(`csrf ${secret}`)
}

/** A token for forms: a random salt, so that no two are equal (BREACH), and an HMAC with the session's key. */
export function createToken(key: TokenKey): string {
  const salt = randomBytes(SALT_BYTES).toString('base64url')
  return salt + sign(key, salt)
}

/** Throws `InvalidCSRFTokenError` unless the token was made with one of these keys. */
export function assertToken(keys: readonly TokenKey[], token: unknown): void {
  if (keys.some(key => isToken(key, token))) return
  throw refusal(
    'token',
    'Invalid CSRF token',
    token === undefined || token === null || token === ''
      ? 'There was no token: csrf() takes one from the header x-csrf-token or the field _csrf of a parsed body'
      : "The token was not made for this session: make it in the session's own page, and anew after regenerate()",
  )
}

/** The error of a refused request: `message` is for its visitor, `reason` and `details` are for the developer. */
export function refusal(
  reason: InvalidCSRFTokenError['reason'],
  message: string,
  details: string,
): InvalidCSRFTokenError {
  publish({ type: 'CSRF failed', reason })
  return new InvalidCSRFTokenError(message, reason, { cause: new Error(details) })
}

function isToken(key: TokenKey, token: unknown): boolean {
  if (typeof token !== 'string' || !TOKEN.test(token)) return false
  const expected = sign(key, token.slice(0, SALT_LENGTH))
  const given = token.slice(SALT_LENGTH)
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected))
}

function sign(key: TokenKey, salt: string): string {
  return createHmac('sha256', key).update(salt).digest('base64url')
}
