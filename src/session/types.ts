import type { PathLike } from '../language/paths.ts'
import type { Commands, Guards } from '../language/types/commands.ts'
import type { FieldNames, FieldValues } from '../language/types/operands.ts'
import type { PathTo, ReadAt, ValueAt } from '../language/types/paths.ts'
import type { Plain, Read, Untyped, ValidData, Write } from '../language/types/values.ts'

export type { Chain, GuardedChain } from '../language/types/commands.ts'
export type { PathTo, ValueAt } from '../language/types/paths.ts'
export type { Untyped, ValidData } from '../language/types/values.ts'

/**
 * What this app's sessions hold. Declare it once for the whole app. A new session has no fields, even those declared as required.
 * Inside an object, declare a property as optional unless it is always written together with the object.
 *
 *     declare module 'koa-atomic-session' {
 *       interface SessionData {
 *         user_id: ObjectId
 *         views: number
 *       }
 *     }
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is for users to fill
export interface SessionData {}

/**
 * The sessions' type when `Session(app)` is given none: `SessionData` once it is declared, and untyped until then. The compiler
 * cannot refuse the declaration of a field that a session cannot hold, so it refuses each use of that field.
 */
export type DefaultData = keyof SessionData extends never
  ? Untyped
  : SessionData extends ValidData<SessionData>
    ? SessionData
    : ValidData<SessionData>

/**
 * The type of `ctx.session`: a session that may not have been loaded yet. Commands and `get` act on the stored session directly,
 * in one round trip. A command resolves to the fields it touched. A handle that is not used sends nothing to the store and sets
 * no cookie.
 *
 * It has no fields: reading or assigning one throws a `FieldError` that says what to use. A command with wrong arguments throws
 * at the call; other methods reject.
 */
export interface SessionHandle<Data = DefaultData>
  extends Commands<Data, Nothing, 'touched'>,
    Guards<Data, Nothing, 'touched'>,
    Lifecycle<Data, void>,
    Tokens,
    Once<Data>,
    Reading<Data> {
  /**
   * Loads the session, once per request. A visitor without a session cookie gets a new, empty session: the store is not asked,
   * and the session is stored only when something is written to it.
   *
   * @throws {StoreUnavailableError} when the store cannot answer: that is never shown as an empty session.
   */
  (options?: LoadOptions): Promise<LoadedSession<Data>>
}

/**
 * What `ctx.session` and a loaded session have in common, for functions that take either. A command resolves to an object, or to
 * `null` if a guard did not hold. What the object contains differs, so do not use it: read what you need with `get`.
 *
 *     const visited = (session: AnySession<Shop>, page: string) => session.push('seen', page, { slice: -100 })
 */
export interface AnySession<Data = DefaultData>
  extends Commands<Data, object, 'touched' | 'session'>,
    Guards<Data, object, 'touched' | 'session'>,
    Lifecycle<Data, unknown>,
    Tokens,
    Once<Data>,
    Reading<Data> {}

/** A loaded session: its fields, deeply read-only, and its own members. Commands change it; assigning throws. */
export type LoadedSession<Data = DefaultData> = SessionFields<Data> & SessionMembers<Data>

/**
 * A session's fields as they are read. Each may be absent: a new session has none. They are deeply read-only, because an
 * assignment would not be stored: use a command.
 */
export type SessionFields<Data> = { readonly [K in keyof Data]?: Read<Exclude<Data[K], undefined>> }

/** A session's fields as `toJSON` copies them: plain data that may be changed. */
export type PlainFields<Data> = { -readonly [K in keyof Data]?: Plain<Exclude<Data[K], undefined>> }

