import { hash, randomBytes } from 'node:crypto'
import type { SessionId } from './record.ts'

/** What the visitor's cookie carries. Never stored, never logged. */
export type Secret = string

/** 160 bits: OWASP asks for 128 of a CSPRNG, which a UUID does not have. */
export const SECRET_PATTERN = /^[0-9a-f]{40}$/

export function newSecret(): Secret {
  return randomBytes(20).toString('hex')
}

/** Hashed, so that a leaked database holds nothing that works as a cookie. */
export function idOf(secret: Secret): SessionId {
  return hash('sha256', secret, 'hex')
}
