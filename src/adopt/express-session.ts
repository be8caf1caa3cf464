import { createHmac, timingSafeEqual } from 'node:crypto'
import { ConfigurationError } from '../errors.ts'
import { type Adopter, attempted, clear, type OtherCookie, withoutCookie } from './other-session.ts'

/** Where express-session keeps its sessions. */
export interface ExpressSessionStore {
  /** The session of an id, as an object or as JSON; nothing, if there is none or it has expired. */
  load(id: string): unknown
  destroy(id: string): unknown
}

export interface ExpressSessionOptions extends OtherCookie, ExpressSessionStore {
  /** The option `secret` of express-session: one that signed, or all that may have. */
  secret: string | readonly string[]
}

/** Sessions of express-session: in a store, by the id in a cookie that is signed as express-session does. */
export function expressSession(options: ExpressSessionOptions): Adopter {
  const secrets = [options.secret].flat()
  // An empty one is anybody's.
  if (secrets.length === 0 || !secrets.every(secret => typeof secret === 'string' && secret !== '')) {
    throw new ConfigurationError(
      'expressSession: secret is missing: give the one that express-session was given',
    )
  }
  const cookie = { key: 'connect.sid', ...options }
  return async (ctx, onceStored) => {
    const value = ctx.cookies.get(cookie.key, { signed: false })
    const id = value && unsigned(value, secrets)
    if (!id) return undefined
    const data = await options.load(id)
    onceStored(async () => {
      if (data) await options.destroy(id)
      clear(ctx, cookie)
    }, id)
    return withoutCookie(typeof data === 'string' ? attempted(() => JSON.parse(data)) : data)
  }
}

/** `s:` and the id, a dot, and the id's HMAC in base64 without padding, all of it percent-encoded. */
function unsigned(encoded: string, secrets: readonly string[]): string | undefined {
  const value = attempted(() => decodeURIComponent(encoded))
  if (typeof value !== 'string' || !value.startsWith('s:')) return undefined
  const dot = value.lastIndexOf('.')
  const id = value.slice('s:'.length, Math.max(dot, 0))
  const given = Buffer.from(value.slice(dot + 1))
  const isSignedBy = (secret: string) => {
    const expected = Buffer.from(createHmac('sha256', secret).update(id).digest('base64').replace(/=+$/, ''))
    return expected.length === given.length && timingSafeEqual(expected, given)
  }
  return id !== '' && secrets.some(isSignedBy) ? id : undefined
}