/** The members of a loaded session that are not fields. No field may have one of these names. */
export interface SessionMembers<Data = DefaultData>
  extends Commands<Data, LoadedSession<Data>, 'session'>,
    Guards<Data, LoadedSession<Data>, 'session'>,
    Lifecycle<Data, LoadedSession<Data>>,
    Tokens,
    Once<Data>,
    Reading<Data> {
  /**
   * The hash of the cookie's secret. It is safe to log, and `Sessions.end` takes it. `undefined` while nothing is stored, and
   * after the session has ended.
   */
  readonly id: string | undefined
  /** Whether nothing is stored yet. */
  readonly isNew: boolean
  /** When the session was first stored. While it is new: when this object was made. */
  readonly created: Date
  /** When the session expires, unless it is extended first. */
  readonly expires: Date
  /** How long the session lives after its last use, milliseconds. */
  readonly maxAge: number

  /**
   * The fields as plain data: a deep copy that may be changed, kept or sent to a worker. The session's own fields are a read-only
   * view, which `structuredClone`, workers and Immer refuse.
   */
  toJSON(this: void): PlainFields<Data>

  /**
   * Reads the session again, to see what other requests have written. After a command it is not needed: a command refreshes its
   * session itself.
   *
   * @throws {StoreUnavailableError}
   */
  update(this: void): Promise<LoadedSession<Data>>
  /** Returns the session and does not call the store: for `session.set('message', 'hello').then(session.update)` as in 1.0.0. */
  update(this: void, result: unknown): Promise<LoadedSession<Data>>
}

export interface LoadOptions {
  /**
   * Whether this request extends the session's life. `false` is for requests that no person makes, such as polling.
   * @default true
   */
  readonly extend?: boolean
}

/** The options of `regenerate`. `F` is the type of the fields in `set`. `grace` is allowed only with `keep: true`. */
export type RegenerateOptions<Data = DefaultData, F = Partial<Data>> = RegenerateSettings<Data, F> &
  (
    | { readonly grace?: undefined }
    | { readonly keep: true; readonly set?: undefined; readonly maxAge?: undefined }
  )

export interface RegenerateSettings<Data, F> {
  /**
   * What the new session takes over: everything, nothing, or the named fields. Changes that other requests make meanwhile are
   * included.
   * @default false
   */
  readonly keep?: boolean | readonly (keyof Data & string)[]
  /**
   * Fields that the new session has from the start, such as the id of the user who signed in. They replace kept fields. Names are
   * paths, as in the command `set({ … })`.
   * @default none
   */
  readonly set?: FieldValues<Data, F>
  /**
   * How long the new session lives after its last use: milliseconds, or words such as `'30 days'` (for "remember me").
   * @default the option `maxAge`; with `keep: true`, the old session's
   */
  readonly maxAge?: number | string
  /**
   * How long requests that still carry the old cookie use the new session: milliseconds, or words such as `'30s'`; at most a
   * minute. It is allowed with `keep: true` and no other option. Use it for routine rotation only, never for a change of privilege.
   * @default none
   */
  readonly grace?: number | string
}

/** Extending, ending and regenerating a session, on a handle and on a loaded session. `touch` resolves to `Touched`. */
export interface Lifecycle<Data, Touched> {
  /**
   * Extends the session's life. A `maxAge`, in milliseconds or words such as `'30 days'`, replaces the session's own from now on; a
   * new session uses it once it is stored. The session never lives longer than `absoluteMaxAge`.
   *
   * @throws {SessionEndedError}
   */
  touch(maxAge?: number | string): Promise<Touched>

  /**
   * Ends the session for good and clears the cookie. No other session is created. Ending an ended session is not an error, unless
   * another session replaced it.
   *
   * @throws {SessionEndedError} when another request regenerated the session: the new session still exists, and its visitor is
   *   still signed in.
   */
  destroy(): Promise<void>

  /**
   * Stores a new session with a new id and ends the old one. Use it at every change of privilege, above all at sign-in (OWASP,
   * session fixation).
   *
   *     await ctx.session.regenerate({ keep: ['cart'], set: { user_id }, maxAge: '30 days' })
   *
   * @throws {SessionEndedError} when another request ended the session after this one had seen it. With `keep: true` or a list,
   *   also when it had ended before, because nothing is left to keep; without `keep`, a new session is stored in that case.
   * @throws {FieldError} for a field or a value that a session cannot hold, and for `grace` with anything but `keep: true`.
   * @throws {SessionTooLargeError} when `set` would make the session larger than `maxSize`. After this and every other error the
   *   old session is unchanged, except after a `StoreUnavailableError` with an unknown outcome.
   * @throws {HeadersSentError}
   */
  regenerate<F extends FieldNames<Data> = Partial<Data>>(
    options?: RegenerateOptions<Data, F>,
  ): Promise<LoadedSession<Data>>
}

