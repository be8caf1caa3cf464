import type { IncomingMessage } from 'node:http'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { publish } from '../events.ts'
import type { SessionId } from '../ids.ts'
import { checkedId, isId } from '../ids.ts'
import type { FieldNames, FieldValues } from '../language/types/operands.ts'
import type { UserValue } from '../language/types/user.ts'
import { isPromise } from '../language/values.ts'
import { onceAMinute } from '../reports.ts'
import { nobody } from '../session/carrier.ts'
import { type CreateOptions, createFor } from '../session/creation.ts'
import type { SessionSettings } from '../session/current.ts'
import { handleOf } from '../session/handle.ts'
import { sessionOf } from '../session/session.ts'
import type { DefaultData, LoadedSession, SessionFields, SessionHandle, Tokens } from '../session/types.ts'
import { plain } from '../session/view.ts'
import { Visit } from '../session/visit.ts'
import { endOthers } from '../store/signout.ts'
import type { Store } from '../store/store.ts'
import { type TimedStore, timed } from '../store/timed.ts'
import { type CSRFOptions, csrfGuard } from './csrf.ts'
import type { Framework } from './exchange.ts'
import { bindMethods } from './methods.ts'
import { assertLoadable } from './origins.ts'
import { Requests, type Using } from './requests.ts'
import { checkedStore, type Eventual, type StoreMaker, StoreSource } from './source.ts'
import {
  assertRequest,
  type CreatedSession,
  newCookie,
  readCookie,
  type WrittenCookie,
} from './unsent-cookies.ts'
import { byUser, type EndAllOptions, exceptIn, type FoundSession } from './users.ts'

/** What `Session(app)` returns: the sessions' store, and what can be done with sessions outside of their visitors' requests. */
export class Sessions<
  Data = DefaultData,
  Collection = unknown,
  User = UserValue<Data, string>,
  Context extends Using = Using,
  Middleware = unknown,
