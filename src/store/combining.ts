import { AsyncResource } from 'node:async_hooks'
import { ConfigurationError, StoreUnavailableError } from '../errors.ts'
import type { StoreCall } from '../events.ts'
import type { SessionId } from '../ids.ts'
import type { Update } from './joining.ts'
import type { Outcome, Store } from './store.ts'
import { tracedCall } from './tracing.ts'
import { callerContext, ownError, passingOn } from './wrapping.ts'

/**
 * A store that can apply several changes of one session in one step, for `combined`. `Told` is the type of a hint about the session
 * that one step gives to the next.
 */
export interface CombinableStore<Told = unknown> extends Store {
  /**
   * Applies these changes of one session (at least one), in their order and in one step, or in a few if they take long. Each has its own outcome: exactly the one
   * of `update`, called after the changes before it. If the promise rejects, every change has failed with that error.
   */
  updateTogether(id: SessionId, updates: readonly Update[], hints: Hints<Told>): Promise<Together<Told>>
}

export interface Hints<Told> {
  /**
   * The hint of the step before. It may be out of date, since other processes write too. So a store must not apply, refuse or
   * answer by it, unless it compares it with the stored session, in the same step or later.
   */
  readonly told?: Told
  /** When the first caller's timeout ends, by `performance.now()`. After it the store starts no new attempt. */
  readonly until: number
}

export interface Together<Told> {
  /** The result of each change, in their order. */
  readonly results: readonly PromiseSettledResult<Outcome>[]
  readonly told?: Told
}

/** The most changes in one step: they are computed in one turn of the event loop, which blocks other requests. */
const MAX_CHANGES = 100

/** The most paths of all changes in one step, unless a single change has more. */
const MAX_TOGETHER_PATHS = 1000

/** Milliseconds, until `useTimeout` is called: the default of the option `timeout`. */
const DEFAULT_TIMEOUT = 5000

/**
 * The store, with concurrent changes of one session combined. A change is sent at once, unless this process is already changing the
 * same session. Changes that come meanwhile are sent together, as one step, when that one is answered. So in a store that compares
 * and sets, the changes of one process never conflict with each other.
 */
export function combined<Told>(store: CombinableStore<Told>): Store & AsyncDisposable {
  const combiner = new Combiner(store)
  return {
    ...passingOn(store),
    update: (id, change, answer) => combiner.update({ id, change, answer }),
    useTimeout(ms) {
      combiner.timeout = ms
      store.useTimeout?.(ms)
    },
  }
}

interface Waiting {
  readonly update: Update
  readonly since: number
  readonly call: StoreCall | undefined
  /** The caller's async context: the change is sent when another request's change is answered. */
  readonly context: AsyncResource
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
}

/** The changes of one session. It exists while a step is running. */
interface Line {
  waiting: Waiting[]
  /** The number of the running step. A step that has taken too long is no longer waited for. */
  step: number
  /** When it was sent, by `performance.now()`. */
  begun: number
  timer: NodeJS.Timeout | undefined
}

class Combiner<Told> {
  timeout = DEFAULT_TIMEOUT
  readonly #store: CombinableStore<Told>
  readonly #lines = new Map<SessionId, Line>()
  /** The async context of the timers: they must not keep one request's context in memory. */
  readonly #context = new AsyncResource('koa-atomic-session:combining')

  constructor(store: CombinableStore<Told>) {
    this.#store = store
  }

  update(update: Update): Promise<Outcome> {
    const line = this.#lines.get(update.id)
    if (!line) return this.#alone(update)
    return new Promise((resolve, reject) => {
      line.waiting.push({
        update,
        since: performance.now(),
        call: tracedCall(),
        context: callerContext('koa-atomic-session:change'),
        resolve,
        reject,
      })
      if (performance.now() - line.begun > this.timeout / 2) this.#overtake(line)
      else this.#watch(line)
    })
  }

  #watch(line: Line): void {
    line.timer ??= this.#context.runInAsyncScope(
      setTimeout,
      undefined,
      this.#overtake,
      this.timeout / 2,
      line,
    )
  }

  async #alone(update: Update): Promise<Outcome> {
    const begun = performance.now()
    const line: Line = { waiting: [], step: 0, begun, timer: undefined }
    this.#lines.set(update.id, line)
    let told: Told | undefined
    try {
      const until = begun + this.timeout
      const together = await this.#store.updateTogether(update.id, [update], { until })
      const [result] = checked(together, 1)
      told = together.told
      if (result?.status === 'fulfilled') return result.value
      throw result?.reason
    } finally {
      this.#answered(update.id, line, 0, told)
    }
  }

  /** A step is over: the next one goes out. */
  #answered(id: SessionId, line: Line, step: number, told: Told | undefined): void {
    // If a later step was sent meanwhile, this one is no longer waited for.
    if (line.step === step) this.#next(id, line, told)
  }

  #next(id: SessionId, line: Line, told: Told | undefined): void {
    line.step++
    clearTimeout(line.timer)
    line.timer = undefined
    const together = this.#taken(line)
    const [first] = together
    if (!first) {
      this.#lines.delete(id)
      return
    }
    line.begun = performance.now()
    if (line.waiting.length > 0) this.#watch(line)
    // One step can have one context only: that of its first change.
    first.context.runInAsyncScope(this.#send, this, id, line, together, told)
  }

  /** A step hangs, for example on a lost connection. The changes that wait still have half of their timeout. */
  #overtake = (line: Line): void => {
    const [first] = line.waiting
    if (first) this.#next(first.update.id, line, undefined)
  }

  /** Takes the changes for the next step. Rejects those whose timeout has ended. */
  #taken(line: Line): Waiting[] {
    const late = performance.now() - this.timeout
    const together: Waiting[] = []
    let paths = 0
    let taken = 0
    for (const one of line.waiting) {
      if (together.length === MAX_CHANGES) break
      if (one.since <= late) {
        one.reject(new StoreUnavailableError('The changes before this one took too long', 'none'))
        taken++
        continue
      }
      paths += pathsIn(one.update)
      if (together.length > 0 && paths > MAX_TOGETHER_PATHS) break
      together.push(one)
      taken++
      // This change may move `expires` into the past. Whether the session still exists for the next change, the store must decide.
      if (one.update.change.maxAge !== undefined) break
    }
    line.waiting = line.waiting.slice(taken)
    return together
  }

  async #send(
    id: SessionId,
    line: Line,
    together: readonly Waiting[],
    hint: Told | undefined,
  ): Promise<void> {
    const { step } = line
    let told: Told | undefined
    for (const { call } of together) if (call) call.changes = together.length
    try {
      const answer = await this.#store.updateTogether(
        id,
        together.map(({ update }) => update),
        { until: (together[0]?.since ?? 0) + this.timeout, ...(hint !== undefined && { told: hint }) },
      )
      const results = checked(answer, together.length)
      told = answer.told
      for (const [index, { resolve, reject }] of together.entries()) {
        const result = results[index]
        if (result?.status === 'fulfilled') resolve(result.value)
        else reject(result?.reason)
      }
    } catch (error) {
      for (const { reject } of together) reject(ownError(error))
    } finally {
      this.#answered(id, line, step, told)
    }
  }
}

function pathsIn({ change, answer }: Update): number {
  return change.guards.length + change.operations.length + (answer?.paths.length ?? 0)
}

/** If one is missing, it is unknown which change each of the others belongs to. */
function checked<Told>({ results }: Together<Told>, count: number): readonly PromiseSettledResult<Outcome>[] {
  if (results?.length === count) return results
  throw new ConfigurationError('A store that combines changes must give one result for each')
}
