import { AsyncResource } from 'node:async_hooks'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import { isPromise } from '../language/values.ts'
import type { Store } from '../store/store.ts'
import { atMost } from './responses.ts'

/** A value, a promise of it, or a function that returns such a promise and is called again until it succeeds. */
export type Eventual<T> = T | Promise<T> | (() => Promise<T>)

/** Makes a store from the value of `sessions.collection`. */
export type StoreMaker<Collection> = (collection: Collection) => Store

/** Where one store comes from. */
export class StoreSource {
  readonly #timeout: number
  #store: Eventual<Store>
  #connecting: Promise<Store> | undefined
  /** The async context for connecting: a connection outlives the request that first needs it. */
  readonly #context = new AsyncResource('koa-atomic-session:connection')

  constructor(store: Eventual<Store>, timeout: number) {
    this.#timeout = timeout
    if (isPromise<Store>(store)) {
      this.#store = this.#keptOnceReady(store)
    } else {
      this.#store = store
      if (typeof store === 'object') store.useTimeout?.(timeout)
    }
  }

  /** The store, or a promise of it, or `undefined` before it was first needed. Does not connect. */
  get present(): Store | Promise<Store> | undefined {
    return typeof this.#store === 'function' ? this.#connecting : this.#store
  }

  /** The store. Connects if needed. */
  ready(): Store | Promise<Store> {
    const store = this.#store
    if (isPromise<Store>(store)) return store.catch(unconnected)
    return typeof store === 'function' ? this.#connected(store) : store
  }

  /** Closes the store; one that is still connecting, once it is connected. Waits for at most the timeout. */
  async close(): Promise<void> {
    const { present } = this
    if (present) await atMost(this.#timeout, letGo(present))
  }

  /** One attempt at a time; after a failed one, the next request makes another. */
  #connected(connect: () => Promise<Store>): Promise<Store> {
    if (!this.#connecting) {
      this.#connecting = this.#keptOnceReady(this.#context.runInAsyncScope(connect))
      this.#connecting.catch(() => {
        this.#connecting = undefined
      })
    }
    return this.#connecting.catch(unconnected)
  }

  /** The promise of the store, which is kept once it is connected, so that calls need not wait for a promise. */
  #keptOnceReady(promise: Promise<Store>): Promise<Store> {
    const ready = promise.then(store => {
      store.useTimeout?.(this.#timeout)
      this.#store = store
      return store
    })
    // A failure is told by `ready`, to those who need the store.
    ready.catch(() => {})
    return ready
  }
}

/** Checks what the app gives as its store. */
export function checkedStore(store: Store | undefined): Store {
  if (typeof store?.update === 'function') return store
  throw new ConfigurationError('store is not a store: give one, such as memoryStore(), or a promise of one')
}

async function letGo(store: Store | Promise<Store>): Promise<void> {
  const opened = await Promise.resolve(store).catch(() => undefined)
  await opened?.close?.()
}

function unconnected(cause: unknown): never {
  if (cause instanceof ConfigurationError || cause instanceof StoreUnavailableError) throw cause
  throw new StoreUnavailableError('The session store could not be connected', 'none', { cause })
}