> {
  readonly #makeStore: StoreMaker<Collection>
  readonly #framework: Framework<Context, Middleware>
  /** Calls the store that is set at that moment, with the timeout. */
  readonly #store: TimedStore
  readonly #visit: SessionSettings
  /** Reports an error; `of` is the id of its session. */
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
    bindMethods(this)
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
   * The MongoDB collection that holds the sessions, a promise of it, or a function that connects and returns it. The function is
   * called when a session is first needed, and again after it has failed. `collection` may be set after the app has started;
   * until then, requests that use their session are answered with 503.
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

  /** The store, or a promise of it. `undefined` until one is set, and until a function given as `collection` has been called. */
  get store(): Store | Promise<Store> | undefined {
    return this.#source?.present
  }

  set store(store: Store | Promise<Store>) {
    this.#become(isPromise<Store>(store) ? Promise.resolve(store).then(checkedStore) : checkedStore(store))
  }

  /**
   * Prepares the store's indexes. For MongoDB these are the TTL index, which removes expired sessions, and the index by user; if one
   * fails, the other is still created. Call it each time the app starts: an existing index is left as it is.
   *
   * @throws {ConfigurationError} if an existing index has other options (it is never dropped), or if MongoDB refuses to create one.
   * @throws {StoreUnavailableError}
   */
  async ensureIndex(): Promise<void> {
    await this.#store.ensureIndex(this.#framework.settings.user)
  }

  /**
   * The number of all visitors' sessions that have neither ended nor expired.
   *
   * @throws {ConfigurationError} where the store cannot count sessions.
   */
  async count(): Promise<number> {
    return this.#store.count()
  }

  /**
   * Removes expired sessions from the store, and resolves to the number removed. Most stores also do this on a timer. MongoDB
   * removes them itself, so the result is 0. Call it from a scheduled job if no process of the app runs for long, as in
   * serverless functions.
   *
   * @throws {StoreUnavailableError}
   */
  async sweep(): Promise<number> {
    return this.#store.sweep()
  }

  /**
   * The sessions of a user: those whose field, named by the option `user`, has this value. For the compiler to check the value's
   * type, name the field in the type too: `Session<Data, 'user_id'>(…)`.
   *
   * @throws {ConfigurationError} without that option, or where the store cannot find sessions.
   */
  async *find(user: User): AsyncGenerator<FoundSession<Data>, void, undefined> {
    const [path, value] = byUser(this.#framework.settings.user, user)
    for await (const record of this.#store.find(path, value)) {
      const { id, created, expires, fields } = record
      // Not stored by this library: no cookie can lead to such an id, and `end` does not take it.
      if (!isId(id)) continue
      yield { id, created, expires, fields: plain(fields) as SessionFields<Data> }
    }
  }

  /**
   * Ends all sessions of a user except `except`, a session or its id: "sign out everywhere else". It takes effect at the next
   * request in any process. Resolves to the number of sessions ended.
   *
   * @throws {FieldError} if `except` is neither a stored session nor an id.
   * @throws {StoreUnavailableError} if some sessions could not be ended (all others have been), or if new sessions keep coming
   * because somebody keeps signing in.
   */
  async endAll(user: User, options?: EndAllOptions): Promise<number> {
    const found = () => this.find(user)
    return endOthers(exceptIn(options), found, this.end, 'call endAll() again')
  }

  /**
   * Ends the session with this id, of any user. Ending a session that does not exist is not an error.
   *
   * @throws {FieldError} (400) if `id` cannot be an id.
   */
  async end(id: SessionId): Promise<void> {
    const checked = checkedId(id)
    await this.#store.delete(checked)
    publish({ type: 'ended', id: checked })
  }

  /**
   * A session by its id, for jobs and admin pages. It has the commands of `ctx.session`, but no cookie. Using it does not extend
   * its life.
   *
   * @throws {FieldError} (400) if `id` cannot be an id.
   * @throws {SessionEndedError} from each method of the returned session, if the session does not exist.
   */
  open(id: SessionId): SessionHandle<Data> {
    const checked = checkedId(id)
    const visit = new Visit(nobody, this.#visit, checked)
    visit.doNotExtend()
    visit.queue.close(error => this.#report(error, checked))
    return handleOf<Data>(visit, 'sessions.open(id)')
  }

  /**
   * Stores a new session with these fields, for jobs and for tests that begin with a signed-in visitor. `cookie` is the value of the
   * request header `Cookie`: `name=value`. Everyone who has it can act as the visitor.
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

  /** @internal As `create`, with the cookie's attributes. */
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
   * Loads the session of a request that Koa does not serve, such as the upgrade of a WebSocket. Commands work on an existing
   * session. No cookie can be set, so no new session can be stored.
   *
   * Browsers send the cookie with an upgrade from any page, so a request from a page of another origin is refused. A request
   * with neither `Sec-Fetch-Site` nor `Origin` does not come from a browser, and is not refused.
   *
   * @throws {ConfigurationError} if `request` is not a Node.js request, such as a `Request` of fetch.
   * @throws {InvalidCSRFTokenError} (403) if the request's origin is neither this host's nor one of `origins`.
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
   * Middleware that refuses requests which another site made a visitor's browser send. Use it after a body parser, so that it can
   * read the field `_csrf`, and before the handlers that change something.
   *
   * @throws {ConfigurationError} if an origin or a path in the options is not valid.
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
   * For the end of the process. Waits for the requests that use their session, including streamed responses and requests whose
   * visitors have disconnected, and then for the running store calls; each wait takes at most `timeout`. After that, calls reject
   * with `StoreUnavailableError` until another store is set. Closes what the store itself opened; the app closes its own
   * connection afterwards.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** For `await using sessions = Session(app)`: calls `close` at the end of the scope. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Closes the store that is set now: another one, set meanwhile, must stay open. */
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
