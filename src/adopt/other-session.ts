import { types } from 'node:util'
import Keygrip from 'keygrip'
import type Koa from 'koa'
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

/** Reads a cookie that Koa signed: `key` with `key.sig` beside it. */
export function signedReader(
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

/** Clears the other library's cookie, and the one with its signature. */
export function clear(
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
export function withoutCookie(data: unknown): Fields | undefined {
  if (!isPlain(data)) return undefined
  const { cookie, ...rest } = data
  return isPlain(cookie) && isPast(cookie.expires) ? undefined : rest
}

/** Milliseconds, a date, or one in words; what is none of them is no end at all. */
export function isPast(end: unknown): boolean {
  const isTime = typeof end === 'number' || typeof end === 'string' || types.isDate(end)
  return isTime && new Date(end).getTime() <= Date.now()
}

/** `undefined` for what cannot be read: such a session is none. */
export function attempted(read: () => unknown): unknown {
  try {
    return read()
  } catch {
    return undefined
  }
}
