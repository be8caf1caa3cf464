import { createHmac, timingSafeEqual } from 'node:crypto'
import { adopterOptions, assertMethods, cookieOptions, type Secret } from './checks.ts'
import { type Adopter, attempted, clear, type OtherCookie, withoutCookie } from './other-session.ts'

/** The store of another library's sessions. */
export interface ExpressSessionStore {
  /** The session with this id, as an object or as JSON; `undefined` or `null` if there is none or it has expired. */
  load(id: string): unknown
  destroy(id: string): unknown
}

/** For what is given as in express-session itself, and for a store with fields of its own that is spread into the options. */
const advice = {
  store: 'give its methods, as in { secret, ...connectMongo({ collection }) }',
  '': 'if it is a field of a store, give only two methods, as in { secret, load: id => store.load(id), destroy: id => store.destroy(id) }',
}

/**
 * The checked options of an adopter that takes a store's methods as options. A store that is spread into them may have more methods
 * than are used, but no other fields: they could not be told from misspelt options. `names`: the adopter's own options.
 */
export function storedOptions<Options extends OtherCookie & ExpressSessionStore>(
  adopter: string,
  options: Options,
  names: readonly (keyof Options & string)[],
): Options {
  const functions = Object.entries(options ?? {}).filter(([, value]) => typeof value === 'function')
  const methods = new Set(['load', 'destroy', ...functions.map(([name]) => name)])
  const given = adopterOptions(adopter, options, [...names, ...cookieOptions], [...methods], advice)
  assertMethods(`${adopter}: the store`, given, ['load', 'destroy'])
  return given
}

/** Adopts sessions in a store, by the id that `idIn` finds in the cookie's value. */
export function storedSession(
  cookie: OtherCookie & { key: string },
  store: ExpressSessionStore,
  idIn: (value: string) => string | undefined,
): Adopter {
  return async (ctx, onceStored) => {
    const encoded = ctx.cookies.get(cookie.key, { signed: false })
    const value = encoded && attempted(() => decodeURIComponent(encoded))
    const id = typeof value === 'string' ? idIn(value) : undefined
    if (!id) return undefined
    const data = await store.load(id)
    onceStored(async () => {
      if (data) await store.destroy(id)
      clear(ctx, cookie)
    }, id)
    return withoutCookie(typeof data === 'string' ? attempted(() => JSON.parse(data)) : data)
  }
}

/** The id before the last dot, if what follows is its HMAC by one of the secrets, in base64 without padding. */
export function idSignedIn(value: string, secrets: readonly Secret[], algorithm: string): string | undefined {
  const dot = value.lastIndexOf('.')
  const id = value.slice(0, Math.max(dot, 0))
  const given = Buffer.from(value.slice(dot + 1))
  const isSignedBy = (secret: Secret) => {
    const expected = Buffer.from(createHmac(algorithm, secret).update(id).digest('base64').replace(/=+$/, ''))
    return expected.length === given.length && timingSafeEqual(expected, given)
  }
  return id !== '' && secrets.some(isSignedBy) ? id : undefined
}
