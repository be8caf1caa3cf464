import { randomBytes } from 'node:crypto'
import { StoreUnavailableError } from '../errors.ts'
import type { NewId } from '../ids.ts'
import { idOf } from '../ids.ts'
import { isEnded, type Tombstone } from '../store/record.ts'
import type { CurrentSession } from './current.ts'

/**
 * Reads the session, or the one that replaced it. With `other`, the request first goes on in that session. Throws if a session
 * that this request had seen is gone.
 */
export async function look(session: CurrentSession, other?: NewId): Promise<void> {
  const id = other?.id ?? session.stored?.id
  if (id === undefined) return
  const found = await session.store.load(id)
  if (other) session.on({ type: 'switched', ...other, isRotated: false })
  if (found && !isEnded(found)) session.on({ type: 'found', record: found })
  else if (!found || !(await followTombstone(session, found))) session.onMissing(found)
}

/** The most times that a call is tried anew because others write to the session, or replace it, meanwhile. */
export const MAX_TRIES = 50

/** Why such a call is given up after that. */
export function othersKeep(doing: 'replacing' | 'writing to'): StoreUnavailableError {
  return new StoreUnavailableError(`Others keep ${doing} the session`, 'none')
}

/** How long a tombstone stands, milliseconds: longer than any request that was under way when its session ended. */
export const TOMBSTONE_LIFE = 60_000

/**
 * What the tombstone of a replaced session says: until when its visitor may follow, and a nonce. The new session's secret is
 * derived from it, and it tells this tombstone from others. Without `grace`, milliseconds, nobody may follow.
 */
export function successorMark(grace: number): string {
  const until = grace > 0 ? Date.now() + grace : 0
  return `${until.toString(36)}.${randomBytes(16).toString('hex')}`
}

/** The most tombstones that one request follows. Each costs a call, and the visitor decides how many there are. */
const MAX_STEPS = 10

/**
 * Goes on in the session that replaced this one, and gives its visitor the cookie. Only a visitor with the old secret may follow:
 * while the grace lasts, or if its cookie names this successor as pending. False if this one may not: the session has ended.
 */
export async function followTombstone(
  session: CurrentSession,
  { next }: Tombstone,
  steps = 1,
): Promise<boolean> {
  const { secret } = session
  if (!secret || !next || steps > MAX_STEPS) return false
  const until = Number.parseInt(next, 36)
  if (until <= Date.now() && next !== session.outbox.cookie.pendingSuccessor) return false
  const following = session.carrier.derive('heir', secret, next)
  const id = idOf(following)
  const found = await session.store.load(id)
  if (!found) return false
  session.on({ type: 'switched', secret: following, id, isRotated: until > 0 })
  if (isEnded(found)) return followTombstone(session, found, steps + 1)
  session.on({ type: 'found', record: found })
  session.sendCookie()
  return true
}
