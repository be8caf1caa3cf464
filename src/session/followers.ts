import type { Path } from '../language/paths.ts'
import type { Visit } from './visit.ts'

/** What came of a run, for those of this process who wait for it. `'unknown'`: they have to see for themselves. */
export type Result = { readonly value: unknown } | { readonly error: unknown } | 'unknown'

/** What those of this process wait for who want the same: by the store of the sessions, and by session and path. */
const runs = new WeakMap<object, Map<string, Promise<Result>>>()

/** What a run of this process for the same session and path will tell; nothing, if there is none. */
export function runFor(visit: Visit, path: Path): Promise<Result> | undefined {
  const { owner, key } = visit.runAs(path)
  return runs.get(owner)?.get(key)
}

/**
 * Those of this process who wait for one run. Whoever comes after a step of the store has begun is not told what it gave: that may
 * be older than what they know. Nobody is told of another session than the one that they asked for: the request that runs may have
 * gone on in one that they must not see, and what it cannot reach they may.
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

  /** How to tell those who have come until now. Whoever comes later waits for the next step. */
  next(): (result: Result) => void {
    const tell = this.#tell
    const result = new Promise<Result>(resolve => {
      this.#tell = this.#telling(resolve)
    })
    this.#running.set(this.#key, result)
    return tell
  }

  /** How to tell those who have come until now. Whoever comes later begins a run of their own. */
  last(): (result: Result) => void {
    if (!this.#isOver) this.#running.delete(this.#key)
    this.#isOver = true
    return this.#tell
  }

  #telling(resolve: (result: Result) => void): (result: Result) => void {
    return result => resolve(this.#isOfTheirSession() ? result : 'unknown')
  }

  /** Calls of one request have one session, whichever that is by now. */
  #isOfTheirSession(): boolean {
    return this.#owner === this.#visit || this.#visit.runAs(this.#path).key === this.#key
  }
}
