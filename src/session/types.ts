import type { PathLike } from '../language/paths.ts'
import type { Commands, Guards } from '../language/types/commands.ts'
import type { FieldNames, FieldValues } from '../language/types/operands.ts'
import type { PathTo, ReadAt, ValueAt } from '../language/types/paths.ts'
import type { Plain, Read, Untyped, ValidData, Write } from '../language/types/values.ts'

export type { Chain, GuardedChain } from '../language/types/commands.ts'
export type { PathTo, ValueAt } from '../language/types/paths.ts'
export type { Untyped, ValidData } from '../language/types/values.ts'

/**
 * What this app's sessions hold, declared once for all of it. Every field is absent from a new session, whatever is declared;
 * inside objects, declare as optional what is not always written together with the rest.
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
 * The sessions' type where `Session(app)` is given none: `SessionData` once it is declared; until then anything goes. A field
 * of `SessionData` that a session cannot hold is refused where it is used, because a declaration cannot be.
 */
export type DefaultData = keyof SessionData extends never
  ? Untyped
  : SessionData extends ValidData<SessionData>
    ? SessionData
    : ValidData<SessionData>

/**
 * A session that may not have been loaded: what `ctx.session` is. Commands and `get` act on the stored session directly, in one
 * round trip, and a command resolves to the fields it touched. Nothing is sent, and no cookie set, unless it is used.
 *
 * It has no fields: reading one, or assigning to one, throws a `FieldError` that says what to use. Errors of commands are
 * thrown at the call; calls that are no commands reject with theirs.
 */
export interface SessionHandle<Data = DefaultData>
  extends Commands<Data, Nothing, 'touched'>,
    Guards<Data, Nothing, 'touched'>,
    Lifecycle<Data, void>,
    Tokens,
    Once<Data>,
    Reading<Data> {
  /**
   * Loads the session, once per request. For a visitor who has none it is a new, empty one, for which the store is not asked
   * and which is stored only when something is written to it.
   *
   * @throws {StoreUnavailableError} A store that cannot answer is never an empty session.
   */
  (options?: LoadOptions): Promise<LoadedSession<Data>>
}

/**
 * What `ctx.session` and a loaded session have in common, for functions that take either. A command resolves to an object that
 * is of no further use, or to `null` where a guard did not hold: read what you need by `get`.
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
 * A session's fields as they are read. All may be absent: a new session has none. Deeply read-only, because what is assigned
 * would be lost: use a command.
 */
export type SessionFields<Data> = { readonly [K in keyof Data]?: Read<Exclude<Data[K], undefined>> }

/** A session's fields as `toJSON` copies them: plain data, and one's own to change. */
export type PlainFields<Data> = { -readonly [K in keyof Data]?: Plain<Exclude<Data[K], undefined>> }

/** What a loaded session has beside its fields; no field may have one of these names. */
export interface SessionMembers<Data = DefaultData>
  extends Commands<Data, LoadedSession<Data>, 'session'>,
    Guards<Data, LoadedSession<Data>, 'session'>,
    Lifecycle<Data, LoadedSession<Data>>,
    Tokens,
    Once<Data>,
    Reading<Data> {
  /**
   * The hash of the cookie's secret: safe to log, and what `Sessions.end` takes. `undefined` while nothing is stored, and once
   * the session has ended.
   */
  readonly id: string | undefined
  /** Whether nothing is stored yet. */
  readonly isNew: boolean
  /** When the session was first stored or, while it is new, when it was made. */
  readonly created: Date
  /** From this instant on the session does not exist, unless it is extended. */
  readonly expires: Date
  /** How long the session lives after its last use, milliseconds. */
  readonly maxAge: number

  /**
   * The fields as plain data: a deep copy that may be changed, kept or sent to a worker. What the session shows is a read-only
   * view, which `structuredClone`, workers and Immer refuse.
   */
  toJSON(this: void): PlainFields<Data>

  /**
   * Reads the session again. A command refreshes its session by itself, so this is for what others have written.
   *
   * @throws {StoreUnavailableError}
   */
  update(this: void): Promise<LoadedSession<Data>>
  /** The session, for `session.set('message', 'hello').then(session.update)` as in 1.0.0; asks nothing of the store. */
  update(this: void, result: unknown): Promise<LoadedSession<Data>>
}

export interface LoadOptions {
  /**
   * Whether using the session keeps it alive; `false` is for requests that nobody makes, such as polling.
   * @default true
   */
  readonly extend?: boolean
}

/** What `regenerate` may be given. `F` is what `set` names. `grace` goes with `keep: true` and nothing else. */
export type RegenerateOptions<Data = DefaultData, F = Partial<Data>> = RegenerateSettings<Data, F> &
  (
    | { readonly grace?: undefined }
    | { readonly keep: true; readonly set?: undefined; readonly maxAge?: undefined }
  )

