import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { noteRefresh } from './recording.ts'

/** What an OAuth provider gives a visitor. */
export interface Tokens {
  access: string
  refresh: string
  /** When the access token expires, milliseconds since the epoch. */
  expires: number
}

/** Milliseconds: until then all requests of a race have found that their token has expired. */
const ANSWER_AFTER = 500
const HOUR = 60 * 60 * 1000

/** The refresh tokens that are still good. */
const unused = new Set<string>()

/** Stands for a provider that rotates refresh tokens (RFC 9700, 4.14.2): each is good once, and a refresh gives the next one. */
export function grant(expires = Date.now() + HOUR): Tokens {
  const refresh = randomUUID()
  unused.add(refresh)
  return { access: randomUUID(), refresh, expires }
}

export async function refresh(tokens: Tokens | undefined): Promise<Tokens> {
  const began = performance.now()
  const isGood = tokens !== undefined && unused.delete(tokens.refresh)
  await setTimeout(ANSWER_AFTER)
  noteRefresh({ began, milliseconds: performance.now() - began, isRejected: !isGood })
  if (isGood) return grant()
  throw Object.assign(new Error('The refresh token was used before'), { status: 401, expose: true })
}

export function isFresh({ expires }: Tokens): boolean {
  return expires > Date.now()
}
