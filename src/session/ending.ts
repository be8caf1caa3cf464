import { SessionEndedError } from '../errors.ts'
import { publish } from '../events.ts'
import type { SessionId } from '../ids.ts'
import { isEnded } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import type { CurrentSession } from './current.ts'
import { followTombstone, MAX_TRIES, othersKeep, TOMBSTONE_LIFE } from './lookup.ts'

/** Which session is to end: with `rev`, only at that revision. `next`: what its tombstone says of the one that replaces it. */
export interface End {
  readonly id: SessionId
  readonly rev?: number | undefined
  readonly next?: string | undefined
}

/** Ends a session, leaving a tombstone. True if this call ended it. */
export function end(store: Store, { id, rev, next }: End): Promise<boolean> {
  const now = Date.now()
  const tombstone = { ended: new Date(now), ...(next !== undefined && { next }) }
  return store.end(id, tombstone, new Date(now + TOMBSTONE_LIFE), rev)
}

/**
 * Brings a session one revision on, so that an end at the revision before can no longer match, even one that is still under
 * way. False if there is no session.
 */
export async function advance(store: Store, id: SessionId): Promise<boolean> {
  return typeof (await store.update(id, { guards: [], operations: [] })) === 'object'
}

/**
 * Asks again for the end of a session that this request found ended. Who ended it may have failed half-way, as where no replica was
 * told; then this call fails, too.
 */
export async function endAgain({ state, store }: CurrentSession): Promise<void> {
  if ('isReplaced' in state) await end(store, { id: state.id })
}

/** Ends the session, and any that its visitor may follow to. Throws if another session, which is not to be followed, replaced it. */
export async function destroy(session: CurrentSession): Promise<void> {
  const { store } = session
  await endAgain(session)
  let tries = 0
  for (let id = session.stored?.id; id !== undefined; id = session.stored?.id) {
    if (++tries > MAX_TRIES) throw othersKeep('replacing')
    const isEndedByUs = await end(store, { id })
    const found = isEndedByUs ? undefined : await store.load(id)
    const tombstone = found && isEnded(found) ? found : undefined
    if (tombstone && (await followTombstone(session, tombstone))) continue
    if (isEndedByUs) publish({ type: 'ended', id })
    session.on({ type: 'destroyed', tombstone })
  }
  const { state } = session
  // The session that replaced it lives on: `destroy` must not be taken to have ended that one.
  if ('isReplaced' in state && state.isReplaced) throw new SessionEndedError()
}
