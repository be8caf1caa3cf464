import { AsyncResource } from 'node:async_hooks'
import { ConfigurationError, FieldError, StoreUnavailableError } from '../errors.ts'
import { publish, type StoreCall } from '../events.ts'
import type { SessionId } from '../ids.ts'
import type { Path } from '../language/paths.ts'
import { isReporting } from '../reports.ts'
import { Breaker } from './breaker.ts'
import { IndexWatch } from './indexwatch.ts'
import type { SessionRecord } from './record.ts'
import type { Store } from './store.ts'
import { isTraced, ofCall, traced, tracedEach } from './tracing.ts'

/** As it is now, since tests put their own in its place. */
const { setImmediate } = globalThis

/** A store with the optional methods too: they throw, or do nothing, if the store behind does not have them. */
export type TimedStore = Store & Required<Pick<Store, 'find' | 'count' | 'sweep' | 'ensureIndex'>> & Limits

interface Limits {
  /** How long each call may take, milliseconds. */
  readonly timeout: number
  /** Resets all state, for a new store: failures or the closing of the old one do not concern it. */
  renew(): void
  /** Refuses calls to the current store once `requests` has resolved. Resolves once the running calls have settled. */
  drain(requests?: Promise<void>): Promise<void>
}

type Effect = StoreUnavailableError['outcome']

/**
 * The store as a request sees it. Each call waits at most `ms` milliseconds, connecting included, is refused while the circuit
 * breaker is open, and is traced. `user` is the field that holds a session's user.
 */
export function timed(store: () => Store | Promise<Store>, ms: number, user?: Path): TimedStore {
  let line = new Line(store, ms)
  let watch = new IndexWatch(user)
  const call = <T>(
    effect: Effect,
    method: StoreCall['method'],
    id: SessionId | undefined,
    make: (store: Store) => Promise<T>,
    operations: readonly { readonly op: string }[] = [],
  ): Promise<T> => {
    if (!isTraced()) return line.ask(effect, make)
    const context = callOf(method, id, operations)
    return traced(context, () => line.ask(effect, ready => ofCall(context, () => make(ready))))
  }
  return {
    timeout: ms,
    renew() {
      line = new Line(store, ms)
      watch = new IndexWatch(user)
    },
    async drain(requests) {
      const present = line
      if (requests) await requests
      await present.drain()
    },
    insert: record =>
      call('unknown', 'insert', record.id, async ready => {
        await ready.insert(record)
        watch.inserted(ready)
      }),
    load: id => call('none', 'load', id, ready => ready.load(id)),
    read: (id, paths) => call('none', 'read', id, ready => ready.read(id, paths)),
    update: (id, change, answer) =>
      call('unknown', 'update', id, ready => ready.update(id, change, answer), change.operations),
    end: (id, tombstone, until, rev) =>
      call('unknown', 'end', id, ready => ready.end(id, tombstone, until, rev)),
    delete: id => call('unknown', 'delete', id, ready => ready.delete(id)),
    find(path, value) {
      const records = line.each(ready => {
        if (!ready.find) throw new ConfigurationError('This store cannot find sessions by user')
        return ready.find(path, value)
      })
      return isTraced() ? tracedEach(callOf('find'), records) : records
    },
    count: () =>
      call('none', 'count', undefined, ready => {
        if (!ready.count) throw new ConfigurationError('This store cannot count sessions')
        return ready.count()
      }),
    sweep() {
      const answer = () => line.unhurried(async ready => (await ready.sweep?.()) ?? 0)
      return isTraced() ? traced(callOf('sweep'), answer) : answer()
    },
    ensureIndex(path) {
      watch.stop()
      const answer = () => line.unhurried(async ready => ready.ensureIndex?.(path))
      return isTraced() ? traced(callOf('ensureIndex'), answer) : answer()
    },
  }
}

function callOf(
  method: StoreCall['method'],
  id?: SessionId,
  operations: readonly { readonly op: string }[] = [],
): StoreCall {
  return { method, ...(id !== undefined && { id }), operators: operations.map(({ op }) => op) }
}

/** One process's calls to one store. */
class Line {
  readonly #store: () => Store | Promise<Store>
  readonly #ms: number
  readonly #deadlines: Deadlines
  readonly #breaker: Breaker
  #isClosed = false
  #underWay = 0
  #waiting: (() => void)[] = []

  constructor(store: () => Store | Promise<Store>, ms: number) {
    this.#store = store
    this.#ms = ms
    this.#deadlines = new Deadlines(ms)
    this.#breaker = new Breaker(ms)
  }