/** Reading fields, on a handle and on a loaded session. */
export interface Reading<Data> {
  /**
   * Reads one field of the stored session, without the rest. If the session is loaded, the field comes from the loaded session.
   * Resolves to `undefined` if the field is absent.
   *
   * @throws {FieldError} as a rejection, if `path` is not a path.
   * @throws {StoreUnavailableError}
   */
  get<const P extends PathLike>(path: PathTo<Data, P>): Promise<ReadAt<Data, P> | undefined>
  /** Reads several fields in one round trip: a value or `undefined` for each path, all from the same moment. */
  get<const P extends PathLike, const Q extends PathLike, const More extends readonly PathLike[]>(
    path: PathTo<Data, P>,
    second: PathTo<Data, Q>,
    ...more: { readonly [I in keyof More]: PathTo<Data, More[I]> }
  ): Promise<
    [
      ReadAt<Data, P> | undefined,
      ReadAt<Data, Q> | undefined,
      ...{ -readonly [I in keyof More]: ReadAt<Data, More[I]> | undefined },
    ]
  >
}

/** Work that one request does for all, on a handle and on a loaded session. */
export interface Once<Data> {
  /**
   * The value of a field. If it is absent or no longer fresh, one of all requests and processes produces it: a token that is
   * refreshed once, an order that is placed once. The request that gets the lease calls `produce` with the value stored at that
   * moment, and stores the result. All others wait for that result and get it too. If the value is fresh, nothing runs, and a
   * loaded session is not read again.
   *
   *     const tokens = await ctx.session.once('tokens', (current, { signal }) => refresh(current, signal), {
   *       unless: tokens => tokens.expires > Date.now() + 30_000,
   *     })
   *
   * If `produce` throws, the lease is given back, and the calls that wait in this process reject with that error. If the process
   * dies, another request calls its own `produce` after `lease`. `signal` aborts when the lease ends. Each request without a
   * cookie has a session of its own, so `once` does not join such requests.
   *
   * @throws {FieldError} when `produce` returns `undefined` or a value that a session cannot hold.
   * @throws {SessionEndedError} when the session ends meanwhile.
   * @throws {StoreUnavailableError} when `wait` has passed: with the outcome `'unknown'` where this request runs `produce`, since its
   * value may be stored later; otherwise `'none'`.
   * @throws {LeaseLostError} when the lease ended and another request took it before the result came.
   */
  once<const P extends PathLike>(
    path: PathTo<Data, P>,
    produce: (
      current: ReadAt<Data, P> | undefined,
      context: { readonly signal: AbortSignal },
    ) => Write<ValueAt<Data, P>> | Promise<Write<ValueAt<Data, P>>>,
    options?: OnceOptions<ReadAt<Data, P>>,
  ): Promise<ReadAt<Data, P>>
}

export interface OnceOptions<Value> {
  /**
   * Whether the stored value is still fresh: then it is the result, and `produce` is not called. Not called for an absent field.
   * @default () => true
   */
  readonly unless?: (value: Value) => boolean
  /**
   * How long `produce` may take: milliseconds, or words such as `'10s'`. After that, another request may take over. The time is
   * measured by the clocks of the app's processes: if they differ, another request takes over that much too early or too late.
   * @default '10s'
   */
  readonly lease?: number | string
  /**
   * How long this call waits for the value, whichever request produces it: milliseconds, or words such as `'10s'`.
   * @default the value of `lease`
   */
  readonly wait?: number | string
}

/** CSRF tokens, on a handle and on a loaded session. */
export interface Tokens {
  /**
   * A token for this session's forms and requests, different at each call. The store is not read. For a visitor without a session,
   * a new one is stored before the response is sent. The method is OWASP's signed double submit cookie, bound to the session.
   *
   * @throws {HeadersSentError} when a new session's cookie cannot be sent any more.
   */
  createCSRF(): string

  /**
   * Returns if `token` was made for this session. `token` may be any value. The store is not read.
   *
   * @throws {InvalidCSRFTokenError} (403) otherwise.
   */
  assertCSRF(token: unknown): void
}

/** What a chain on the handle has touched before its first command. */
type Nothing = Record<never, never>
