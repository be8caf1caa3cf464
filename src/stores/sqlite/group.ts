import { IdTakenError, SessionError, StoreUnavailableError } from '../../errors.ts'
import { isLocked, locked } from './errors.ts'

/** One call that writes, and what is to be told of it. */
interface Call {
  /** Within the transaction: reads, decides and writes. */
  readonly perform: () => unknown
  /** Whether it takes up no more room than there was. */
  readonly isRemoving: boolean
  /** By the clock of `performance`: when nobody waits for it any longer. */
  readonly until: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

type Result = { readonly value: unknown } | { readonly error: unknown }

/** Runs `work` in one transaction: all that it writes is kept, or, when it throws, none. Throws what `isLocked` tells of. */
export type Transaction = (work: () => void, isRemoving: boolean) => void

/** Since a lock was met, milliseconds: for so long others are taken to be writing as well. */
const CONTENDED = 50

/**
 * The calls of one turn of the event loop, written in one transaction, which they share the cost of. Each is applied whole or
 * not at all, and is answered when what it wrote is kept.
 *
 * While another process writes, they are tried again in later turns. Waiting for the lock itself would hold up all else that
 * this process does, and SQLite gives it to whoever asks by chance, which may be the same process each time. So a process that has
 * met a lock lately leaves others a moment between its transactions: more calls go into the next.
 */
export class Group {
  readonly #transaction: Transaction
  #calls: Call[] = []
  #isScheduled = false
  #metLockAt = Number.NEGATIVE_INFINITY

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
      if (this.#isScheduled) return
      this.#isScheduled = true
      if (performance.now() - this.#metLockAt < CONTENDED) setTimeout(this.#due, 1)
      else setImmediate(this.#due)
    })
  }

  /** Writes what is waiting, without waiting for the end of the turn. */
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
        for (const call of calls) results.push(resultOf(call))
      }, isRemoving)
    } catch (error) {
      if (isLocked(error)) this.#retryLater(calls, error)
      // One of them was too much, so that none is kept. It must not take the others along.
      else if (calls.length > 1 && !isUncertain(error)) for (const call of calls) this.#write([call])
      else for (const { reject } of calls) reject(error)
      return
    }
    for (const [index, result] of results.entries()) {
      const call = calls[index] as Call
      if ('error' in result) call.reject(result.error)
      else call.resolve(result.value)
    }
  }

  #retryLater(calls: readonly Call[], error: unknown): void {
    const now = performance.now()
    this.#metLockAt = now
    for (const call of calls) {
      if (now < call.until) this.#calls.push(call)
      else call.reject(locked(error))
    }
    if (this.#isScheduled || this.isEmpty) return
    this.#isScheduled = true
    setTimeout(this.#due, aPause())
  }
}

/** Milliseconds before a lock is tried again: not the same for all who wait for it. */
export function aPause(): number {
  return 1 + 2 * Math.random()
}

/** Then nothing is tried again, as it might be applied twice. */
function isUncertain(error: unknown): boolean {
  return error instanceof StoreUnavailableError && error.outcome === 'unknown'
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
