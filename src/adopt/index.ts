import { createHmac, timingSafeEqual } from 'node:crypto'
import { types } from 'node:util'
import Keygrip from 'keygrip'
import type Koa from 'koa'
import { ConfigurationError } from '../errors.ts'
import type { OnceStored } from '../http/options.ts'
import { type Fields, isPlain } from '../language/values.ts'

/**
 * For the option `adopt`: what a visitor brings from another library's session, as fields. What a session of ours cannot
 * hold stays behind, and so does the other library's own. Once ours is stored the other session is ended, and its cookie
 * cleared.
 */
export type Adopter = (ctx: Koa.Context, onceStored: OnceStored) => Promise<Fields | undefined>

/** The other library's cookie; `path` and `domain` as that one was set with, or it cannot be cleared. */
export interface OtherCookie {
  key?: string
  /** @default '/' */
  path?: string
  /** @default none */
  domain?: string
}

/** What koa-session calls a store, as far as it is needed here. */
export interface KoaSessionStore {
  get(key: string, maxAge: number, options: { readonly rolling: boolean; readonly ctx: Koa.Context }): unknown
  destroy(key: string, options: { readonly ctx: Koa.Context }): unknown
}

/** What koa-generic-session calls a store, as far as it is needed here; koa-redis is one. */
export interface KoaGenericSessionStore {
  get(key: string): unknown
  destroy(key: string): unknown
}

/** Where express-session keeps its sessions. */
export interface ExpressSessionStore {
  /** The session of an id, as an object or as JSON; nothing, if there is none or it has expired. */
  load(id: string): unknown
  destroy(id: string): unknown
}

export interface KoaSessionOptions extends OtherCookie {
  /** The keys that signed the other library's cookies, if they are not those of this app. */
  keys?: readonly string[]
  /** How a cookie's value becomes data, if koa-session had an `encode` of its own. What it throws means: no session. */
  decode?: (value: string) => unknown
  /** The store of koa-session, if the cookie holds only a key of it. */
  store?: KoaSessionStore
}

export interface KoaGenericSessionOptions extends OtherCookie {
  keys?: readonly string[]
  store: KoaGenericSessionStore
  /** @default 'koa:sess:' */
  prefix?: string
}

export interface ExpressSessionOptions extends OtherCookie, ExpressSessionStore {
  /** The option `secret` of express-session: one that signed, or all that may have. */
  secret: string | readonly string[]
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

/** What is asked of the collection; one of the official driver is one. */
export interface ConnectMongoCollection {
  findOne(filter: object): Promise<object | null>
  deleteOne(filter: object): Promise<unknown>
}

/** For `expressSession`: the sessions that connect-mongo stored, unless it was given `crypto` or `transformId`. */
export function connectMongo({ collection }: { collection: ConnectMongoCollection }): ExpressSessionStore {
  return {
    async load(_id) {
      const document = (await collection.findOne({ _id })) as { session?: unknown; expires?: unknown } | null
      return document && !isPast(document.expires) ? document.session : undefined
    },
    destroy: _id => collection.deleteOne({ _id }),
  }
}

/** Reads a cookie that Koa signed: `key` with `key.sig` beside it. */
function signedReader(
  keys: readonly string[] | undefined,
): (ctx: Koa.Context, key: string) => string | undefined {
  if (!keys) return (ctx, key) => ctx.cookies.get(key, { signed: true })
  const keygrip = new Keygrip([...keys])
  return (ctx, key) => {
    const value = ctx.cookies.get(key, { signed: false })
    const signature = ctx.cookies.get(`${key}.sig`, { signed: false })
    return value && signature && keygrip.verify(`${key}=${value}`, signature) ? value : undefined
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

function clear(
  ctx: Koa.Context,
  { key, path = '/', domain }: OtherCookie & { key: string },
  signature?: string,
) {
  for (const name of signature ? [key, signature] : [key]) {
    ctx.cookies.set(name, '', {
      path,
      ...(domain !== undefined && { domain }),
      overwrite: true,
      signed: false,
    })
  }
}

/** Of data whose `cookie` says when it ends, and belongs to the other library. */
function withoutCookie(data: unknown): Fields | undefined {
  if (!isPlain(data)) return undefined
  const { cookie, ...rest } = data
  return isPlain(cookie) && isPast(cookie.expires) ? undefined : rest
}

/** Milliseconds, a date, or one in words; what is none of them is no end at all. */
function isPast(end: unknown): boolean {
  const isTime = typeof end === 'number' || typeof end === 'string' || types.isDate(end)
  return isTime && new Date(end).getTime() <= Date.now()
}

function decoded(value: string): unknown {
  return JSON.parse(Buffer.from(value, 'base64').toString('utf8'))
}

/** `undefined` for what cannot be read: such a session is none. */
function attempted(read: () => unknown): unknown {
  try {
    return read()
  } catch {
    return undefined
  }
}
