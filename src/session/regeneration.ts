import { setTimeout as pauseFor } from 'node:timers/promises'
import { milliseconds } from '../duration.ts'
import { FieldError, SessionEndedError, SessionTooLargeError, StoreUnavailableError } from '../errors.ts'
import { publish } from '../events.ts'
import type { Secret, SessionId } from '../ids.ts'
import { idOf, newSecret } from '../ids.ts'
import { callOptions } from '../language/calloptions.ts'
import type { Operation } from '../language/change.ts'
import { excerpt } from '../language/excerpt.ts'
import { setting } from '../language/fold.ts'
import { applied } from '../language/operators.ts'
import { type Path, pathsOf } from '../language/paths.ts'
import { sizeOf } from '../language/size.ts'
import { comesBackAlike, type Fields } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import { assertCarries } from './carrier.ts'
import type { CurrentSession } from './current.ts'
import { advance, type End, end, endAgain } from './ending.ts'
import { leasesKept, leftOfLeases, withoutLeases } from './leases.ts'
import { followTombstone, look, MAX_TRIES, othersKeep, successorMark, TOMBSTONE_LIFE } from './lookup.ts'
import { newPicture, type Picture } from './picture.ts'
import { isOver } from './state.ts'
import type { RegenerateOptions } from './types.ts'

/** The checked options of `regenerate`. */
export interface Regeneration {
  readonly keep: boolean | readonly Path[]
  /** Fields of the new session. They win over what is kept. */
  readonly set: readonly Operation[]
  readonly maxAge: number | undefined
  /** For how long requests with the old id may go on in the new session, milliseconds. */
  readonly grace: number
}

const names = ['keep', 'set', 'maxAge', 'grace'] satisfies (keyof RegenerateOptions)[]

/** Checks what `regenerate` is given, and copies it: later changes to the object do not count. */
export function regenerationOf(options: unknown): Regeneration {
  const { keep = false, set, maxAge, grace } = callOptions('regenerate', options, names)
  if (typeof keep !== 'boolean' && !Array.isArray(keep)) {
    throw new FieldError('regenerate({ keep }) takes true, false or a list of the fields to keep')
  }
  if (grace !== undefined && (keep !== true || set !== undefined || maxAge !== undefined)) {
    throw new FieldError(
      'grace is for routine rotation, and goes with keep: true alone; a change of privilege has none',
    )
  }
  const ms = grace === undefined ? 0 : milliseconds('grace', grace as number | string)
  // No longer than the tombstone stands.
  if (ms > TOMBSTONE_LIFE) throw new FieldError(`grace is at most ${TOMBSTONE_LIFE} ms`)
  return {
    keep: typeof keep === 'boolean' ? keep : pathsOf('regenerate({ keep })', keep),
    set: set === undefined ? [] : setting('regenerate({ set })', set),
    maxAge: maxAge === undefined ? undefined : milliseconds('maxAge', maxAge as number | string),
    grace: ms,
  }
}

/** How the new session takes the place of the old one. */
interface Plan {
  readonly asked: Regeneration
  /** `next` of the old session's tombstone. */
  readonly next: string
  readonly secret: Secret
  /** The old session's secret, from which the new one is derived; none if nobody may ever follow. */
  readonly from: Secret | undefined
  /** Requests with the old cookie may go on in the new session. */
  readonly hasGrace: boolean
  /** The response has left with the new cookie, at an attempt before. */
  isCarried: boolean
}

/** Stores a new session under a new id, and ends the old one. */
export async function regenerate(session: CurrentSession, asked: Regeneration): Promise<void> {
  try {
    if (asked.keep && !session.isPictured) await look(session)
    const { state } = session
    // Nothing can be kept of a session that has ended, and its visitor may have a newer cookie, which must stay.
    if (state.kind === 'ended' || (asked.keep && isOver(state))) throw new SessionEndedError()
    await endAgain(session)
    await replace(session, asked)
  } catch (error) {
    if (error instanceof SessionEndedError) session.on({ type: 'end reported' })
    throw error
  }
}

