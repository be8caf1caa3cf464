import { setTimeout as pauseFor } from 'node:timers/promises'
import { timerMilliseconds } from '../duration.ts'
import { FieldError, LeaseLostError, StoreUnavailableError } from '../errors.ts'
import { callOptions, refuseIgnored } from '../language/calloptions.ts'
import type { Change, Guard, Operation } from '../language/change.ts'
import { valueAt } from '../language/excerpt.ts'
import { describe, type Path, pathOf, quote } from '../language/paths.ts'
import { copied, type Fields, isPromise, literal } from '../language/values.ts'
import { Followers, runFor } from './followers.ts'
import { endOfLease, leaseName, newLease } from './leases.ts'
import type { OnceOptions } from './types.ts'
import type { Visit } from './visit.ts'

/** The checked arguments of `once`. */
interface Asked {
  readonly path: Path
  readonly produce: (current: unknown, context: { readonly signal: AbortSignal }) => unknown
  /** Whether a stored value is fresh. */
  readonly unless: (value: unknown) => unknown
  /** How long `produce` may take, and how long a caller waits, in milliseconds. */
  readonly lease: number
  readonly wait: number
}

/** Milliseconds between two reads of a lease that another process holds. The pause grows, so that many waiting calls read rarely. */
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 400

const names = ['unless', 'lease', 'wait'] satisfies (keyof OnceOptions<unknown>)[]

/** One of all requests and processes runs `produce` and stores its result; the others get the stored result. */
export function once(visit: Visit, args: readonly unknown[]): Promise<unknown> {
  refuseIgnored('once', args, 2, 3)
  return producedOnce(visit, args)
}

async function producedOnce(visit: Visit, args: readonly unknown[]): Promise<unknown> {
  const asked = askedOf(args)
  const until = performance.now() + asked.wait
  do {
    if (visit.isPictured) {
      const value = valueAt(await visit.excerpt([asked.path]), asked.path)
      if (isGood(asked, value)) return copied(value)
    }
    const running = runFor(visit, asked.path)
    if (!running) return copied(await new Run(visit, asked, until).value())
    const result = await atMost(until, running)
    if (result === 'unknown') continue
    if ('error' in result) throw result.error
    // Its picture is from before the value that another request stored. If that cannot be read now, the next use reads it.
    if (visit.isPictured) await visit.load(true).catch(() => {})
    return copied(result.value)
  } while (performance.now() < until)
  throw tooLong(asked.path, 'none')
}

function askedOf([path, produce, options]: readonly unknown[]): Asked {
  const checked = pathOf(path)
  if (typeof produce !== 'function') {
    throw new FieldError(`once() takes a function that gives the value, not ${describe(produce)}`, checked)
  }
  const { unless = isThere, lease = '10s', wait = lease } = callOptions('once', options, names)
  if (typeof unless !== 'function') {
    throw new FieldError(
      `once({ unless }) takes a function of the stored value, not ${describe(unless)}`,
      checked,
    )
  }
  return {
    path: checked,
    produce: produce as Asked['produce'],
    unless: unless as Asked['unless'],
    lease: timerMilliseconds('lease', lease as string),
    wait: timerMilliseconds('wait', wait as string),
  }
}

function isThere(): boolean {
  return true
}

function isGood({ unless, path }: Asked, value: unknown): boolean {
  if (value === undefined) return false
  const answer = unless(copied(value))
  // A promise would always be true.
  if (isPromise(answer)) throw new FieldError('once({ unless }) must give true or false, not a promise', path)
  return Boolean(answer)
}

function tooLong(path: Path, outcome: StoreUnavailableError['outcome']): StoreUnavailableError {
  return new StoreUnavailableError(`${quote(path)} is still being produced`, outcome)
}

/** Waits for the promise until then; `'unknown'` if it takes longer. */
async function atMost<T>(until: number, promise: Promise<T>): Promise<T | 'unknown'> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<'unknown'>(resolve => {
    timer = setTimeout(resolve, Math.max(0, until - performance.now()), 'unknown')
  })
  return Promise.race([promise, over]).finally(() => clearTimeout(timer))
}

/** What one step of the store has read. */
interface Seen {
  readonly value: unknown
  readonly isFresh: boolean
  readonly lease: unknown
}

/** One caller's run, whose result is shared with its followers. */
class Run {
  readonly #visit: Visit
  readonly #asked: Asked
  readonly #until: number
  readonly #followers: Followers
  /** The field that holds the lease. */
  readonly #name: string
  #isTooLong = false

  constructor(visit: Visit, asked: Asked, until: number) {
    this.#visit = visit
    this.#asked = asked
    this.#until = until
    this.#followers = new Followers(visit, asked.path)
    this.#name = leaseName(asked.path)
  }

