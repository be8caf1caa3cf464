import { randomBytes } from 'node:crypto'

/** Bytes: as HMAC-SHA-256 asks for. */
const BYTES = 32

/** A new key for `app.keys`. */
export function randomKey(): string {
  return randomBytes(BYTES).toString('base64url')
}
