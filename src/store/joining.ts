import type { AsyncResource } from 'node:async_hooks'
import { ConfigurationError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import type { Change } from '../language/change.ts'
import { ownText, type Path } from '../language/paths.ts'
import type { SessionRecord, Tombstone } from './record.ts'
import type { Answer, Excerpt, Outcome, Store } from './store.ts'
import { callerContext, ownError, passingOn } from './wrapping.ts'

/**
 * A store that can do several reads in one round trip, for `joined`.
 *
 * Each of the calls has its own result, exactly the one that it would have alone: if one fails, the others are not affected. No two
 * of them concern the same session.
 */
export interface JoinableReads extends Store {
  /** `load` of each, in their order. */
  loadMany(ids: readonly SessionId[]): Promise<readonly PromiseSettledResult<Loaded>[]>

  /** `read` of the same paths of each, in their order. */
  readMany(ids: readonly SessionId[], paths: readonly Path[]): Promise<readonly PromiseSettledResult<Read>[]>
}

/** A store that can do several changes in one round trip too. */
export interface JoinableStore extends JoinableReads {
  /** `update` of each, in their order. It is called only with updates that `isJoinable` allows. */
  updateMany(updates: readonly Update[]): Promise<readonly PromiseSettledResult<Outcome>[]>

  /** Whether `updateMany` can tell the outcome of this update. */
  isJoinable(update: Update): boolean
}

export type Loaded = SessionRecord | Tombstone | undefined

export type Read = Excerpt | Tombstone | undefined

export interface Update {
  readonly id: SessionId
  readonly change: Change
  readonly answer: Answer | undefined
}

/** How many calls of a kind may run before others wait. */
const MAX_UNDER_WAY = 2

/** How many lists of paths are remembered. Most are in the app's code and are few, but a visitor's input may be part of a path. */
const MAX_LISTS = 100

/** Characters. A longer list is not remembered, and its reads are not joined. */
const MAX_LIST_LENGTH = 2000

/** The most calls in one round trip: few enough that the last does not wait long. */
const MAX_TOGETHER = 64

/** How long a call waits at most, in milliseconds: little compared to a distant database, and short behind a call that hangs. */
const PATIENCE = 1

/**
 * The store, with calls of concurrent requests joined. A call is sent at once, unless two others of its kind are running. Calls that
 * come meanwhile are sent together when one of those is answered. So the busier the store, the more calls are joined. Every call is
 * sent after it was made, so it sees all changes acknowledged before.
 */
export function joined(store: JoinableReads | JoinableStore): Store & AsyncDisposable {
  const loads = new Joiner(
    (id: SessionId) => store.load(id),
    ids => store.loadMany(ids),
    id => id,
  )
  const reads = new Map<string, Joiner<SessionId, Read>>()
  const readsOf = (list: string, paths: readonly Path[]) => {
    const known = reads.get(list)
    if (known) return known
    if (reads.size === MAX_LISTS) reads.clear()
    const own = paths.map(ownText)
    const joiner = new Joiner(
      (id: SessionId) => store.read(id, own),
      ids => store.readMany(ids, own),
      id => id,
    )
    reads.set(ownText(list), joiner)
    return joiner
  }
  return {
    ...passingOn(store),
    load: id => loads.call(id),
    read(id, paths) {
      // No path holds a NUL.
      const list = paths.join('\0')
      return list.length > MAX_LIST_LENGTH ? store.read(id, paths) : readsOf(list, paths).call(id)
    },
    ...('updateMany' in store && { update: joinedUpdate(store) }),
  }
}

function joinedUpdate(store: JoinableStore): Store['update'] {
  const updates = new Joiner(
    ({ id, change, answer }: Update) => store.update(id, change, answer),
    together => store.updateMany(together),
    ({ id }) => id,
  )
  return (id, change, answer) => {
    const update = { id, change, answer }
    return store.isJoinable(update) ? updates.call(update) : store.update(id, change, answer)
  }
}

interface Waiting<Call, Result> {
  readonly call: Call
  /** The caller's async context: another request or a timer may send the call. */
  readonly context: AsyncResource
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** Calls of one kind. */
class Joiner<Call, Result> {
  readonly #alone: (call: Call) => Promise<Result>
  readonly #together: (calls: readonly Call[]) => Promise<readonly PromiseSettledResult<Result>[]>
  readonly #idOf: (call: Call) => SessionId
  /** By session, which take turns: many calls for one session do not delay those for others. */
  readonly #waiting = new Map<SessionId, Waiting<Call, Result>[]>()
  #underWay = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    alone: (call: Call) => Promise<Result>,
    together: (calls: readonly Call[]) => Promise<readonly PromiseSettledResult<Result>[]>,
    idOf: (call: Call) => SessionId,
  ) {
    this.#alone = alone
    this.#together = together
    this.#idOf = idOf
  }

  call(call: Call): Promise<Result> {
    if (this.#underWay < MAX_UNDER_WAY) return this.#tracked(() => this.#alone(call))
    return new Promise((resolve, reject) => {
      const id = this.#idOf(call)
      const context = callerContext('koa-atomic-session:call')
      const one = { call, context, resolve, reject }
      const others = this.#waiting.get(id)
      if (others) others.push(one)
      else this.#waiting.set(id, [one])
      this.#timer ??= setTimeout(this.#sendAll, PATIENCE)
    })
  }

  #tracked<T>(send: () => Promise<T>): Promise<T> {
    this.#underWay++
    const sent = begun(send)
    sent.then(this.#answered, this.#answered)
    return sent
  }

  #answered = (): void => {
    this.#underWay--
    while (this.#waiting.size > 0 && this.#underWay < MAX_UNDER_WAY) this.#send(this.#next())
  }

  #sendAll = (): void => {
    while (this.#waiting.size > 0) this.#send(this.#next())
  }

  #send(next: readonly Waiting<Call, Result>[]): void {
    if (this.#waiting.size === 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
    }
    const [first] = next
    // One command can have one context only: that of its first call.
    first?.context.runInAsyncScope(this.#sendIn, this, first, next)
  }

  #sendIn(first: Waiting<Call, Result>, next: readonly Waiting<Call, Result>[]): void {
    if (next.length === 1) {
      this.#tracked(() => this.#alone(first.call)).then(first.resolve, first.reject)
      return
    }
    this.#tracked(() => this.#together(next.map(({ call }) => call))).then(
      results => {
        // If one is missing, it is unknown which call each of the others belongs to.
        const areAll = results?.length === next.length
        for (const [index, one] of next.entries()) settle(one, areAll ? results[index] : undefined)
      },
      error => {
        for (const { reject } of next) reject(ownError(error))
      },
    )
  }

  /** Takes one call of each session. A session with more calls goes to the end of the queue. */
  #next(): Waiting<Call, Result>[] {
    const next: Waiting<Call, Result>[] = []
    const again: [SessionId, Waiting<Call, Result>[]][] = []
    for (const [id, calls] of this.#waiting) {
      if (next.length === MAX_TOGETHER) break
      next.push(calls.shift() as Waiting<Call, Result>)
      this.#waiting.delete(id)
      if (calls.length > 0) again.push([id, calls])
    }
    for (const [id, calls] of again) this.#waiting.set(id, calls)
    return next
  }
}

/** Turns an exception into a rejection: a user's own store may throw, and inside a timer nobody would catch that. */
async function begun<T>(send: () => Promise<T>): Promise<T> {
  return await send()
}

function settle<Result>(
  { resolve, reject }: Waiting<unknown, Result>,
  result: PromiseSettledResult<Result> | undefined,
): void {
  if (!result) reject(new ConfigurationError('A store that joins calls must give one result for each'))
  else if (result.status === 'fulfilled') resolve(result.value)
  else reject(result.reason)
}
