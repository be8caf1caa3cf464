import { StoreUnavailableError } from './errors.ts'
import type { Store } from './store.ts'

/**
 * Calls the store and waits no longer than `ms`, the wait for the store itself included. `outcome` is what is known of
 * the call's effect if it does not answer; an answer that comes later is ignored, and a call not yet made is not made.
 */
export function ask<T>(
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
