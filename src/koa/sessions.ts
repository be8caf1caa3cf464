import { ConfigurationError, StoreUnavailableError } from '../core/errors.ts'
import type { Store } from '../core/store.ts'
import type { DefaultData } from '../core/types.ts'

/** Makes a store of what `sessions.collection` is given; the MongoDB store's maker. */
export type StoreMaker<Collection> = (collection: Collection) => Store

/** What `Session(app)` returns: where sessions live, for the app to set, prepare and close. */
export class Sessions<Collection = unknown, Data = DefaultData> {
  /** Only for the compiler: the type of this app's sessions. */
  declare readonly data?: Data
  readonly #makeStore: StoreMaker<Collection>
  #collection: Collection | Promise<Collection> | undefined
  #store: Store | Promise<Store> | undefined

  constructor(makeStore: StoreMaker<Collection>, store?: Store | Promise<Store>) {
    this.#makeStore = makeStore
    if (store) this.store = store
  }

  /**
   * The MongoDB collection that holds the sessions, or a promise of one. It may be set after the app has been put
   * together; until then, requests that use their session are answered with 503.
   */
  get collection(): Collection | Promise<Collection> | undefined {
    return this.#collection
  }

  set collection(collection: Collection | Promise<Collection>) {
    this.#collection = collection
    if (!isPromise<Collection>(collection)) {
      this.#store = this.#makeStore(collection)
      return
    }
    this.store = collection.then(ready => {
      if (this.#collection === collection) this.#collection = ready
      return this.#makeStore(ready)
    })
  }

  /** Where the sessions live, or a promise of it. */
  get store(): Store | Promise<Store> | undefined {
    return this.#store
  }

  set store(store: Store | Promise<Store>) {
    if (typeof store !== 'object' || store === null) {
      throw new ConfigurationError(
        'store is not a store: give one, such as memoryStore(), or a promise of one',
      )
    }
    this.#store = store
    if (!isPromise<Store>(store)) return
    // Once it is there, calls need not wait for a promise; a failure is told to each request that needs the store.
    store.then(
      ready => {
        if (this.#store === store) this.#store = ready
      },
      () => {},
    )
  }

  /**
   * Prepares the store's indexes; for MongoDB, the TTL index by which expired sessions are removed. Call it each time
   * the app starts: what is there already is left alone.
   *
   * @throws {ConfigurationError} if an index on `expires` exists with other options; it is never dropped.
   * @throws {StoreUnavailableError}
   */
  async ensureIndex(): Promise<void> {
    const store = await this.ready()
    await store.ensureIndex?.()
  }

  /** Lets go of what the store opened; a connection that the app opened is the app's to close. */
  async close(): Promise<void> {
    const store = await this.#store
    await store?.close?.()
  }

  /** The store, for a request that needs it now. */
  ready(): Store | Promise<Store> {
    const store = this.#store
    if (!store) {
      return Promise.reject(
        new StoreUnavailableError(
          'There is no session store yet: set sessions.collection or sessions.store',
          'none',
        ),
      )
    }
    return isPromise<Store>(store) ? store.catch(unconnected) : store
  }
}

function unconnected(cause: unknown): never {
  throw new StoreUnavailableError('The session store could not be connected', 'none', { cause })
}

function isPromise<T>(value: unknown): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value
}
