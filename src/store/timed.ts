import { AsyncResource } from 'node:async_hooks'
import { ConfigurationError, FieldError, StoreUnavailableError } from '../errors.ts'
import { publish, type StoreCall } from '../events.ts'
import type { SessionId } from '../ids.ts'
import type { Path } from '../language/paths.ts'
import { Breaker } from './breaker.ts'
import { IndexWatch } from './indexwatch.ts'
import type { SessionRecord } from './record.ts'
import type { Store } from './store.ts'
import { isTraced, ofCall, traced, tracedEach } from './tracing.ts'

/** A store that says so if it cannot do what not every store can. */
export type TimedStore = Store & Required<Pick<Store, 'find' | 'count' | 'sweep' | 'ensureIndex'>> & Limits

interface Limits {
  /** How long each call may take, milliseconds. */
  readonly timeout: number
  /** Begins anew: what is known of a former store, or that it was closed, says nothing of the present one. */
  renew(): void
  /** Refuses calls to the present store, once `requests` have ended; resolves once those under way have settled. */
  drain(requests?: Promise<void>): Promise<void>
}

type Effect = StoreUnavailableError['outcome']

/**
 * The store as a request sees it: each call waits at most `ms`, the wait for the store itself included, is refused while
 * the store is known to be down, and is traced. `user` is the field that names a session's user.
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

  /** As long as it takes, as building an index may; and asked also of a store that is known to be down. */
  async unhurried<T>(call: (store: Store) => Promise<T>): Promise<T> {
    if (this.#isClosed) return refused('The sessions have been closed')
    return call(await this.#store())
  }

  /** Each record is waited for no longer than the timeout. */
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
      // Not waited for: behind a call that never answers, it would never come.
      Promise.resolve(found?.return?.()).catch(() => {})
    }
  }

  /**
   * Calls the store and waits no longer than the timeout. `effect` is what is known of the call's if it does not answer;
   * an answer that comes later is ignored, and a call not yet made is not made.
   */
  ask<T>(effect: Effect, call: (store: Store) => Promise<T>): Promise<T> {
    const begun = performance.now()
    const breaker = this.#breaker
    const { answers } = breaker
    if (this.#isClosed) return refused('The sessions have been closed')
    if (!breaker.admits(begun)) {
      return refused(`The session store is down; it is asked again every ${breaker.pause} ms`)
    }
    this.#underWay++
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
        if (settle()) reject(error)
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
    // Told in the caller's own async context, though the timer that gives it up is everybody's.
    asked.catch(error => {
      if (error instanceof StoreUnavailableError) {
        publish({ type: 'store error', error })
        breaker.failed(error, begun, answers)
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

/** All are as far off when they are added, so that one timer does for all: that of the first. */
class Deadlines {
  readonly #ms: number
  /** The timer's: it would keep what the async context of one request holds for as long as others are served. */
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

  /** The timer goes on, since the next call most likely comes before it; but for nothing, no process is kept alive. */
  remove(deadline: Deadline): void {
    this.#pending.delete(deadline)
    if (this.#pending.size === 0) this.#timer?.unref()
  }

  /** After a process was held up timers come first, and answers that came meanwhile are read only then. */
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
  publish({ type: 'store error', error })
  return Promise.reject(error)
}
