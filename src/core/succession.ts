import { IdTakenError } from './errors.ts'
import { idOf, newSecret, type Secret } from './ids.ts'
import type { Picture } from './picture.ts'
import type { SessionId } from './record.ts'
import type { Store } from './store.ts'

/** How long a tombstone stands: longer than any request that was under way when its session ended. */
const TOMBSTONE_LIFE = 60_000

/** One id that is taken is a wonder; three are a broken generator. */
const MOST_IDS = 3

/** Stores a session under `secret`'s id or, should that be taken, under another's; never over another session. */
export async function insertNew(store: Store, picture: Picture, secret: Secret): Promise<Secret> {
  for (let tries = 1; ; tries++) {
    try {
      await store.insert({ id: idOf(secret), ...picture })
      return secret
    } catch (error) {
      if (!(error instanceof IdTakenError) || tries === MOST_IDS) throw error
      secret = newSecret()
    }
  }
}

/** Ends a session, leaving a tombstone; with `rev`, only at that revision. True if this is what ended it. */
export function endOld(store: Store, id: SessionId, rev?: number): Promise<boolean> {
  const now = Date.now()
  return store.end(id, { ended: new Date(now) }, new Date(now + TOMBSTONE_LIFE), rev)
}
