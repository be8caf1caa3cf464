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
    lossOf(store, this.#user).then(
      loss => {
        if (loss !== undefined && !this.#isOver) warn(loss)
        this.#isOver = true
      },
      // The check failed; it is repeated later.
      () => {},
    )
  }
}

/** What is slow or left undone without the indexes; `undefined` if they are there. */
async function lossOf(store: Store, user: Path | undefined): Promise<string | undefined> {
  if (await store.isIndexed?.(user)) return undefined
  if (user === undefined) return PILE_UP
  const finding = `find() and endAll() look at every session for its ${user}`
  // Some stores remove expired sessions without `ensureIndex`.
  return (await store.isIndexed?.()) ? finding : `${PILE_UP}, and ${finding}`
}

const PILE_UP = 'expired sessions pile up'

function warn(loss: string): void {
  process.emitWarning(
    `The session store lacks its indexes: ${loss}. Call sessions.ensureIndex() each time the app starts`,
    'SessionWarning',
  )
}
