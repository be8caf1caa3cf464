import type { IncomingMessage } from 'node:http'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { publish } from '../events.ts'
import type { SessionId } from '../ids.ts'
import { checkedId, isId } from '../ids.ts'
import type { FieldNames, FieldValues } from '../language/types/operands.ts'
import type { UserValue } from '../language/types/user.ts'
import { nobody } from '../session/carrier.ts'
import { type CreateOptions, createFor } from '../session/creation.ts'
import type { SessionSettings } from '../session/current.ts'
import { handleOf } from '../session/handle.ts'
import { onceAMinute } from '../session/reports.ts'
import { sessionOf } from '../session/session.ts'
import type { DefaultData, LoadedSession, SessionFields, SessionHandle, Tokens } from '../session/types.ts'
import { plain } from '../session/view.ts'
import { Visit } from '../session/visit.ts'
import type { Store } from '../store/store.ts'
import { type TimedStore, timed } from '../store/timed.ts'
import { type CSRFOptions, csrfGuard } from './csrf.ts'
import type { Framework } from './exchange.ts'
import { assertLoadable } from './origins.ts'
import { Requests, type Using } from './requests.ts'
import { type Eventual, isPromise, type StoreMaker, StoreSource } from './source.ts'
import {
  assertRequest,
  type CreatedSession,
  newCookie,
  readCookie,
  type WrittenCookie,
} from './unsent-cookies.ts'
import { byUser, type EndAllOptions, endOthers, exceptIn, type FoundSession } from './users.ts'

/** What `Session(app)` returns: where sessions live, and what is done with them outside of their visitors' requests. */
export class Sessions<
  Data = DefaultData,
  Collection = unknown,
  User = UserValue<Data, string>,
  Context extends Using = Using,
  Middleware = unknown,
