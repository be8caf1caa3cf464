import type { SessionId } from '../ids.ts'
import { idOf } from '../ids.ts'
import { isEnded, type Tombstone } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { isFollowable } from './ending.ts'
import type { Known } from './state.ts'

/** Reads the session, or the one it was replaced by. Throws if what this request had seen is gone. */
export async function look(known: Known, store: Store): Promise<void> {
  const found = await store.load(known.id as SessionId)
  if (found && !isEnded(found)) known.see(found)
  else if (!found || !(await follow(known, store, found))) known.gone(found)
}

/** So many sessions, each of which took the place of the one before it, may one request be led past. */
const MAX_STEPS = 10

/**
 * Goes on in the session that replaced this one, while its grace lasts; the visitor gets its cookie. Who is further behind
 * has ended: each step costs a call, and how many there are is a visitor's to say.
 */
export async function follow(known: Known, store: Store, { next }: Tombstone, steps = 1): Promise<boolean> {
  const { secret } = known
  if (!secret || !next || steps > MAX_STEPS || !(isFollowable(next) || known.isHeir(next))) return false
  const following = known.carrier.derive('heir', secret, next)
  const found = await store.load(idOf(following))
  if (!found) return false
  known.succeed(following)
  if (isEnded(found)) return follow(known, store, found, steps + 1)
  known.see(found)
  known.lead()
  return true
}

/** A cookie of a session that has ended meanwhile must not replace the one that its visitor may have been given. */
export async function stillLives(known: Known, store: Store): Promise<boolean> {
  const found = await store.read(known.id as SessionId, [])
  return found !== undefined && !isEnded(found)
}
