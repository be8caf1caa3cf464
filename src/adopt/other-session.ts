import Keygrip from 'keygrip'
import type Koa from 'koa'
import type { OnceStored } from '../http/options.ts'
import { type Fields, isDate, isPlain } from '../language/values.ts'
import { secretsIn } from './checks.ts'

/**
 * A function for the option `adopt`. It returns the fields of the visitor's session of another library, without that library's own
 * data. Once the new session is stored, the other session is ended and its cookie is cleared.
 */
export type Adopter = (ctx: Koa.Context, onceStored: OnceStored) => Promise<Fields | undefined>

/** The other library's cookie. Without the `path` and `domain` that it was set with, it cannot be cleared. */
export interface OtherCookie {
  key?: string
  /** @default '/' */
  path?: string
  /** @default none */
  domain?: string
}

/** Reads a cookie that Koa signed: `key` with `key.sig` beside it. */
export function signedReader(
  adopter: string,
  keys: readonly string[] | undefined,
): (ctx: Koa.Context, key: string) => string | undefined {
  if (keys === undefined) return (ctx, key) => ctx.cookies.get(key, { signed: true })
  const secrets = secretsIn(
    Array.isArray(keys) ? keys : [],
    `${adopter}: keys is wrong: give the list of the other library's keys, or leave it out if they are those of this app`,
  )
  // Its types omit keys of bytes, but they work.
  const keygrip = new Keygrip(secrets as string[])
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

/** The data without its property `cookie`, which is the other library's; `undefined` if that says the session has expired. */
export function withoutCookie(data: unknown): Fields | undefined {
  if (!isPlain(data)) return undefined
  const { cookie, ...rest } = data
  return isPlain(cookie) && isPast(cookie.expires) ? undefined : rest
}

/** `end` is milliseconds, a date, or a date as text. Any other value means that there is no end. */
export function isPast(end: unknown): boolean {
  const isTime = typeof end === 'number' || typeof end === 'string' || isDate(end)
  return isTime && new Date(end).getTime() <= Date.now()
}

/** `undefined` if it throws: a session that cannot be read counts as none. */
export function attempted(read: () => unknown): unknown {
  try {
    return read()
  } catch {
    return undefined
  }
}
