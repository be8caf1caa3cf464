import { SessionEndedError, SessionTooLargeError } from '../errors.ts'
import type { Change } from '../language/change.ts'
import { holds } from '../language/guard.ts'
import { applied } from '../language/operators.ts'
import { boundOf, sizeOf } from '../language/size.ts'
import type { Answer, Applied } from '../store/store.ts'
import { failedRead, foreseen } from './answers.ts'
import { assertCarries } from './carrier.ts'
import { create } from './creation.ts'
import type { CurrentSession } from './current.ts'
import { look, MAX_TRIES, othersKeep } from './lookup.ts'
import { endOfLife } from './picture.ts'
import type { StoredSession } from './state.ts'
import { takeOver } from './takeover.ts'

/** A touch extends the session even if that is not due; with `maxAge`, the session has that lifetime from now on. */
export interface Touch {
  readonly maxAge: number | undefined
}

/**
 * Carries out a change, and keeps the picture up to date. `null`: a guard did not hold, or the revision that a touch goes by
 * is past.
 */
export async function update(
  session: CurrentSession,
  change: Change,
  answer?: Answer,
  touch?: Touch,
  tries = 1,
): Promise<Applied | null> {
  if (tries > MAX_TRIES) throw othersKeep('replacing')
  session.isUsed = true
  await takeOver(session)
  if (session.state.kind === 'new') return createBy(session, change, answer)
  const { stored } = session
  if (!stored) throw new SessionEndedError()
  const sent = withExtension(session, stored, change, touch)
  // A picture needs the revision, too.
  const known = answer?.when === 'after' && !session.isPictured ? foreseen(change, answer) : undefined
  const outcome = await session.store.update(stored.id, sent, known ? undefined : answer)
  if (outcome === 'ended') {
    await look(session)
    // It was replaced, and its visitor follows.
    if (session.stored) return update(session, change, answer, touch, tries + 1)
    throw new SessionEndedError()
  }
  if (outcome === 'absent') {
    session.onMissing()
    await takeOver(session)
    if (session.stored) return update(session, change, answer, touch, tries + 1)
    return touch ? {} : createBy(session, change, answer)
  }
  if (outcome === 'refused') {
    session.on({ type: 'answered' })
    return null
  }
  session.on({ type: 'written', change: sent, applied: outcome, answer })
  return known ? { ...outcome, fields: known } : outcome
}

/** The first change of a new session: stored if it leaves something, since an empty session is as good as none. */
async function createBy(session: CurrentSession, change: Change, answer?: Answer): Promise<Applied | null> {
  if (!holds(change.guards, {})) return null
  const fields = applied({}, change.operations)
  if (sizeOf(fields) > session.settings.maxSize) throw new SessionTooLargeError()
  if (Object.keys(fields).length === 0) return { rev: 0, fields: {} }
  assertCarries(session)
  await create(session, fields)
  if (answer && !session.isPictured) await look(session).catch(failedRead)
  return { rev: session.picture.rev, fields: answer?.when === 'before' ? {} : session.picture.fields }
}

const nothing: Change = { guards: [], operations: [] }

/** Moves the end of the session's life; with `maxAge`, gives the session that lifetime from now on. */
export async function touch(session: CurrentSession, maxAge: number | undefined): Promise<void> {
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    // Without a cookie, only the store knows the session's own lifetime and its limit.
    if (!session.isVisitors && (tries > 1 || !session.isPictured)) await look(session)
    const outcome = await update(session, nothing, { paths: [], when: 'after' }, { maxAge })
    if (outcome && outcome.maxAge === undefined) return
  }
  throw othersKeep('writing to')
}

/** Extends the session because it is due. */
export async function extend(session: CurrentSession): Promise<void> {
  const outcome = await update(session, nothing)
  // Others have given the session another lifetime meanwhile: it is extended by that one.
  if (outcome?.maxAge !== undefined) await update(session, nothing)
}

/** Whether the session was used, and its cookie is so old that the use extends it. A shorter life of its own makes it due sooner. */
export function isDue(session: CurrentSession): boolean {
  const { isUsed, mayExtend, carrier, outbox, settings, state } = session
  if (!isUsed || !mayExtend || !carrier.canCarry()) return false
  const share = Math.min(1, Math.min(state.maxAge, outbox.cookie.maxAge) / settings.maxAge)
  return Date.now() - outbox.cookie.issued >= settings.touchAfter * share
}

/**
 * The change as it is sent. It extends the session if that is asked for or due: by the lifetime that a touch gives it, or by its
 * own, as long as that is what this request takes it for. Without a visitor's cookie, only what was read tells the lifetime
 * and the limit, so the change goes by that revision. A change that can grow the session is held to `maxSize`.
 */
function withExtension(
  session: CurrentSession,
  stored: StoredSession,
  { guards, operations }: Change,
  touch: Touch | undefined,
): Change {
  const sent: Change = { guards, operations, ...boundOf(operations, session.settings.maxSize) }
  if (!touch && !isDue(session)) return sent
  const maxAge = touch?.maxAge
  const expires = new Date(endOfLife(Date.now(), maxAge ?? stored.maxAge, stored.absolute))
  if (!session.isVisitors) {
    return { ...sent, expires, rev: session.picture.rev, ...(maxAge !== undefined && { maxAge }) }
  }
  return maxAge === undefined
    ? { ...sent, expires, whileMaxAge: stored.maxAge }
    : { ...sent, expires, maxAge }
}
