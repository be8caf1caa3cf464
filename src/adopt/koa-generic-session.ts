import { type Adopter, clear, type OtherCookie, signedReader, withoutCookie } from './other-session.ts'

/** What koa-generic-session calls a store, as far as it is needed here; koa-redis is one. */
export interface KoaGenericSessionStore {
  get(key: string): unknown
  destroy(key: string): unknown
}

export interface KoaGenericSessionOptions extends OtherCookie {
  keys?: readonly string[]
  store: KoaGenericSessionStore
  /** @default 'koa:sess:' */
  prefix?: string
}

/** Sessions of koa-generic-session: in a store, by the id in a signed cookie. */
export function koaGenericSession(options: KoaGenericSessionOptions): Adopter {
  const { store, prefix = 'koa:sess:' } = options
  const cookie = { key: 'koa.sid', ...options }
  const read = signedReader(options.keys)
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