export interface RegenerateSettings<Data, F> {
  /**
   * What the new session takes over: everything, nothing, or the fields named. What is written meanwhile is carried too.
   * @default false
   */
  readonly keep?: boolean | readonly (keyof Data & string)[]
  /**
   * Fields that the new session has from its first moment, such as who has signed in; they win over what is kept. Names are
   * paths, as those of the command `set({ … })` are.
   * @default none
   */
  readonly set?: FieldValues<Data, F>
  /**
   * How long the new session lives after its last use, from now on: milliseconds, or words such as `'30 days'`, for "remember
   * me".
   * @default the option `maxAge`; with `keep: true`, the old session's
   */
  readonly maxAge?: number | string
  /**
   * For how long requests that are under way with the old cookie go on in the new session: milliseconds, or words such as
   * `'30s'`; at most a minute. For routine rotation only, with `keep: true` and nothing else, and never for a change of
   * privilege.
   * @default none
   */
  readonly grace?: number | string
}

/** What becomes of the session itself, on a handle and on a loaded session; `touch` resolves to `Touched`. */
export interface Lifecycle<Data, Touched> {
  /**
   * Extends the session's life. Given a `maxAge`, milliseconds or words such as `'30 days'`, the session keeps it from now on;
   * on a new session it is remembered for when that is stored. Never passes `absoluteMaxAge`.
   *
   * @throws {SessionEndedError}
   */
  touch(maxAge?: number | string): Promise<Touched>

  /**
   * Ends the session for good, clears the cookie and creates no other. Ending one that has ended is not an error, unless
   * another session took its place.
   *
   * @throws {SessionEndedError} when the session was regenerated meanwhile: the new one lives on, and its visitor is still
   *   signed in.
   */
  destroy(): Promise<void>

  /**
   * A brand-new stored session with a new id; the old one is ended. For every change of privilege, signing in above all (OWASP,
   * session fixation).
   *
   *     await ctx.session.regenerate({ keep: ['cart'], set: { user_id }, maxAge: '30 days' })
   *
   * @throws {SessionEndedError} when somebody else ended the session after this request had seen it, and, with `keep: true` or
   *   a list, when it had ended before: there is nothing to keep. Plain `regenerate()`, or one with `set`, then signs in anew.
   * @throws {FieldError} for a field or a value that a session cannot hold, and for `grace` with anything but `keep: true`.
   * @throws {SessionTooLargeError} when `set` would make the session larger than `maxSize`. Then, as for all errors but
   *   `StoreUnavailableError` with an unknown outcome, the old session is as it was.
   * @throws {HeadersSentError}
   */
  regenerate<F extends FieldNames<Data> = Partial<Data>>(
    options?: RegenerateOptions<Data, F>,
  ): Promise<LoadedSession<Data>>
}

/** Reading fields, on a handle and on a loaded session. */
export interface Reading<Data> {
  /**
   * Reads one field and no more of a stored session; from the picture if the session is loaded. `undefined`: it is not there.
   *
   * @throws {FieldError} for what is no path: as a rejection, as all errors of calls that return a promise.
   * @throws {StoreUnavailableError}
   */
  get<const P extends PathLike>(path: PathTo<Data, P>): Promise<ReadAt<Data, P> | undefined>
  /** Reads several fields, in one round trip: a value or `undefined` for each path, all of the same instant. */
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

/** Work that one does for all, on a handle and on a loaded session. */
export interface Once<Data> {
  /**
   * The value of a field, which one of all requests and processes produces where it is missing or no longer fresh: a token that
   * is refreshed once, an order that is placed once. The one that gets the lease runs `produce` with the value as it is stored
   * then; its result is stored. All others wait for that, and get what was stored. With a fresh value nothing runs, and a loaded
   * session is not read.
   *
   *     const tokens = await ctx.session.once('tokens', (current, { signal }) => refresh(current, signal), {
   *       unless: tokens => tokens.expires > Date.now() + 30_000,
   *     })
   *
   * If `produce` throws, the lease is given back, and those who wait in this process get that error. If its process dies, another
   * request runs its own after `lease`. `signal` aborts then. Requests without a cookie have a session each.
   *
   * @throws {FieldError} when `produce` gives `undefined`, or what a session cannot hold.
   * @throws {SessionEndedError} when the session ends meanwhile.
   * @throws {StoreUnavailableError} with the outcome `'none'` after `wait`.
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
   * Whether the stored value will do: then it is the result, and nothing runs. It is not asked where there is none.
   * @default () => true
   */
  readonly unless?: (value: Value) => boolean
  /**
   * How long the one who runs may take: milliseconds, or words such as `'10s'`. From then on another may run. It is counted by the
   * clocks of the app's processes: by as much as they differ, another takes over too early or too late.
   * @default '10s'
   */
  readonly lease?: number | string
  /**
   * How long this call waits, whoever runs.
   * @default the value of `lease`
   */
  readonly wait?: number | string
}

/** CSRF tokens, on a handle and on a loaded session. */
export interface Tokens {
  /**
   * A token for this session's forms and requests, different each time. The store is not read; for a visitor without a session
   * one is stored, acknowledged before the response leaves. After OWASP's signed double submit, keyed by the session.
   *
   * @throws {HeadersSentError} when a new session's cookie cannot be sent any more.
   */
  createCSRF(): string

  /**
   * Returns if `token` was made for this session, whatever else it may be; the store is not read.
   *
   * @throws {InvalidCSRFTokenError} (403) otherwise.
   */
  assertCSRF(token: unknown): void
}

/** What a chain on the handle has touched before its first command. */
type Nothing = Record<never, never>
