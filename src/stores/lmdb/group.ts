import { IdTakenError, SessionError, StoreUnavailableError } from '../../errors.ts'

/** One call that writes, and what is to be told of it. */
interface Call {
  /** Within the transaction: reads, decides and writes. */
  readonly perform: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

type Result = { readonly value: unknown } | { readonly error: unknown }

/** Runs `work` in one transaction: all that it writes is kept, or, when it throws, none. */
export type Transaction = (work: () => void) => void

/**
 * Calls that come together, written in one transaction, which they share the cost of. Each is applied whole or not at all, and
 * is answered when what it wrote is kept.
 */
export class Group {
  readonly #transaction: Transaction
  #calls: Call[] = []
  readonly #defer: (flush: () => void) => void
  #isDeferred = false

  /** `defer` decides how long calls are gathered. */
  constructor(transaction: Transaction, defer: (flush: () => void) => void) {
    this.#transaction = transaction
    this.#defer = defer
  }

  run<T>(perform: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ perform, resolve: resolve as (value: unknown) => void, reject })
      if (this.#isDeferred) return
      this.#isDeferred = true
      this.#defer(() => this.flush())
    })
  }

  /** Writes what is waiting, without waiting for the end of the turn. */
  flush(): void {
    this.#isDeferred = false
    const calls = this.#calls
    this.#calls = []
    if (calls.length > 0) this.#write(calls)
  }

  #write(calls: readonly Call[]): void {
    const results: Result[] = []
    try {
      this.#transaction(() => {
        for (const call of calls) results.push(resultOf(call))
      })
    } catch (error) {
      // One of them was too much, so that none is kept. It must not take the others along.
      if (calls.length > 1 && !isUncertain(error)) for (const call of calls) this.#write([call])
      else for (const { reject } of calls) reject(error)
      return
    }
    for (const [index, result] of results.entries()) {
      const call = calls[index] as Call
      if ('error' in result) call.reject(result.error)
      else call.resolve(result.value)
    }
  }
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