  async value(): Promise<unknown> {
    try {
      return await this.#value()
    } catch (error) {
      // This caller's `wait` is over, but the others' may be longer.
      this.#followers.last()(this.#isTooLong ? 'unknown' : { error })
      throw error
    } finally {
      this.#followers.last()('unknown')
    }
  }

  /** A fresh value from the store, or one that is produced under the lease. */
  async #value(): Promise<unknown> {
    const { path } = this.#asked
    for (let pause = FIRST_PAUSE, again = false; ; again = true) {
      const found = await this.#step(() => this.#visit.excerpt([path, this.#name], again))
      if (!found || found.isFresh) return found?.value
      // No other request has a session that is not stored yet.
      if (this.#visit.isNew) return this.#produced(found.value)
      const left = endOfLease(found.lease) - Date.now()
      if (left > 0) {
        await this.#pause(Math.min(pause * (1 - Math.random() / 2), left + 1))
        pause = Math.min(pause * 2, LONGEST_PAUSE)
        continue
      }
      const lease = newLease(Date.now() + this.#asked.lease)
      const taken = await this.#step(() => this.#take(found.lease, lease))
      if (!taken) continue
      if (!taken.isFresh) return this.#underLease(taken.value, lease)
      await this.#giveBack(lease)
      return taken.value
    }
  }

  /** One step of the store. If its value is fresh, all followers get it. */
  async #step(ask: () => Promise<Fields | null>): Promise<Seen | undefined> {
    const tell = this.#followers.next()
    let seen: Seen | undefined
    try {
      const fields = await ask()
      const value = fields ? valueAt(fields, this.#asked.path) : undefined
      const isFresh = isGood(this.#asked, value)
      seen = fields ? { value, isFresh, lease: fields[this.#name] } : undefined
    } finally {
      tell(seen?.isFresh ? { value: seen.value } : 'unknown')
    }
    return seen
  }

  async #pause(ms: number): Promise<void> {
    const patience = this.#until - performance.now()
    if (patience <= 0) throw this.#tooLong('none')
    await pauseFor(Math.min(ms, patience))
  }

  /** Takes the lease, unless another request was quicker. Resolves to the field's value in that step. */
  #take(seen: unknown, lease: string): Promise<Fields | null> {
    const free: Guard =
      seen === undefined ? { path: this.#name, comparator: 'exists', arg: false } : this.#isHeldBy(seen)
    const operations: Operation[] = [{ op: '$set', path: this.#name, arg: lease }]
    return this.#visit.change({ guards: [free], operations }, [this.#asked.path])
  }

  #isHeldBy(lease: unknown): Guard {
    return { path: this.#name, comparator: '=', arg: lease }
  }

  async #underLease(current: unknown, lease: string): Promise<unknown> {
    this.#visit.leases.add(lease)
    // When the lease ends, another request may take it: then the followers read the field themselves.
    const end = setTimeout(() => this.#followers.last()('unknown'), endOfLease(lease) - Date.now()).unref()
    const produced = this.#produced(current, lease).finally(() => {
      clearTimeout(end)
      this.#visit.leases.delete(lease)
    })
    const result = await atMost(
      this.#until,
      produced.then(value => ({ value })),
    )
    // What is produced now may be stored later.
    if (result === 'unknown') throw this.#tooLong('unknown')
    return result.value
  }

  /** Calls `produce` and stores its result. */
  async #produced(current: unknown, lease?: string): Promise<unknown> {
    const { path, produce, lease: ms } = this.#asked
    const left = lease === undefined ? ms : Math.max(0, endOfLease(lease) - Date.now())
    try {
      const value = literal(await produce(copied(current), { signal: AbortSignal.timeout(left) }), path)
      const tell = this.#followers.last()
      const fields = await this.#visit.change(this.#storing(value, lease), [path])
      if (fields) {
        const stored = valueAt(fields, path)
        tell({ value: stored })
        return stored
      }
    } catch (error) {
      if (lease && !(error instanceof StoreUnavailableError)) await this.#giveBack(lease)
      throw error
    }
    const fields = await this.#visit.excerpt([path], true)
    throw new LeaseLostError(path, copied(valueAt(fields, path)))
  }

  /** The result takes the lease's place in one step. */
  #storing(value: unknown, lease: string | undefined): Change {
    const set: Operation = { op: '$set', path: this.#asked.path, arg: value }
    if (lease === undefined) return { guards: [], operations: [set] }
    return { guards: [this.#isHeldBy(lease)], operations: [set, { op: '$unset', path: this.#name }] }
  }

  /** Best effort: a lease ends by itself. */
  async #giveBack(lease: string): Promise<void> {
    const operations: Operation[] = [{ op: '$unset', path: this.#name }]
    await this.#visit.change({ guards: [this.#isHeldBy(lease)], operations }, []).catch(() => {})
  }

  #tooLong(outcome: StoreUnavailableError['outcome']): StoreUnavailableError {
    this.#isTooLong = true
    return tooLong(this.#asked.path, outcome)
  }
}
