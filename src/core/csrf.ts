import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { InvalidCSRFTokenError } from './errors.ts'
import { tell } from './events.ts'
import type { Secret } from './ids.ts'

const SALT_BYTES = 16
const TOKEN = /^[\w-]{65}$/
const SALT_LENGTH = 22

/** A token for forms: a fresh salt, so that no two are alike (BREACH), and an HMAC that only this session can make. */
export function createToken(secret: Secret): string {
  const salt = randomBytes(SALT_BYTES).toString('base64url')
  return salt + sign(secret, salt)
}

/** Throws `InvalidCSRFTokenError` unless the token was made with one of these secrets. */
export function assertToken(secrets: readonly Secret[], token: unknown): void {
  if (secrets.some(secret => isToken(secret, token))) return
  tell({ type: 'CSRF failed' })
  throw new InvalidCSRFTokenError()
}

function isToken(secret: Secret, token: unknown): boolean {
  if (typeof token !== 'string' || !TOKEN.test(token)) return false
  const expected = sign(secret, token.slice(0, SALT_LENGTH))
  const given = token.slice(SALT_LENGTH)
  return timingSafeEqual(Buffer.from(given), Buffer.from(expected))
}

/** The key is the secret with a label before it, so that nothing else signed with the secret is ever a token. */
function sign(secret: Secret, salt: string): string {
  return createHmac('sha256', `csrf ${secret}`).update(salt).digest('base64url')
}
