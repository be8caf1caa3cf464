import { IdTakenError, SessionError, StoreUnavailableError } from '../../errors.ts'
import { ownError } from '../../store/wrapping.ts'
import { isLocked, locked } from './errors.ts'

/** As they are now, since tests put timers of their own in their place, which would never run. */
const { setImmediate, setTimeout } = globalThis

/** One call that writes, with the functions that answer it. */
interface Call {
  /** Within the transaction: reads, decides and writes. */
  readonly perform: () => unknown
  /** Whether it needs no more space. */
  readonly isRemoving: boolean
  /** When the caller's timeout ends, by `performance.now()`. */
  readonly until: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

type Result = { readonly value: unknown } | { readonly error: unknown }

/** Runs `work` in one transaction: all of its writes are committed or, if it throws, none. Throws an error of `isLocked` too. */
export type Transaction = (work: () => void, isRemoving: boolean) => void

/** How long a transaction goes on with more calls, in milliseconds: it keeps other processes, and this one's event loop, waiting. */
const LONGEST = 50

/**
 * The calls of one turn of the event loop, written in one transaction to share its cost, or in a few if they take long. Each call is
 * applied as a whole or not at all, and is answered after the commit.
 *
 * While another process writes, the calls are tried again in later turns. Waiting for SQLite's lock would block the event loop, and
 * SQLite gives the lock to any process that asks, perhaps to the same one each time.
 */
export class Group {
  readonly #transaction: Transaction
  #calls: Call[] = []
  #isScheduled = false

  constructor(transaction: Transaction) {
    this.#transaction = transaction
  }

  get isEmpty(): boolean {
    return this.#calls.length === 0
  }

  run<T>(perform: () => T, timeout: number, isRemoving = false): Promise<T> {
    const until = performance.now() + timeout
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ perform, isRemoving, until, resolve: resolve as Call['resolve'], reject })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#due)
  }

  /** Writes the waiting calls now, before the end of the turn, or as many of them as one transaction takes. */
  flush(): void {
    const calls = this.#calls
    this.#calls = []
    if (calls.length > 0) this.#write(calls)
  }

  #due = (): void => {
    this.#isScheduled = false
    this.flush()
  }

  #write(calls: readonly Call[]): void {
    const results: Result[] = []
    try {
      const isRemoving = calls.every(call => call.isRemoving)
      this.#transaction(() => {
        // Of an attempt before, if there was one.
        results.length = 0
        const end = performance.now() + LONGEST
        for (const call of calls) {
          results.push(resultOf(call))
          if (performance.now() > end) break
        }
      }, isRemoving)
    } catch (error) {
      if (isLocked(error)) this.#retryLater(calls, error)
      // One of the calls failed the transaction. The others must not fail with it, so each gets its own.
      else if (calls.length > 1 && isUndone(error)) for (const call of calls) this.#write([call])
      else for (const { reject } of calls) reject(ownError(error))
      return
    }
    const rest = calls.slice(results.length)
    if (rest.length > 0) {
      this.#calls = [...rest, ...this.#calls]
      this.#schedule()
    }
    for (const [index, result] of results.entries()) {
      const call = calls[index] as Call
      if ('error' in result) call.reject(result.error)
      else call.resolve(result.value)
    }
  }

  #retryLater(calls: readonly Call[], error: unknown): void {
    const now = performance.now()
    for (const call of calls) {
      if (now < call.until) this.#calls.push(call)
      else call.reject(locked(error))
    }
    if (this.#isScheduled || this.isEmpty) return
    this.#isScheduled = true
    setTimeout(this.#due, aPause())
  }
}

/** Milliseconds before a lock is tried again: random, so that waiting processes do not try together. */
export function aPause(): number {
  return 1 + 2 * Math.random()
}

/** Whether the error says that nothing was committed. Otherwise nothing is tried again, since it might be applied twice. */
function isUndone(error: unknown): boolean {
  return error instanceof StoreUnavailableError && error.outcome === 'none'
}

/** What the store itself decides to refuse, it refuses before it writes anything. */
function resultOf({ perform }: Call): Result {
  try {
    return { value: perform() }
  } catch (error) {
    if (error instanceof SessionError || error instanceof IdTakenError) return { error }
    throw error
  }
}
