import { IdTakenError, SessionTooLargeError } from '../errors.ts'
import { publish } from '../events.ts'
import type { Secret, SessionId } from '../ids.ts'
import { sizeOf } from '../language/size.ts'
import type { Fields } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { create } from './creation.ts'
import { endOld, moveOn } from './ending.ts'
import { look } from './lookup.ts'
import type { Known } from './state.ts'

/** What the tombstone of a session says that is about to be as if it had never been. Nobody follows it. */
const TAKEN_BACK = '0.'

/** What a visitor brings from another library's session. */
export interface Brought {
  /** Such as a session of ours can hold. */
  readonly fields: Fields
  /** Names the other session. */
  readonly key: string | undefined
  /** Ends the other session; called once ours is stored. */
  end(): Promise<void>
}

/**
 * Stores what a visitor brings from elsewhere as a session of ours, and then ends the other one. Requests that bring the same
 * at once make one session of it.
 */
export async function adopt(
  known: Known,
  store: Store,
  maxSize: number,
  ask: () => Promise<Brought>,
): Promise<void> {
  const { fields, key, end } = await ask()
  // The visitor would get nothing but errors until the other session has ended.
  if (sizeOf(fields) > maxSize) return publish({ type: 'not adopted', error: new SessionTooLargeError() })
  const isBringing = Object.keys(fields).length > 0
  // A token that was made already is bound to the secret it was made with.
  const fixed = key === undefined || known.secret ? undefined : known.carrier.derive('adopt', key)
  const isMade = isBringing && (await createOrJoin(known, store, fields, fixed))
  // Taken back meanwhile: the other session is all there is.
  if (isBringing && known.state === 'new') return
  try {
    // Also of one that another request has made: it may not have come to this.
    await end()
  } catch (error) {
    const isGone = isBringing && Object.keys((await ask()).fields).length === 0
    if (isGone) return
    // Both would live, and the other come back after this one has ended.
    if (isMade) await takeBack(known, store)
    known.forget()
    throw error
  }
}

/** Best effort. Whoever has joined it meanwhile keeps it, and ends the other session. */
async function takeBack({ id, picture }: Known, store: Store): Promise<void> {
  if (!id) return
  try {
    if (await endOld(store, id, picture.rev, TAKEN_BACK)) await store.delete(id)
  } catch {
    // It expires.
  }
}

/** True if this request has made the session, false if another had. */
async function createOrJoin(
  known: Known,
  store: Store,
  fields: Fields,
  fixed: Secret | undefined,
): Promise<boolean> {
  try {
    await create(known, store, fields, fixed)
    return true
  } catch (error) {
    if (!(fixed && error instanceof IdTakenError)) throw error
    known.succeed(fixed)
    await look(known, store)
    if (known.isStored()) known.lead()
    if (known.id && (await isTakenBack(known, known.id, store))) known.forget()
    return false
  }
}

/** Whether whoever has made the session has taken it back; if not, it stays. */
async function isTakenBack(known: Known, id: SessionId, store: Store): Promise<boolean> {
  if (known.isStored() && (await moveOn(store, id))) return false
  const found = await store.load(id)
  return !found || (isEnded(found) && found.next === TAKEN_BACK)
}
