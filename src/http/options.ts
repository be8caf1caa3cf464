import { milliseconds } from '../duration.ts'
import { ConfigurationError } from '../errors.ts'
import { type Advice, refuseUnknown } from '../language/calloptions.ts'
import { describe, type Path, pathOf } from '../language/paths.ts'
import type { UserPath } from '../language/types/user.ts'
import { isPlain } from '../language/values.ts'
import type { Lifetimes } from '../session/picture.ts'
import type { DefaultData } from '../session/types.ts'
import { shown } from '../shown.ts'
import type { Store } from '../store/store.ts'
import {
  type CookieOptions,
  type CookieSettings,
  cookieAttributes,
  cookieName,
  cookieSettings,
  fixedAttributes,
} from './cookie-options.ts'

/**
 * What `Session(app, options)` takes. Wrong options are refused at once, naming the option. `User` is the option `user`, as a
 * type, and `Context` what the framework's handlers get.
 */
export interface SessionOptions<Data = DefaultData, User extends string = string, Context = never> {
  /**
   * The cookie's name: a token (RFC 6265, 4.1.1). Names with `__Host-` or `__Secure-` need the attributes that these
   * prefixes stand for.
   * @default 'sid'; with `cookie.secure: true`, `'__Host-sid'`
   */
  key?: string
  /**
   * How long a session lives after its last use: milliseconds, or words such as `'1 month'` and `'2h'`. Browsers keep
   * no cookie longer than 400 days (RFC 6265bis, 5.5), whatever is set here.
   * @default '14 days'
   */
  maxAge?: number | string
  /**
   * How long a session lives after its creation, however much it is used. No extending passes it.
   * @default none
   */
  absoluteMaxAge?: number | string
  /**
   * Using a session whose cookie is older than this extends it. For one that `touch(maxAge)` gave a shorter life
   * than `maxAge`, it is shorter in proportion.
   * @default a tenth of `maxAge`, at most a day
   */
  touchAfter?: number | string
  /** Where sessions live, or a promise of it. Setting `sessions.collection` sets a MongoDB store instead. */
  store?: Store | Promise<Store>
  /**
   * The longest one call to the store may take, connecting included; then the request is answered with 503.
   * @default '5s'
   */
  timeout?: number | string
  /**
   * The largest that a change may make a session's fields, bytes of BSON: a change that would is refused (413). What
   * makes them smaller always works. With MongoDB the server measures, once `ensureIndex()` has found that it can (4.4
   * or newer); until then only each single value is held to it.
   * @default 1 MiB
   */
  maxSize?: number
  /**
   * The field that names the session's user, such as `'user_id'`: `ensureIndex` indexes it, and `find` and `endAll` look
   * there.
   * @default none
   */
  user?: UserPath<Data, User>
  /**
   * What a visitor without a session brings along from another library's, as fields; nothing, if there is none. Asked
   * only when the session is used. What it gives is stored as a session of ours at once. It should end the other one by
   * what it gives to `onceStored`, or that would come back after ours has ended. It cannot use `ctx.session` itself.
   * Of what it gives, fields that a session cannot hold stay behind. If the rest is larger than `maxSize`, the other
   * session stays as it is, and the event `not adopted` tells.
   * @default none
   */
  adopt?: (ctx: Context, onceStored: OnceStored) => Adopted | Promise<Adopted>
  /** The session cookie's attributes. */
  cookie?: CookieOptions
  /**
   * The property of `ctx` that holds the session, so that one app can have several kinds.
   * @default 'session'
   */
  property?: string
}

/**
 * Takes what ends the other session, and clears its cookie: called once ours is stored, so that at every moment one of
 * them is there. If it fails, ours is taken back, and the request fails. `key` names the other session and no
 * other visitor's, such as its id: then requests that bring it at once make one session of it; without, each its own.
 */
export type OnceStored = (end: () => unknown, key?: string | undefined) => void

export type Adopted = Record<string, unknown> | null | undefined

/** Of sessions of any type. */
type AnyOptions = Omit<SessionOptions, 'user'> & { readonly user?: unknown }

/** Options with defaults filled in; requests see these. */
export interface Settings extends Lifetimes {
  readonly key: string
  readonly timeout: number
  readonly touchAfter: number
  readonly maxSize: number
  readonly user: Path | undefined
  readonly cookie: CookieSettings
  readonly property: string
}

const MEBIBYTE = 1024 * 1024
const DAY = 24 * 60 * 60 * 1000
/** RFC 6265bis, 5.5: "Cookie Lifetime Limits". */
export const MAX_DAYS = 400

const names = [
  'key',
  'maxAge',
  'absoluteMaxAge',
  'touchAfter',
  'store',
  'timeout',
  'maxSize',
  'user',
  'adopt',
  'cookie',
  'property',
] satisfies (keyof SessionOptions)[]

const stored = 'a session is stored when a command changes it, and only then, so leave it out'
const extended = 'a session that is used is extended; touchAfter says how often'
const keys = 'the keys that sign are app.keys'

