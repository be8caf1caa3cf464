import { AsyncResource } from 'node:async_hooks'
import { StoreUnavailableError } from '../errors.ts'
import type { Store } from './store.ts'

/** The store with all of its methods, for a store around it to replace some. */
export function passingOn(store: Store): Store & AsyncDisposable {
  return {
    ...callsOf(store, call => call()),
    ...(store.find && { find: store.find.bind(store) }),
    ...(store.count && { count: store.count.bind(store) }),
    ...(store.sweep && { sweep: store.sweep.bind(store) }),
    ...(store.ensureIndex && { ensureIndex: store.ensureIndex.bind(store) }),
    ...(store.isIndexed && { isIndexed: store.isIndexed.bind(store) }),
    ...(store.useTimeout && { useTimeout: store.useTimeout.bind(store) }),
    ...(store.close && { close: store.close.bind(store) }),
    async [Symbol.asyncDispose]() {
      await store.close?.()
    },
  }
}

type Calls = Pick<Store, 'insert' | 'load' | 'read' | 'update' | 'end' | 'delete'>

/** The calls of requests to the store, each of them made within `within`. */
export function callsOf(store: Calls, within: <T>(call: () => T) => T): Calls {
  return {
    insert: record => within(() => store.insert(record)),
    load: id => within(() => store.load(id)),
    read: (id, paths) => within(() => store.read(id, paths)),
    update: (id, change, answer) => within(() => store.update(id, change, answer)),
    end: (id, tombstone, until, rev) => within(() => store.end(id, tombstone, until, rev)),
    delete: id => within(() => store.delete(id)),
  }
}

/** The async context of a caller whose call is sent later, by another request's answer or by a timer. */
export function callerContext(name: string): AsyncResource {
  // Emits no event when it is garbage-collected: that would cost as much as all the rest.
  return new AsyncResource(name, { requireManualDestroy: true })
}

/** An error object for each of the callers that fail together, since a caller may add properties to it, such as headers. */
export function ownError(error: unknown): unknown {
  if (!(error instanceof StoreUnavailableError)) return error
  const { message, outcome, cause } = error
  return new StoreUnavailableError(message, outcome, cause === undefined ? {} : { cause })
}
