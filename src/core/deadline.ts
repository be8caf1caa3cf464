import { ConfigurationError, StoreUnavailableError } from './errors.ts'
import { type StoreCall, tell } from './events.ts'
import type { Store } from './store.ts'
import { isTraced, traced } from './tracing.ts'

/** A store that says so if it cannot find. */
export type TimedStore = Store & Required<Pick<Store, 'find'>>

/** The store as a request sees it: each call waits at most `ms`, the wait for the store itself included, and is traced. */
export function timed(store: () => Store | Promise<Store>, ms: number): TimedStore {
  const call = <T>(
    outcome: 'none' | 'unknown',
    method: StoreCall['method'],
    id: string,
    make: (store: Store) => Promise<T>,
    operations: readonly { readonly op: string }[] = [],
  ): Promise<T> => {
    const answer = () => ask(store(), ms, outcome, make)
    return isTraced() ? traced({ method, id, operators: operations.map(({ op }) => op) }, answer) : answer()
  }
  return {
    insert: record => call('unknown', 'insert', record.id, ready => ready.insert(record)),
    load: id => call('none', 'load', id, ready => ready.load(id)),
    read: (id, paths) => call('none', 'read', id, ready => ready.read(id, paths)),
    update: (id, change, answer) =>
      call('unknown', 'update', id, ready => ready.update(id, change, answer), change.operations),
    end: (id, tombstone, until, rev) =>
      call('unknown', 'end', id, ready => ready.end(id, tombstone, until, rev)),
    delete: id => call('unknown', 'delete', id, ready => ready.delete(id)),
    async *find(path, value) {
      const found = await ask(store(), ms, 'none', async ready => {
        if (!ready.find) throw new ConfigurationError('This store cannot find sessions by user')
        return ready.find(path, value)[Symbol.asyncIterator]()
      })
      try {
        for (;;) {
          const next = await ask(store(), ms, 'none', () => found.next())
          if (next.done) return
          yield next.value
        }
      } finally {
        // Not waited for: behind a call that never answers, it would never come.
        Promise.resolve(found.return?.()).catch(() => {})
      }
    },
  }
}

/**
 * Calls the store and waits no longer than `ms`. `outcome` is what is known of the call's effect if it does not answer; an
 * answer that comes later is ignored, and a call not yet made is not made.
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
      const where = made ? 'did not answer' : 'was not there'
      const message = `The session store ${where} within ${ms} ms`
      fail(new StoreUnavailableError(message, made ? outcome : 'none'))
    }, ms)
    const succeed = (value: T) => {
      clearTimeout(timer)
      resolve(value)
    }
    const fail = (error: unknown) => {
      clearTimeout(timer)
      if (error instanceof StoreUnavailableError) tell({ type: 'store error', error })
      reject(error)
    }
    const make = (ready: Store) => {
      if (late) return
      made = true
      try {
        call(ready).then(succeed, fail)
      } catch (error) {
        fail(error)
      }
    }
    if (store instanceof Promise) store.then(make, fail)
    else make(store)
  })
}