/** What other libraries call an option, and what belongs elsewhere here. */
const advice: Advice = {
  ...Object.fromEntries(
    cookieAttributes.map(name => [name, `it belongs under cookie: Session(app, { cookie: { ${name}: … } })`]),
  ),
  ...fixedAttributes,
  name: "the cookie's name is the option key",
  secret: keys,
  keys,
  ttl: 'the lifetime is the option maxAge',
  expires: 'the lifetime is the option maxAge',
  rolling: extended,
  renew: extended,
  resave: stored,
  saveUninitialized: stored,
  autoCommit: stored,
  collection: 'set sessions.collection on what Session(app) returns',
  origins: 'it belongs to the middleware: app.use(sessions.csrf({ origins: … }))',
  exempt: 'it belongs to the middleware: app.use(sessions.csrf({ exempt: … }))',
}

/** Fills in defaults and refuses nonsense. */
export function settingsOf(options: AnyOptions, isTaken: (property: string) => boolean): Settings {
  assertOptions(options)
  refuseUnknown('Session()', options, names, advice)
  for (const [name, value] of Object.entries(options)) {
    if (value === null) {
      throw new ConfigurationError(`${name} is wrong: null; leave it out for its default`)
    }
  }
  if (options.adopt !== undefined && typeof options.adopt !== 'function') {
    throw new ConfigurationError(
      `adopt is wrong: ${shown(options.adopt)}; give a function that takes ctx and returns fields, or nothing`,
    )
  }
  const cookie = cookieSettings(options.cookie)
  return Object.freeze({
    key: cookieName(options.key, cookie),
    ...lifetimes(options),
    timeout: timeout(options.timeout ?? '5s'),
    maxSize: bytes(options.maxSize ?? MEBIBYTE),
    user: userField(options.user),
    cookie,
    property: propertyName(options.property ?? 'session', isTaken),
  })
}

function assertOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) {
    throw new ConfigurationError(
      `The options are no object, but ${shown(options)}; give some as in Session(app, { maxAge: '1 month' })`,
    )
  }
  if (!isPlain(options) && Object.keys(options).length === 0) {
    throw new ConfigurationError(
      `The options are an instance of ${describe(options)} that has none; a store goes into the option store`,
    )
  }
}

/** Node's timers count to 2³¹ - 1. */
function timeout(duration: number | string): number {
  const ms = milliseconds('timeout', duration)
  if (ms < 2 ** 31) return ms
  throw new ConfigurationError(`timeout is too long: ${shown(duration)}; a timer runs for at most 24 days`)
}

function lifetimes(options: AnyOptions): Lifetimes & { touchAfter: number } {
  const maxAge = milliseconds('maxAge', options.maxAge ?? '14 days')
  const touchAfter = milliseconds('touchAfter', options.touchAfter ?? Math.max(1, Math.min(maxAge / 10, DAY)))
  const absoluteMaxAge =
    options.absoluteMaxAge === undefined ? undefined : milliseconds('absoluteMaxAge', options.absoluteMaxAge)
  if (touchAfter >= maxAge && maxAge > 1) {
    throw new ConfigurationError('touchAfter must be shorter than maxAge: sessions in use would expire')
  }
  if (absoluteMaxAge !== undefined && absoluteMaxAge < maxAge) {
    throw new ConfigurationError(
      'absoluteMaxAge must not be shorter than maxAge: no session would reach its maxAge',
    )
  }
  if (maxAge > MAX_DAYS * DAY) {
    process.emitWarning(
      `maxAge is more than ${MAX_DAYS} days, which is the longest that browsers keep a cookie`,
      'SessionWarning',
    )
  }
  return { maxAge, touchAfter, absoluteMaxAge }
}

function bytes(maxSize: unknown): number {
  // Beyond 15 MiB MongoDB's own limit, of 16 MiB a document, would come first.
  if (Number.isSafeInteger(maxSize) && (maxSize as number) >= 1 && (maxSize as number) <= 15 * MEBIBYTE) {
    return maxSize as number
  }
  throw new ConfigurationError(`maxSize is wrong: ${shown(maxSize)}; give a number of bytes, at most 15 MiB`)
}

function userField(user: unknown): Path | undefined {
  if (user === undefined) return undefined
  try {
    if (typeof user === 'string') return pathOf(user)
  } catch (cause) {
    throw new ConfigurationError(`user is no field: ${(cause as Error).message}`)
  }
  throw new ConfigurationError(`user is no field: ${shown(user)}; give the name of one, such as 'user_id'`)
}

function propertyName(property: unknown, isTaken: (property: string) => boolean): string {
  if (typeof property !== 'string' || property === '') {
    throw new ConfigurationError(`property is not a name: ${shown(property)}; give one, such as 'session'`)
  }
  if (isTaken(property)) {
    throw new ConfigurationError(
      `property: ctx.${property} is taken, by another session or by Koa itself; give this one another name`,
    )
  }
  return property
}