  async drain(): Promise<void> {
    this.#isClosed = true
    while (this.#underWay > 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  /** Calls the store without a timeout, since building an index may take long, and even if the breaker is open. */
  async unhurried<T>(call: (store: Store) => Promise<T>): Promise<T> {
    if (this.#isClosed) return refused('The sessions have been closed')
    return call(await this.#store())
  }

  /** The timeout is for each record. */
  async *each(find: (store: Store) => AsyncIterable<SessionRecord>): AsyncGenerator<SessionRecord> {
    let found: AsyncIterator<SessionRecord> | undefined
    const next = (ready: Store) => {
      found ??= find(ready)[Symbol.asyncIterator]()
      return found.next()
    }
    try {
      for (;;) {
        const { done, value } = await this.ask('none', next)
        if (done) return
        yield value
      }
    } finally {
      // Not awaited: it would wait forever behind a call that is never answered.
      Promise.resolve(found?.return?.()).catch(() => {})
    }
  }

  /**
   * Calls the store and waits for at most the timeout. `effect` is the error's `outcome` if the call times out. A later answer is
   * ignored. If the store is connected only after the timeout, the call is not made.
   */
  ask<T>(effect: Effect, call: (store: Store) => Promise<T>): Promise<T> {
    const begun = performance.now()
    const breaker = this.#breaker
    const { answers } = breaker
    const isFromListener = isReporting()
    if (this.#isClosed) return refused('The sessions have been closed')
    if (!breaker.admits(begun)) {
      return refused(`The session store is down; it is asked again every ${breaker.pause} ms`)
    }
    this.#underWay++
    let ended = begun
    const asked = new Promise<T>((resolve, reject) => {
      let made = false
      let settled = false
      const settle = (): boolean => {
        if (settled) return false
        settled = true
        this.#deadlines.remove(deadline)
        if (--this.#underWay === 0) for (const resume of this.#waiting.splice(0)) resume()
        return true
      }
      const succeed = (value: T) => {
        if (!settle()) return
        breaker.answered()
        resolve(value)
      }
      const fail = (error: unknown) => {
        if (!settle()) return
        ended = performance.now()
        // A caller may call again at once, and for ever. The event loop must turn meanwhile.
        if (error instanceof StoreUnavailableError) setImmediate(reject, error)
        else reject(error)
      }
      const expire = () => {
        const where = made ? 'did not answer' : 'was not there'
        const message = `The session store ${where} within ${this.#ms} ms`
        fail(new StoreUnavailableError(message, made ? effect : 'none'))
      }
      const deadline = { at: begun + this.#ms, expire }
      this.#deadlines.add(deadline)
      const make = (ready: Store) => {
        if (settled) return
        made = true
        try {
          call(ready).then(succeed, fail)
        } catch (error) {
          fail(error)
        }
      }
      const store = this.#store()
      if (store instanceof Promise) store.then(make, fail)
      else make(store)
    })
    // Published in the caller's async context, although the timer is shared by all calls.
    asked.catch(error => {
      if (error instanceof StoreUnavailableError) {
        if (!isFromListener) publish({ type: 'store error', error })
        breaker.failed(error, ended, begun, answers)
      } else if (error instanceof ConfigurationError || error instanceof FieldError) {
        breaker.unanswered(begun)
      } else {
        breaker.answered()
      }
    })
    return asked
  }
}

interface Deadline {
  readonly at: number
  readonly expire: () => void
}

/** All deadlines have the same length, so that they end in the order in which they were added, and one timer is enough. */
class Deadlines {
  readonly #ms: number
  /** The async context of the timer: it must not keep one request's context in memory. */
  readonly #context = new AsyncResource('koa-atomic-session:deadlines')
  readonly #pending = new Set<Deadline>()
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
  }

  add(deadline: Deadline): void {
    this.#pending.add(deadline)
    if (!this.#timer) this.#timer = this.#context.runInAsyncScope(setTimeout, undefined, this.#due, this.#ms)
    else if (this.#pending.size === 1) this.#timer.ref()
  }

  /** The timer keeps running, since the next call most likely comes before it ends; but it does not keep the process alive. */
  remove(deadline: Deadline): void {
    this.#pending.delete(deadline)
    if (this.#pending.size === 0) this.#timer?.unref()
  }

  /** After the event loop was blocked, timers run before I/O. So answers that have arrived are read first. */
  #due = (): void => {
    setImmediate(this.#expire)
  }

  #expire = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (const deadline of this.#pending) {
      if (deadline.at > now) {
        this.#timer ??= setTimeout(this.#due, Math.ceil(deadline.at - now))
        return
      }
      deadline.expire()
    }
  }
}

function refused(message: string): Promise<never> {
  const error = new StoreUnavailableError(message, 'none')
  const isFromListener = isReporting()
  return new Promise((_, reject) => {
    // A turn later, as for a call that failed.
    setImmediate(() => {
      if (!isFromListener) publish({ type: 'store error', error })
      reject(error)
    })
  })
}
