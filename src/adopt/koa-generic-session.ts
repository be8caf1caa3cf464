import { adopterOptions, assertMethods, cookieOptions } from './checks.ts'
import { type Adopter, clear, type OtherCookie, signedReader, withoutCookie } from './other-session.ts'

/** A store of koa-generic-session, such as koa-redis: the methods that are used. */
export interface KoaGenericSessionStore {
  get(key: string): unknown
  destroy(key: string): unknown
}

export interface KoaGenericSessionOptions extends OtherCookie {
  /** The keys that signed the other library's cookies, if they are not those of this app. */
  keys?: readonly string[]
  store: KoaGenericSessionStore
  /** @default 'koa:sess:' */
  prefix?: string
}

/** Adopts sessions of koa-generic-session: they are in a store, under the id in a signed cookie. */
export function koaGenericSession(options: KoaGenericSessionOptions): Adopter {
  const given = adopterOptions('koaGenericSession', options, [...cookieOptions, 'keys', 'store', 'prefix'])
  const { store, prefix = 'koa:sess:' } = given
  assertMethods('koaGenericSession: store', store, ['get', 'destroy'])
  const cookie = { key: 'koa.sid', ...given }
  const read = signedReader('koaGenericSession', given.keys)
  return async (ctx, onceStored) => {
    const sid = read(ctx, cookie.key)
    if (!sid) return undefined
    const data = await store.get(prefix + sid)
    onceStored(async () => {
      if (data) await store.destroy(prefix + sid)
      clear(ctx, cookie, `${cookie.key}.sig`)
    }, sid)
    return withoutCookie(data)
  }
}
