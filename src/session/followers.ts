import type { Path } from '../language/paths.ts'
import type { Visit } from './visit.ts'

/** The result of a run, for callers in this process that wait for it. `'unknown'`: they have to read the field themselves. */
export type Result = { readonly value: unknown } | { readonly error: unknown } | 'unknown'

/** The results that callers in this process wait for: by the store, then by session and path. */
const runs = new WeakMap<object, Map<string, Promise<Result>>>()

/** The result of the current run in this process for the same session and path; `undefined` if there is none. */
export function runFor(visit: Visit, path: Path): Promise<Result> | undefined {
  const { owner, key } = visit.runAs(path)
  return runs.get(owner)?.get(key)
}

/**
 * The callers in this process that wait for one run. A caller that comes after a read has begun does not get its result: that may be
 * older than what the caller knows. No caller gets the result of another session: the running request may have gone on in a session
 * that the others must not see, or may have lost one that the others can still read.
 */
export class Followers {
  readonly #visit: Visit
  readonly #path: Path
  readonly #owner: object
  readonly #key: string
  readonly #running: Map<string, Promise<Result>>
  #tell: (result: Result) => void = () => {}
  #isOver = false

  constructor(visit: Visit, path: Path) {
    const { owner, key } = visit.runAs(path)
    this.#visit = visit
    this.#path = path
    this.#owner = owner
    this.#key = key
    this.#running = runs.get(owner) ?? new Map()
    runs.set(owner, this.#running)
    this.next()
  }

  /** Returns a function that tells all callers so far. Later callers wait for the next step. */
  next(): (result: Result) => void {
    const tell = this.#tell
    const result = new Promise<Result>(resolve => {
      this.#tell = this.#telling(resolve)
    })
    this.#running.set(this.#key, result)
    return tell
  }

  /** Returns a function that tells all callers so far. Later callers begin a new run. */
  last(): (result: Result) => void {
    if (!this.#isOver) this.#running.delete(this.#key)
    this.#isOver = true
    return this.#tell
  }

  #telling(resolve: (result: Result) => void): (result: Result) => void {
    return result => resolve(this.#isOfTheirSession() ? result : 'unknown')
  }

  /** Whether the run is still in the callers' session. Calls of one request always share their session. */
  #isOfTheirSession(): boolean {
    return this.#owner === this.#visit || this.#visit.runAs(this.#path).key === this.#key
  }
}