async function replace(session: CurrentSession, asked: Regeneration): Promise<void> {
  const former = session.id
  const hasGrace = asked.grace > 0 && session.secret !== undefined
  const from = asked.keep || hasGrace ? session.secret : undefined
  const next = successorMark(hasGrace ? asked.grace : 0)
  // One secret for all attempts: a response that is sent meanwhile gives it to the visitor.
  const secret = from ? session.carrier.derive('heir', from, next) : newSecret()
  const plan: Plan = { asked, next, secret, from, hasGrace, isCarried: false }
  const until = performance.now() + session.settings.timeout
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    if (asked.keep) await waitForLeases(session, asked.keep, until)
    const id = await attempt(session, plan)
    if (id !== undefined) return publish({ type: 'regenerated', id, former })
    await look(session)
    // Another request was quicker. A rotation goes on in the session which that request made; a sign-in replaces it.
    if (session.id !== former && hasGrace) return
  }
  throw othersKeep('writing to')
}

/** Waits until other requests have produced their values of `once`, so that these are copied too. */
async function waitForLeases(
  session: CurrentSession,
  keep: true | readonly Path[],
  until: number,
): Promise<void> {
  for (let pause = 25; ; pause = Math.min(2 * pause, 400)) {
    const left = Math.min(
      leftOfLeases(session.picture.fields, keep, session.leases),
      until - performance.now(),
    )
    if (left <= 0) return
    await pauseFor(Math.min(pause, left + 1))
    await look(session)
  }
}

/**
 * One attempt at a new session that has all that was acknowledged. Resolves to its id, or to `undefined` where the old one has to
 * be copied again.
 */
async function attempt(session: CurrentSession, plan: Plan): Promise<SessionId | undefined> {
  const { carrier, outbox, store } = session
  const { asked, next, secret, from, hasGrace } = plan
  const id = idOf(secret)
  // The headers may have been sent meanwhile. Without the cookie, the visitor needs the old session.
  if (!plan.isCarried) assertCarries(session)
  const picture = newSession(session, asked)
  // A new id makes old tokens worthless, but routine rotation changes nothing for the holder of the old cookie.
  const tokens = asked.grace > 0 ? outbox.tokensAfterRotation(session.state) : undefined
  outbox.offer(secret, picture, tokens)
  let isStored = false
  try {
    await store.insert({ id, ...picture })
    isStored = true
    const { old, error } = await endOld(session, plan)
    const { stored } = session
    const kept = from !== undefined && stored?.secret === from ? stored : undefined
    switch (fateOf(old, kept !== undefined, carrier.canCarry())) {
      case 'current': {
        // What is kept was read from the store.
        const isAlike = comesBackAlike(applied({}, asked.set))
        session.on({ type: 'stored', secret, id, picture, isAlike, isShared: hasGrace && !error })
        break
      }
      case 'pending':
        if (kept) outbox.resend(kept, next)
        break
      case 'to be copied again':
        await store.delete(id)
        plan.isCarried ||= !carrier.canCarry()
        outbox.withdraw()
        return undefined
      case 'of no use':
        await store.delete(id)
        isStored = false
    }
    if (error) throw error
    return id
  } catch (error) {
    outbox.withdraw()
    if (!(error instanceof StoreUnavailableError)) throw error
    // What is stored is found among its user's sessions.
    if (isStored) throw new StoreUnavailableError(error.message, 'unknown', { cause: error })
    // Best effort, and nobody waits, since the store may be away.
    if (error.outcome === 'unknown' && carrier.canCarry()) store.delete(id).catch(() => {})
    throw error
  }
}

/** The result of ending the old session. `moved on`: it has changed since it was copied. `gone`: another has ended it. */
type OldSession = 'ended' | 'moved on' | 'gone' | 'not ended' | 'unknown'

