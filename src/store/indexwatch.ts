import type { Path } from '../language/paths.ts'
import type { Store } from './store.ts'

/** So many sessions are stored before anybody looks: an app may ask for its indexes when it has begun to serve. */
const INSERTS = 10

/**
 * Looks whether a store has its indexes where nobody has asked for them: without, all works, and ever more slowly. Another
 * process may have asked, so a store that cannot look is not judged.
 */
export class IndexWatch {
  readonly #user: Path | undefined
  #inserts = 0
  #isOver = false

  constructor(user: Path | undefined) {
    this.#user = user
  }

  /** Somebody sees to the indexes. */
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
      // Another time.
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
