import { StoreUnavailableError } from './errors.ts'
import { tell } from './events.ts'
import { idOf, newSecret, type Secret } from './ids.ts'
import type { Known } from './known.ts'
import { follow, look } from './lookup.ts'
import type { Path } from './paths.ts'
import { excerpt, type Lifetimes, newPicture, type Picture } from './picture.ts'
import { isEnded, type SessionId } from './record.ts'
import type { Store } from './store.ts'
import { endOld, follower, insertNew } from './succession.ts'

/** So often a session is copied anew because others wrote to it meanwhile. */
const MOST_TRIES = 50

/** How one session is to take the place of another. */
interface Plan {
  readonly lifetimes: Lifetimes
  readonly keep: boolean | readonly Path[]
  /** What the tombstone says to those who may follow. */
  readonly following: string | undefined
  /** The new session's, where nobody may follow. */
  readonly secret: Secret
}

/**
 * A brand-new stored session under a new id, with the fields that `keep` names; the old one is ended. For `grace`
 * milliseconds, who comes with the old id is led on to the new one.
 */
export async function regenerate(
  known: Known,
  store: Store,
  lifetimes: Lifetimes,
  keep: boolean | readonly Path[],
  grace: number,
): Promise<void> {
  const former = known.id
  // One id for all tries: a response that has left meanwhile has told it to the visitor.
  const following = grace > 0 && known.secret ? follower(grace) : undefined
  const plan: Plan = { lifetimes, keep, following, secret: newSecret() }
  for (let tries = 1; !(await succeed(known, store, plan)); tries++) {
    await look(known, store)
    // Another request was quicker: a rotation goes on in the session that that one made, a sign-in replaces it.
    if (known.id !== former && following) return
    if (tries === MOST_TRIES) throw new StoreUnavailableError('Others keep writing to the session', 'none')
  }
  tell({ type: 'regenerated', id: known.id as SessionId, former })
}

/** One attempt at a successor that has all that was acknowledged; false if the old session moved on meanwhile. */
async function succeed(known: Known, store: Store, plan: Plan): Promise<boolean> {
  const next = successorOf(known, plan)
  const { following } = plan
  const secret = following ? known.carrier.derive(known.secret as Secret, following) : plan.secret
  known.offer(secret, next)
  try {
    const inserted = await insertNew(store, next, secret)
    const outcome = await endFormer(known, store, plan)
    if (outcome === true) {
      known.adopt(inserted, next)
      return true
    }
    // Should the tombstone stand after all, it leads its visitor on to the new session, who loses nothing.
    if (outcome === false || !following || outcome.outcome !== 'unknown') await discard(store, inserted)
    if (outcome !== false) throw outcome
  } catch (error) {
    known.withdraw()
    throw error
  }
  known.withdraw()
  return false
}

function successorOf(known: Known, { lifetimes, keep }: Plan): Picture {
  const { fields, maxAge, absolute } = known.picture
  const kept = keep === true ? fields : keep === false ? {} : excerpt(fields, keep)
  return {
    ...newPicture(lifetimes, keep === true || known.state === 'new' ? maxAge : undefined, kept),
    // Rotation of the same session must not outlive its absolute limit.
    ...(keep === true && absolute && { absolute }),
  }
}

/** True if the old session is over now, false if it is not the one that was copied any more. */
async function endFormer(
  known: Known,
  store: Store,
  { keep, following }: Plan,
): Promise<boolean | StoreUnavailableError> {
  const old = known.isStored() ? known.id : undefined
  if (!old) return true
  const seen = known.state === 'live'
  const at = keep === false ? undefined : known.picture.rev
  const ended = await endOld(store, old, at, following).catch(error => hasEnded(store, old, error))
  if (ended !== false || seen) return ended
  // It was not live any more, unless it leads on to one that is: then that one is to be ended.
  const found = await store.load(old)
  return !(found !== undefined && isEnded(found) && (await follow(known, store, found)))
}

/** Where ending was not confirmed, what stands there now tells; otherwise the error is the answer. */
async function hasEnded(store: Store, id: SessionId, error: unknown): Promise<true | StoreUnavailableError> {
  if (!(error instanceof StoreUnavailableError)) throw error
  if (error.outcome === 'none') return error
  const found = await store.load(id).catch(() => 'unread' as const)
  return found === undefined || (found !== 'unread' && isEnded(found)) ? true : error
}

/** Best effort: a record whose secret nobody has is of no use to anybody, and expires. */
export async function discard(store: Store, secret: Secret): Promise<void> {
  await store.delete(idOf(secret)).catch(() => {})
}
