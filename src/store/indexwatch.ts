import type { Path } from '../language/paths.ts'
import type { Store } from './store.ts'

/** How many inserts come before a check: an app may call `ensureIndex` after it has begun to serve. */
const INSERTS = 10

/**
 * Warns if a store has no indexes and this process has not called `ensureIndex`: without indexes everything works, but ever more
 * slowly. Another process may have called it, so a store that cannot check causes no warning.
 */
export class IndexWatch {
  readonly #user: Path | undefined
  #inserts = 0
  #isOver = false

  constructor(user: Path | undefined) {
    this.#user = user
  }

  /** The app calls `ensureIndex`, so no check is needed. */
  stop(): void {
    this.#isOver = true
  }

  inserted(store: Store): void {
    if (this.#isOver || !store.isIndexed || ++this.#inserts % INSERTS > 0) return
    store.isIndexed(this.#user).then(
      isIndexed => {
        if (!isIndexed && !this.#isOver) warn(this.#user)
        this.#isOver = true
      },
      // The check failed; it is repeated later.
      () => {},
    )
  }
}

function warn(user: Path | undefined): void {
  const loss = user === undefined ? '' : `, and find() and endAll() look at every session for its ${user}`
  process.emitWarning(
    `The session store lacks its indexes: expired sessions pile up${loss}. Call sessions.ensureIndex() each time the app starts`,
    'SessionWarning',
  )
}
