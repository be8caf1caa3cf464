import { milliseconds, timerMilliseconds } from '../duration.ts'
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
 * The options of `Session(app, options)`. A wrong option throws a `ConfigurationError` at once, which names it. `User` is the type
 * of the option `user`; `Context` is the type of the framework's `ctx`.
 */
export interface SessionOptions<Data = DefaultData, User extends string = string, Context = never> {
  /**
   * The cookie's name: a token (RFC 6265, 4.1.1). A name that begins with `__Host-` or `__Secure-` needs the attributes that
   * browsers require with this prefix.
   * @default 'sid'; with `cookie.secure: true`, `'__Host-sid'`
   */
  key?: string
  /**
   * How long a session lives after its last use: milliseconds, or words such as `'1 month'` and `'2h'`. Browsers delete a cookie
   * after at most 400 days (RFC 6265bis, 5.5), even if `maxAge` is longer.
   * @default '14 days'
   */
  maxAge?: number | string
  /**
   * How long a session lives after its creation, however much it is used: milliseconds, or words such as `'90 days'`.
   * @default none
   */
  absoluteMaxAge?: number | string
  /**
   * A request extends the session if its cookie is older than this: milliseconds, or words such as `'1h'`. For a session whose
   * `touch(maxAge)` set a shorter life, it is shorter in proportion.
   * @default a tenth of `maxAge`, at most a day
   */
  touchAfter?: number | string
  /** The store that holds the sessions, or a promise of it. For MongoDB, `sessions.collection` can be set instead. */
  store?: Store | Promise<Store>
  /**
   * How long one call to the store may take, connecting included: milliseconds, or words such as `'5s'`. A longer call fails with
   * `StoreUnavailableError`, and the request is answered with 503.
   * @default '5s'
   */
  timeout?: number | string
  /**
   * The maximum size of a session's fields, in bytes of BSON. A change that would exceed it fails with 413; a change that makes
   * them smaller always works. With MongoDB the server measures, once `ensureIndex()` has found that it can (4.4 or newer); until
   * then only each single value is limited.
   * @default 1 MiB
   */
  maxSize?: number
  /**
   * The field that holds the id of the session's user, such as `'user_id'`. `ensureIndex` indexes it; `find` and `endAll` search
   * by it.
   * @default none
   */
  user?: UserPath<Data, User>
  /**
   * Takes over the sessions of another library. It is called for a visitor without a session of this library, when the session is
   * first used. It returns the fields of the visitor's other session, or nothing if there is none. The fields are stored at once as
   * a new session; fields that a session cannot hold are left out. The function passed to `onceStored` should end the other session:
   * otherwise that one would be adopted again after the new session has ended. `adopt` cannot use `ctx.session` itself. If the
   * fields are larger than `maxSize`, nothing is adopted, and the event `not adopted` reports it.
   * @default none
   */
  adopt?: (ctx: Context, onceStored: OnceStored) => Adopted | Promise<Adopted>
  /** The session cookie's attributes. */
  cookie?: CookieOptions
  /**
   * The property of `ctx` that holds the session. With different properties, one app can have several kinds of sessions.
   * @default 'session'
   */
  property?: string
}

/**
 * Registers `end`, which ends the other session and clears its cookie. It is called after the new session has been stored, so that
 * one of the two exists at every moment. If `end` fails, the new session is removed, and the request fails. `key` is a
 * string, not empty, that identifies the other session, such as its id: then concurrent requests with that session share one new
 * session. Without `key`, each of them makes a new session.
 */
export type OnceStored = (end: () => unknown, key?: string | undefined) => void

export type Adopted = Record<string, unknown> | null | undefined

/** The options of sessions of any type. */
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

/** Names of options in other libraries, and options that this library takes in another place. */
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
    timeout: timerMilliseconds('timeout', options.timeout ?? '5s'),
    maxSize: bytes(options.maxSize ?? MEBIBYTE),
    user: userField(options.user),
    cookie,
    property: propertyName(options.property ?? 'session', isTaken),
  })
}

function assertOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) {
    throw new ConfigurationError(
      `The options are no object, but ${describe(options)}; give some as in Session(app, { maxAge: '1 month' })`,
    )
  }
  if (!isPlain(options) && Object.keys(options).length === 0) {
    throw new ConfigurationError(
      `The options are an instance of ${describe(options)} that has none; a store goes into the option store`,
    )
  }
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
  // MongoDB limits a document to 16 MiB; above 15 MiB its own error could come first.
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
