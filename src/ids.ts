import { hash, randomBytes } from 'node:crypto'
import { FieldError } from './errors.ts'

/** The SHA-256 hash of the cookie's secret, in hex. Safe to log: no cookie can be made from it. */
export type SessionId = string

/** What the visitor's cookie carries. Never stored, never logged. */
export type Secret = string

/** What a new session is stored under, and the secret that its visitor gets. */
export interface NewId {
  readonly secret: Secret
  readonly id: SessionId
}

const idShape = /^[0-9a-f]{64}$/

/** 160 bits. OWASP asks for 128 bits from a CSPRNG; a UUID has fewer. */
const SECRET_BYTES = 20

export function newSecret(): Secret {
  return randomBytes(SECRET_BYTES).toString('hex')
}

/** Derives a secret from a text that nobody can guess. */
export function secretFrom(text: string): Secret {
  return hash('sha256', text, 'hex').slice(0, 2 * SECRET_BYTES)
}

/** Hashed, so that a leaked database holds nothing that works as a cookie. */
export function idOf(secret: Secret): SessionId {
  return hash('sha256', secret, 'hex')
}

export function isId(id: unknown): id is SessionId {
  return typeof id === 'string' && idShape.test(id)
}

/**
 * Checks an id that came from outside, such as from a form: only a string may reach the store, never a query operator. Returns a copy,
 * since what remembers a part of a text keeps the whole text in memory.
 */
export function checkedId(id: unknown): SessionId {
  if (isId(id)) return Buffer.from(id).toString()
  throw new FieldError("That is no session's id: it is the 64 hexadecimal digits of session.id", 'id', 400)
}

/** The id, given as a string or as a loaded session. */
export function idFrom(session: unknown): SessionId {
  if (typeof session === 'function' || (isObject(session) && 'then' in session && !('id' in session))) {
    throw new FieldError('That is no session yet: load it first, as in await ctx.session()', 'id')
  }
  if (!isObject(session) || !('id' in session)) return checkedId(session)
  if (session.id !== undefined) return checkedId(session.id)
  throw new FieldError('That session is not stored, so it has no id', 'id')
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