/** What to do with the new session. `isKept`: it has fields of the old one, whose secret the visitor still has. */
function fateOf(old: OldSession, isKept: boolean, canSendCookie: boolean) {
  switch (old) {
    case 'ended':
      return 'current'
    case 'moved on':
      return 'to be copied again'
    case 'gone':
      return 'of no use'
    case 'not ended':
      // If no cookie can be sent any more, the response was already sent with the new one.
      return canSendCookie ? 'of no use' : 'current'
    case 'unknown':
      if (!canSendCookie) return 'current'
      // If the old session has ended after all, only its own visitor can go on in the new one.
      return isKept ? 'pending' : 'of no use'
  }
}

function newSession(session: CurrentSession, { keep, set, maxAge }: Regeneration): Picture {
  const { picture, settings, state, stored } = session
  const kept = keptOf(picture.fields, keep, session.leases)
  const all = applied(kept, set)
  const size = sizeOf(all)
  if (size > settings.maxSize && size > sizeOf(kept)) throw new SessionTooLargeError()
  const own = maxAge ?? (keep === true || state.kind === 'new' ? picture.maxAge : undefined)
  // Rotation of the same session must not outlive its absolute limit.
  return newPicture(settings, own, all, keep === true ? stored?.absolute : undefined)
}

/** The kept fields, with this request's own leases of `once`. Other requests cannot reach the new session, so theirs are left out. */
function keptOf(fields: Fields, keep: boolean | readonly Path[], own: ReadonlySet<unknown>): Fields {
  if (keep === false) return {}
  if (keep === true) return withoutLeases(fields, own)
  return excerpt(fields, [...keep, ...leasesKept(fields, keep, own)])
}

interface Ending {
  readonly old: OldSession
  /** Why the old session is not known to have ended: the call fails with it. */
  readonly error?: StoreUnavailableError
}

/** Ends the old session at the revision that was copied; at any, if nothing is kept. */
async function endOld(session: CurrentSession, { asked: { keep }, next }: Plan): Promise<Ending> {
  const { store, stored } = session
  if (!stored) return { old: 'ended' }
  const { id, kind } = stored
  const wanted: End = { id, rev: keep ? session.picture.rev : undefined, next }
  const ending = await end(store, wanted).then(
    (isEndedByUs): Ending => ({ old: isEndedByUs ? 'ended' : 'moved on' }),
    error => endingAfter(error, session, wanted),
  )
  if (ending.old !== 'moved on' || kind === 'live') return ending
  // It had ended before this request asked, unless it was replaced by one that its visitor may follow to: that one is to be ended.
  try {
    const found = await store.load(id)
    const isFollowed = found && isEnded(found) && (await followTombstone(session, found))
    return { old: isFollowed ? 'moved on' : 'ended' }
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error
    return { old: 'not ended', error }
  }
}

/** Where ending was not confirmed, what the store has now tells what came of it. */
async function endingAfter(
  error: unknown,
  { carrier, store }: CurrentSession,
  { id, rev, next }: End,
): Promise<Ending> {
  if (!(error instanceof StoreUnavailableError)) throw error
  const mayHaveEnded = error.outcome === 'unknown'
  // Once the cookie of the new session has left, that one is kept unless another request has ended the old one.
  if (!mayHaveEnded && carrier.canCarry()) return { old: 'not ended', error }
  const none = mayHaveEnded ? new StoreUnavailableError(error.message, 'none', { cause: error }) : error
  try {
    // Past the revision that was to be ended, an end that is still under way can no longer match.
    if (mayHaveEnded && rev !== undefined && (await advance(store, id)))
      return { old: 'not ended', error: none }
    const found = await store.load(id)
    if (!found || isEnded(found))
      return found?.next === next ? { old: 'ended' } : { old: 'gone', error: none }
  } catch {
    // What the error says is all that is known.
  }
  return { old: mayHaveEnded ? 'unknown' : 'not ended', error }
}
