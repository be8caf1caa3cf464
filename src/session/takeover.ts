import { IdTakenError, SessionTooLargeError } from '../errors.ts'
import { publish } from '../events.ts'
import { idOf, type Secret } from '../ids.ts'
import { sizeOf } from '../language/size.ts'
import type { Fields } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import { create } from './creation.ts'
import type { CurrentSession } from './current.ts'
import { advance, endAt } from './ending.ts'
import { look } from './lookup.ts'

/** What the tombstone of a session says that is about to be as if it had never been. Nobody follows it. */
const TAKEN_BACK = '0.'

/** What a visitor brings from another library's session. */
export interface Brought {
  /** Fields that a session of ours can hold. */
  readonly fields: Fields
  /** Names the other session. */
  readonly key: string | undefined
  /** Ends the other session; called once ours is stored. */
  end(): Promise<void>
}

/**
 * Stores what a new visitor brings from elsewhere as a session of ours, and then ends the other one; once per request. Requests
 * that bring the same at once make one session of it.
 */
export function takeOver(session: CurrentSession): Promise<void> | undefined {
  const { adopt } = session.settings
  if (!adopt || session.isTakenOver || session.state.kind !== 'new' || !session.carrier.canCarry()) return
  return storeBrought(session, adopt).then(() => {
    session.isTakenOver = true
  })
}

async function storeBrought(session: CurrentSession, ask: () => Promise<Brought>): Promise<void> {
  const { fields, key, end } = await ask()
  // The visitor would get nothing but errors until the other session has ended.
  if (sizeOf(fields) > session.settings.maxSize) {
    return publish({ type: 'not adopted', error: new SessionTooLargeError() })
  }
  const isBringing = Object.keys(fields).length > 0
  // A token that was made already is bound to the secret it was made with.
  const fixed = key === undefined || session.secret ? undefined : session.carrier.derive('adopt', key)
  const isMade = isBringing && (await createOrJoin(session, fields, fixed))
  // Taken back meanwhile: the other session is all there is.
  if (isBringing && session.state.kind === 'new') return
  try {
    // Also where another request has made our session: it may not have come to this.
    await end()
  } catch (error) {
    const isGone = isBringing && Object.keys((await ask()).fields).length === 0
    if (isGone) return
    // Both would live, and the other come back after ours has ended.
    if (isMade) await takeBack(session)
    session.on({ type: 'forgotten' })
    throw error
  }
}

/** Best effort. Whoever has joined it meanwhile keeps it, and ends the other session. */
async function takeBack({ id, picture, settings: { store } }: CurrentSession): Promise<void> {
  if (!id) return
  try {
    if (await endAt(store, id, picture.rev, TAKEN_BACK)) await store.delete(id)
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

/** Whether whoever has made the session has taken it back; if not, it stays. */
async function isTakenBack({ id, stored, settings: { store } }: CurrentSession): Promise<boolean> {
  if (id === undefined || (stored && (await advance(store, id)))) return false
  const found = await store.load(id)
  return !found || (isEnded(found) && found.next === TAKEN_BACK)
}
