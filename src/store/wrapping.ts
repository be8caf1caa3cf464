import { AsyncResource } from 'node:async_hooks'
import type { Store } from './store.ts'

/** The store with all of its methods, for a store around it to replace some. */
export function passingOn(store: Store): Store & AsyncDisposable {
  return {
    insert: record => store.insert(record),
    load: id => store.load(id),
    read: (id, paths) => store.read(id, paths),
    update: (id, change, answer) => store.update(id, change, answer),
    end: (id, tombstone, until, rev) => store.end(id, tombstone, until, rev),
    delete: id => store.delete(id),
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

/** The async context of a caller whose call is sent later, by another request's answer or by a timer. */
export function callerContext(name: string): AsyncResource {
  // Emits no event when it is garbage-collected: that would cost as much as all the rest.
  return new AsyncResource(name, { requireManualDestroy: true })
}
