import { FieldError, IdTakenError, SessionTooLargeError, StoreUnavailableError } from '../errors.ts'
import { publish } from '../events.ts'
import { idOf, type Secret } from '../ids.ts'
import { sizeOf } from '../language/size.ts'
import type { Fields } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import { assertCarries } from './carrier.ts'
import { create } from './creation.ts'
import type { CurrentSession } from './current.ts'
import { advance, end } from './ending.ts'
import { look } from './lookup.ts'

/** `next` in the tombstone of a session that was removed right after it was stored. Nobody may follow it. */
const TAKEN_BACK = '0.'

/** What a visitor brings from another library's session. */
export interface Brought {
  /** Only fields that a session can hold. */
  readonly fields: Fields
  /** Names the other session. */
  readonly key: string | undefined
  /** Ends the other session. It is called once the new session is stored. */
  end(): Promise<void>
}

/**
 * Stores the fields of a new visitor's session of another library as a new session, and then ends the other one; once per request.
 * Concurrent requests with the same session share one new session.
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
  const { carrier, secret, settings } = session
  // The headers have been sent meanwhile, without a cookie: nobody could be given the new session.
  if (!secret && !carrier.canCarry()) return
  // Not an error: every request of the visitor would fail until the other session has ended.
  if (sizeOf(fields) > settings.maxSize) {
    return publish({ type: 'not adopted', error: new SessionTooLargeError() })
  }
  // Not for who has been sent the cookie of a token that was made already: that one's secret is used.
  const shared = key !== undefined && carrier.canCarry() ? key : undefined
  const outcome = await createOrJoin(session, fields, shared)
  try {
    // Even if another request stored the new session: that request may have failed before this step.
    await endOther()
  } catch (error) {
    try {
      const isGone = outcome !== 'nothing to store' && Object.keys((await ask()).fields).length === 0
      if (isGone) return
      // Otherwise both sessions would exist, and the other one would be taken over again after the new one has ended.
      if (outcome === 'made') await takeBack(session)
    } catch {
      // The other session may be gone, so the new one stays. If both exist, the next request joins the new one and ends the other.
    }
    session.on({ type: 'forgotten' })
    throw error
  }
}

/** Removes the new session; best effort. If another request has joined it meanwhile, that request keeps it and ends the other one. */
async function takeBack({ id, picture, store }: CurrentSession): Promise<void> {
  if (!id) return
  try {
    if (await end(store, { id, rev: picture.rev, next: TAKEN_BACK })) await store.delete(id)
  } catch {
    // It expires.
  }
}

/** What has become of the brought fields. `joined`: another request has stored them. */
type Outcome = 'made' | 'joined' | 'nothing to store'

/**
 * How many ids are tried. An id is in use too where a session has expired or was taken back and its rest has not been swept. The rest
 * stays: if two requests removed it, the second one could remove a session that was stored in between.
 */
const MAX_IDS = 10

/** `shared`: what the id is derived from, so that concurrent requests have the same. */
async function createOrJoin(
  session: CurrentSession,
  fields: Fields,
  shared: string | undefined,
  tries = 1,
): Promise<Outcome> {
  if (Object.keys(fields).length === 0) return 'nothing to store'
  const fixed = shared === undefined ? undefined : session.carrier.derive('adopt', shared, String(tries))
  try {
    await create(session, fields, fixed)
    return 'made'
  } catch (error) {
    // Only the store knows that it cannot encode a value, such as an ObjectId of another version of bson.
    const rest = error instanceof FieldError ? without(fields, error.path) : undefined
    if (rest) return createOrJoin(session, rest, shared, tries)
    if (!(fixed && error instanceof IdTakenError)) throw error
    if (await joins(session, fixed)) return 'joined'
    if (tries === MAX_IDS) {
      throw new StoreUnavailableError('adopt: no id is free; try again later', 'none')
    }
    return createOrJoin(session, fields, shared, tries + 1)
  }
}

/**
 * Goes on in the session that another request has stored; false if it is not there any more. If that fails, the visitor gets no cookie,
 * and the next request tries again.
 */
async function joins(session: CurrentSession, secret: Secret): Promise<boolean> {
  try {
    await look(session, { secret, id: idOf(secret) })
    const isThere = !(await isTakenBack(session))
    // The headers may have been sent meanwhile. Without the cookie, the visitor needs the other session.
    assertCarries(session)
    if (isThere) session.sendCookie()
    else session.on({ type: 'forgotten' })
    return isThere
  } catch (error) {
    session.on({ type: 'forgotten' })
    throw error
  }
}

/** The fields without the one that the path leads through; `undefined` if there is no such field. */
function without(fields: Fields, path = ''): Fields | undefined {
  const [name = ''] = path.split('.')
  if (!Object.hasOwn(fields, name)) return undefined
  const { [name]: _, ...rest } = fields
  return rest
}

/** Whether the request that made the session has taken it back, or it has expired. If not, it can no longer be taken back. */
async function isTakenBack({ id, stored, store }: CurrentSession): Promise<boolean> {
  if (id === undefined) return true
  if (stored && (await advance(store, id))) return false
  const found = await store.load(id)
  return !found || (isEnded(found) && found.next === TAKEN_BACK)
}
