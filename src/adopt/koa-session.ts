import type Koa from 'koa'
import { isPlain } from '../language/values.ts'
import { type Adopter, attempted, clear, isPast, type OtherCookie, signedReader } from './other-session.ts'

/** What koa-session calls a store, as far as it is needed here. */
export interface KoaSessionStore {
  get(key: string, maxAge: number, options: { readonly rolling: boolean; readonly ctx: Koa.Context }): unknown
  destroy(key: string, options: { readonly ctx: Koa.Context }): unknown
}

export interface KoaSessionOptions extends OtherCookie {
  /** The keys that signed the other library's cookies, if they are not those of this app. */
  keys?: readonly string[]
  /** How a cookie's value becomes data, if koa-session had an `encode` of its own. What it throws means: no session. */
  decode?: (value: string) => unknown
  /** The store of koa-session, if the cookie holds only a key of it. */
  store?: KoaSessionStore
}

const DAY = 24 * 60 * 60 * 1000

/** Sessions of koa-session 7 and older: in a signed cookie `key`, or in an external store. */
export function koaSession(options: KoaSessionOptions = {}): Adopter {
  const { decode = decoded, store } = options
  const cookie = { key: 'koa.sess', ...options }
  const read = signedReader(options.keys)
  return async (ctx, onceStored) => {
    const value = read(ctx, cookie.key)
    if (!value) return undefined
    const data = store ? await store.get(value, DAY, { rolling: false, ctx }) : attempted(() => decode(value))
    // A cookie that is its own data names no session: two visitors may have the same.
    onceStored(async () => {
      if (data) await store?.destroy(value, { ctx })
      clear(ctx, cookie, `${cookie.key}.sig`)
    }, store && value)
    if (!isPlain(data) || isPast(data._expire)) return undefined
    return data
  }
}

function decoded(value: string): unknown {
  return JSON.parse(Buffer.from(value, 'base64').toString('utf8'))
}
