import { IdTakenError, SessionTooLargeError } from '../errors.ts'
import { publish } from '../events.ts'
import { idOf, type Secret } from '../ids.ts'
import { sizeOf } from '../language/size.ts'
import type { Fields } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import { create } from './creation.ts'
import type { CurrentSession } from './current.ts'
import { advance, end } from './ending.ts'
import { look } from './lookup.ts'

/** What the tombstone says of a session that was taken back right after it was stored. Nobody may follow. */
const TAKEN_BACK = '0.'

/** What a visitor brings from another library's session. */
export interface Brought {
  /** Only what a session of ours can hold. */
  readonly fields: Fields
  /** Names the other session. */
  readonly key: string | undefined
  /** Ends the other session; called once ours is stored. */
  end(): Promise<void>
}

/**
 * Stores what a new visitor brings from another library as a session of ours, and then ends the other session; once per
 * request. Concurrent requests that bring the same session make one of it.
 */
export function takeOver(session: CurrentSession): Promise<void> | undefined {
  const { adopt } = session.settings
  if (!adopt || session.isTakenOver || session.state.kind !== 'new' || !session.carrier.canCarry()) return
  return storeBrought(session, adopt).then(() => {
    session.isTakenOver = true
  })
}

async function storeBrought(session: CurrentSession, ask: () => Promise<Brought>): Promise<void> {
  const { fields, key, end: endOther } = await ask()
  // An error here would meet each request of the visitor until the other session has ended.
  if (sizeOf(fields) > session.settings.maxSize) {
    return publish({ type: 'not adopted', error: new SessionTooLargeError() })
  }
  const isBringing = Object.keys(fields).length > 0
  // If a token was made already, the session must be stored under the secret of the token.
  const fixed = key === undefined || session.secret ? undefined : session.carrier.derive('adopt', key)
  const isMade = isBringing && (await createOrJoin(session, fields, fixed))
  // The request that made our session has taken it back: only the other one is left.
  if (isBringing && session.state.kind === 'new') return
  try {
    // Even if another request has made our session: that one may have failed before this.
    await endOther()
  } catch (error) {
    const isGone = isBringing && Object.keys((await ask()).fields).length === 0
    if (isGone) return
    // Otherwise both sessions would live, and the other one would be taken over again after ours has ended.
    if (isMade) await takeBack(session)
    session.on({ type: 'forgotten' })
    throw error
  }
}

/** Best effort. A request that has joined our session meanwhile keeps it, and ends the other one. */
async function takeBack({ id, picture, settings: { store } }: CurrentSession): Promise<void> {
  if (!id) return
  try {
    if (await end(store, { id, rev: picture.rev, next: TAKEN_BACK })) await store.delete(id)
  } catch {
    // It expires.
  }
}

/** True if this request has made the session, false if another had. */
async function createOrJoin(
  session: CurrentSession,
  fields: Fields,
  fixed: Secret | undefined,
): Promise<boolean> {
  try {
    await create(session, fields, fixed)
    return true
  } catch (error) {
    if (!(fixed && error instanceof IdTakenError)) throw error
    await look(session, { secret: fixed, id: idOf(fixed) })
    session.sendCookie()
    if (await isTakenBack(session)) session.on({ type: 'forgotten' })
    return false
  }
}

/** Whether the request that made the session has taken it back. If not, it can no longer do so. */
async function isTakenBack({ id, stored, settings: { store } }: CurrentSession): Promise<boolean> {
  if (id === undefined || (stored && (await advance(store, id)))) return false
  const found = await store.load(id)
  return !found || (isEnded(found) && found.next === TAKEN_BACK)
}