> {
  readonly #makeStore: StoreMaker<Collection>
  readonly #framework: Framework<Context, Middleware>
  /** The one that is there at each call, held to the timeout. */
  readonly #store: TimedStore
  readonly #visit: SessionSettings
  /** A failure, and of which session it is. */
  readonly #report: (error: unknown, of: string) => void
  /** @internal */
  readonly requests: Requests<Context>
  #collection: Eventual<Collection> | undefined
  #source: StoreSource | undefined
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(
    makeStore: StoreMaker<Collection>,
    framework: Framework<Context, Middleware>,
    store?: Store | Promise<Store>,
  ) {
    const { settings, report } = framework
    this.#makeStore = makeStore
    this.#framework = framework
    this.#store = timed(() => this.#ready(), settings.timeout, settings.user)
    this.#visit = { ...settings, store: this.#store }
    this.#report = onceAMinute(report)
    this.requests = new Requests(framework, this.#visit)
    if (store !== undefined) this.store = store
  }

  /**
   * The MongoDB collection that holds the sessions, a promise of one, or a function that connects and gives one: it is
   * called when a session is first needed, and again after it has failed. It may be set after the app has been put
   * together; until then, requests that use their session are answered with 503.
   */
  get collection(): Eventual<Collection> | undefined {
    return this.#collection
  }

  set collection(collection: Eventual<Collection>) {
    if (typeof collection === 'function') {
      const connect = collection as () => Promise<Collection>
      this.#become(async () => this.#makeStore(await connect()))
    } else if (isPromise<Collection>(collection)) {
      this.#become(Promise.resolve(collection).then(this.#makeStore))
    } else {
      this.#become(this.#makeStore(collection as Collection))
    }
    this.#collection = collection
  }

  /** Where the sessions live, or a promise of it; `undefined` until a function given as `collection` has been called. */
  get store(): Store | Promise<Store> | undefined {
    return this.#source?.present
  }

  set store(store: Store | Promise<Store>) {
    if (!isPromise<Store>(store) && typeof store?.update !== 'function') {
      throw new ConfigurationError(
        'store is not a store: give one, such as memoryStore(), or a promise of one',
      )
    }
    this.#become(isPromise<Store>(store) ? Promise.resolve(store) : store)
  }

  /**
   * Prepares the store's indexes; for MongoDB, the TTL index by which expired sessions are removed, and the index by
   * user. Call it each time the app starts: what is there already is left alone. Each is made whatever becomes of the other.
   *
   * @throws {ConfigurationError} if an index is in the way that has other options, which is never dropped, or if MongoDB
   * refuses one.
   * @throws {StoreUnavailableError}
   */
  async ensureIndex(): Promise<void> {
    await this.#store.ensureIndex(this.#framework.settings.user)
  }

  /**
   * How many sessions there are, of all visitors: those that have neither ended nor expired.
   *
   * @throws {ConfigurationError} where the store cannot count sessions.
   */
  async count(): Promise<number> {
    return this.#store.count()
  }

  /**
   * Removes expired sessions from the store, and resolves to how many it removed. Stores do that by themselves, by a timer or, as
   * MongoDB does, in the database: 0 then. Call it from a scheduled job where no process lives for long, as in serverless functions.
   *
   * @throws {StoreUnavailableError}
   */
  async sweep(): Promise<number> {
    return this.#store.sweep()
  }

  /**
   * The sessions of a user, as the option `user` names the field. (Where the compiler takes other values than that field's, name
   * it in the type: `Session<Data, 'user_id'>(…)`.)
   *
   * @throws {ConfigurationError} without that option, or where the store cannot find sessions.
   */
  async *find(user: User): AsyncGenerator<FoundSession<Data>, void, undefined> {
    const [path, value] = byUser(this.#framework.settings.user, user)
    for await (const record of this.#store.find(path, value)) {
      const { id, created, expires, fields } = record
      // Somebody else's, under a name that no session of ours can have: nobody can come with it, or end it by it.
      if (!isId(id)) continue
      yield { id, created, expires, fields: plain(fields) as SessionFields<Data> }
    }
  }

  /**
   * Ends all sessions of a user but `except`, a session or its id: "sign out everywhere else". Effective on the next
   * request of any process. Resolves to how many were ended.
   *
   * @throws {FieldError} for an `except` that is no stored session and no id.
   * @throws {StoreUnavailableError} once all others have been ended, where some could not be; and where there are always
   * more, since somebody keeps signing in.
   */
  async endAll(user: User, options?: EndAllOptions): Promise<number> {
    const except = exceptIn(options)
    return endOthers(
      except,
      () => this.find(user),
      id => this.end(id),
    )
  }

  /**
   * Ends the session of this id, whoever's it is. Ending one that does not exist is not an error.
   *
   * @throws {FieldError} (400) for what cannot be an id.
   */
  async end(id: SessionId): Promise<void> {
    await this.#store.delete(checkedId(id))
    publish({ type: 'ended', id })
  }

  /**
   * A session by its id, for jobs and admin pages: with the commands of `ctx.session`, but no cookie. Using it does not
   * extend it.
   *
   * @throws {FieldError} (400) for what cannot be an id.
   * @throws {SessionEndedError} from whatever is done with it, if there is no such session.
   */
  open(id: SessionId): SessionHandle<Data> {
    const visit = new Visit(nobody, this.#visit, checkedId(id))
    visit.doNotExtend()
    visit.queue.close(error => this.#report(error, id))
    return handleOf<Data>(visit, 'sessions.open(id)')
  }

  /**
   * Stores a new session with these fields, for tests that begin with a visitor who is signed in, and for jobs. `cookie`, its
   * name and its value, is what a request sends as its header `Cookie`; whoever has it is the visitor.
   *
   *     const { cookie } = await sessions.create({ user_id: 'ada' })
   *     await fetch(url, { headers: { cookie } })
   *
   * @throws {FieldError} for a field or a value that a session cannot hold.
   * @throws {SessionTooLargeError}
   * @throws {ConfigurationError} without `app.keys`, and for options that cannot work.
   * @throws {StoreUnavailableError}
   */
  async create<F extends FieldNames<Data>>(
    fields: FieldValues<Data, F>,
    options?: CreateOptions,
  ): Promise<CreatedSession> {
    const { id, cookie } = await this.createWithCookie(fields, options)
    return { id, cookie: `${cookie.name}=${cookie.value}` }
  }

  /** @internal As `create`, with what a browser is told of the cookie. */
  async createWithCookie(
    fields: unknown,
    options: unknown,
  ): Promise<{ readonly id: SessionId; readonly cookie: WrittenCookie }> {
    const { settings, keys } = this.#framework
    const cookie = newCookie(settings, keys())
    const id = await createFor(cookie, this.#visit, fields, options)
    return { id, cookie: cookie.written() }
  }

  /**
   * The session of a request that Koa does not serve, such as a WebSocket's upgrade: loaded, and read-only as to its
   * cookie. Commands work on a session that exists; one that does not cannot be made.
   *
   * Browsers send the cookie with every page's upgrade, so a request that a page of another origin sent is refused. One of a
   * program that is no browser, which sends neither `Sec-Fetch-Site` nor `Origin`, is not.
   *
   * @throws {ConfigurationError} for what is no request of Node, such as a `Request` of fetch.
   * @throws {InvalidCSRFTokenError} (403) for a request of another origin than this host's and those of `origins`.
   * @throws {StoreUnavailableError}
   */
  async load(request: IncomingMessage, options?: Pick<CSRFOptions, 'origins'>): Promise<LoadedSession<Data>> {
    assertRequest(request)
    const { settings, keys, exchangeOf, contextOf } = this.#framework
    assertLoadable(exchangeOf(contextOf(request)), options)
    const visit = new Visit(readCookie(request, settings.key, keys()), this.#visit)
    visit.queue.close(error => this.#report(error, visit.id ?? ''))
    await visit.load()
    return sessionOf<Data>(visit)
  }

  /**
   * Middleware that refuses requests which another site made a visitor's browser send. Use it after a body parser, so
   * that it sees the field `_csrf`, and before what changes things.
   *
   * @throws {ConfigurationError} for an origin or a path that is none.
   */
  csrf(options?: CSRFOptions): Middleware {
    if (!(this instanceof Sessions)) {
      throw new ConfigurationError('csrf() makes the middleware: app.use(sessions.csrf())')
    }
    const { settings, exchangeOf, guarding } = this.#framework
    const tokensOf = (ctx: object) => (ctx as Record<string, Tokens>)[settings.property] as Tokens
    return guarding(csrfGuard(options, exchangeOf, tokensOf))
  }

  /**
   * For the end of the process: waits for the requests that use their session, streamed bodies and those whose visitors
   * have gone included, and then for the store calls under way, each at most for `timeout`. From then on calls are
   * refused with `StoreUnavailableError`, until another store is set. Lets go of what the store opened; a connection that
   * the app opened is the app's to close, afterwards.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** `await using sessions = Session(app)` closes them at the end of the scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Of the store that is there now: another may be set meanwhile, and is not closed. */
  async #close(): Promise<void> {
    const store = this.#store
    const source = this.#source
    await store.drain(this.requests.responses.ended(store.timeout))
    await source?.close()
  }

  /** The store, for a request that needs it now. */
  #ready(): Store | Promise<Store> {
    if (this.#source) return this.#source.ready()
    const message = 'There is no session store yet: set sessions.collection or sessions.store'
    return Promise.reject(new StoreUnavailableError(message, 'none'))
  }

  #become(store: Eventual<Store>): void {
    this.#collection = undefined
    this.#closing = undefined
    this.#store.renew()
    this.#source = new StoreSource(store, this.#store.timeout)
  }
}
