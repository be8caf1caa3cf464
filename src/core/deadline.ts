import { StoreUnavailableError } from './errors.ts'
import type { Store } from './store.ts'

/** The store as a request sees it: each call waits at most `ms`, the wait for the store itself included. */
export function timed(store: () => Store | Promise<Store>, ms: number): Store {
  const read = <T>(call: (store: Store) => Promise<T>) => ask(store(), ms, 'none', call)
  const write = <T>(call: (store: Store) => Promise<T>) => ask(store(), ms, 'unknown', call)
  return {
    insert: record => write(ready => ready.insert(record)),
    load: id => read(ready => ready.load(id)),
    read: (id, paths) => read(ready => ready.read(id, paths)),
    update: (id, change, answer) => write(ready => ready.update(id, change, answer)),
    end: (id, tombstone, until, rev) => write(ready => ready.end(id, tombstone, until, rev)),
    delete: id => write(ready => ready.delete(id)),
  }
}

/**
 * Calls the store and waits no longer than `ms`, the wait for the store itself included. `outcome` is what is known of
 * the call's effect if it does not answer; an answer that comes later is ignored, and a call not yet made is not made.
 */
function ask<T>(
  store: Store | Promise<Store>,
  ms: number,
  outcome: 'none' | 'unknown',
  call: (store: Store) => Promise<T>,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let made = false
    let late = false
    const timer = setTimeout(() => {
      late = true
      reject(
        new StoreUnavailableError(
          made
            ? `The session store did not answer within ${ms} ms`
            : `The session store was not there within ${ms} ms`,
          made ? outcome : 'none',
        ),
      )
    }, ms)
    const settle = {
      resolve(value: T) {
        clearTimeout(timer)
        resolve(value)
      },
      reject(error: unknown) {
        clearTimeout(timer)
        reject(error)
      },
    }
    const make = (ready: Store) => {
      if (late) return
      made = true
      call(ready).then(settle.resolve, settle.reject)
    }
    if (store instanceof Promise) store.then(make, settle.reject)
    else make(store)
  })
}
