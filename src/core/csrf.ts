import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { InvalidCSRFTokenError } from './errors.ts'
import { tell } from './events.ts'
import { type Secret, secretFrom } from './ids.ts'

const SALT_BYTES = 16
const TOKEN = /^[\w-]{65}$/
const SALT_LENGTH = 22

/** What a session's tokens are made and known by. It follows from the cookie's secret, and never leads back to it. */
export type TokenKey = string

/** With a label before the secret, so that nothing else that follows from it is ever a token's key. */
export function tokenKeyOf(secret: Secret): TokenKey {
  return secretFrom(`csrf ${secret}`)
}

/** A token for forms: a fresh salt, so that no two are alike (BREACH), and an HMAC that only this session can make. */
export function createToken(key: TokenKey): string {
  const salt = randomBytes(SALT_BYTES).toString('base64url')
  return salt + sign(key, salt)
}

/** Throws `InvalidCSRFTokenError` unless the token was made with one of these keys. */
export function assertToken(keys: readonly TokenKey[], token: unknown): void {
  if (keys.some(key => isToken(key, token))) return
  tell({ type: 'CSRF failed' })
  throw new InvalidCSRFTokenError()
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
