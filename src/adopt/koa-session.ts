import type Koa from 'koa'
import { isPlain } from '../language/values.ts'
import { adopterOptions, assertFunction, assertMethods, cookieOptions } from './checks.ts'
import { type Adopter, attempted, clear, isPast, type OtherCookie, signedReader } from './other-session.ts'

/** A store of koa-session: the methods that are used. */
export interface KoaSessionStore {
  get(key: string, maxAge: number, options: { readonly rolling: boolean; readonly ctx: Koa.Context }): unknown
  destroy(key: string, options: { readonly ctx: Koa.Context }): unknown
}

export interface KoaSessionOptions extends OtherCookie {
  /** The keys that signed the other library's cookies, if they are not those of this app. */
  keys?: readonly string[]
  /** The `decode` of koa-session, if it was given one. If it throws, there is no session. */
  decode?: (value: string) => unknown
  /** The store of koa-session, if it was given one. */
  store?: KoaSessionStore
}

const DAY = 24 * 60 * 60 * 1000

/** Adopts sessions of koa-session 7 and older: they are in a signed cookie, or in a store. */
export function koaSession(options: KoaSessionOptions = {}): Adopter {
  const given = adopterOptions('koaSession', options, [...cookieOptions, 'keys', 'decode', 'store'])
  const { decode = decoded, store } = given
  assertFunction('koaSession: decode', decode)
  if (store !== undefined) assertMethods('koaSession: store', store, ['get', 'destroy'])
  const cookie = { key: 'koa.sess', ...given }
  const read = signedReader('koaSession', given.keys)
  return async (ctx, onceStored) => {
    const value = read(ctx, cookie.key)
    if (!value) return undefined
    const data = store ? await store.get(value, DAY, { rolling: false, ctx }) : attempted(() => decode(value))
    // Without a store the cookie is the data, which is no key of one session: two visitors may have equal data.
    onceStored(
      async () => {
        if (data) await store?.destroy(value, { ctx })
        clear(ctx, cookie, `${cookie.key}.sig`)
      },
      store ? value : undefined,
    )
    if (!isPlain(data) || isPast(data._expire)) return undefined
    return data
  }
}

function decoded(value: string): unknown {
  return JSON.parse(Buffer.from(value, 'base64').toString('utf8'))
}
