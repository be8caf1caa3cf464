import { AsyncResource } from 'node:async_hooks'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { atMost } from './responses.ts'

/** Something that is there, on its way, or comes of a function that is called again until it succeeds. */
export type Eventual<T> = T | Promise<T> | (() => Promise<T>)

/** Makes a store of what `sessions.collection` is given; the MongoDB store's maker. */
export type StoreMaker<Collection> = (collection: Collection) => Store

/** Where one store comes from. */
export class StoreSource {
  readonly #timeout: number
  #store: Eventual<Store>
  #connecting: Promise<Store> | undefined
  /** A connection outlives the request that first needs it, and belongs to none. */
  readonly #context = new AsyncResource('koa-atomic-session:connection')

  constructor(store: Eventual<Store>, timeout: number) {
    this.#store = store
    this.#timeout = timeout
    if (isPromise<Store>(store)) this.#keepOnceReady(store)
    else if (typeof store === 'object') store.useTimeout?.(timeout)
  }

  /** The store, or a promise of it, where it has come or been asked for. Looking asks for nothing. */
  get present(): Store | Promise<Store> | undefined {
    return typeof this.#store === 'function' ? this.#connecting : this.#store
  }

  /** The store, for who needs it now. */
  ready(): Store | Promise<Store> {
    const store = this.#store
    if (isPromise<Store>(store)) return store.catch(unconnected)
    return typeof store === 'function' ? this.#connected(store) : store
  }

  /** Lets go of what the store opened; of one that is on its way, once it has come. Waits no longer than the timeout. */
  async close(): Promise<void> {
    const { present } = this
    if (present) await atMost(this.#timeout, letGo(present))
  }

  /** One attempt at a time; after a failed one, the next request makes another. */
  #connected(connect: () => Promise<Store>): Promise<Store> {
    if (!this.#connecting) {
      const connecting = this.#context.runInAsyncScope(connect)
      this.#connecting = connecting
      connecting.catch(() => {
        this.#connecting = undefined
      })
      this.#keepOnceReady(connecting)
    }
    return this.#connecting.catch(unconnected)
  }

  /** Once the store is there, calls need not wait for a promise. A failure is told to each request that needs it. */
  #keepOnceReady(promise: Promise<Store>): void {
    promise.then(
      store => {
        this.#store = store
        store.useTimeout?.(this.#timeout)
      },
      () => {},
    )
  }
}

async function letGo(store: Store | Promise<Store>): Promise<void> {
  const opened = await Promise.resolve(store).catch(() => undefined)
  await opened?.close?.()
}

function unconnected(cause: unknown): never {
  if (cause instanceof ConfigurationError || cause instanceof StoreUnavailableError) throw cause
  throw new StoreUnavailableError('The session store could not be connected', 'none', { cause })
}

export function isPromise<T>(value: unknown): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
