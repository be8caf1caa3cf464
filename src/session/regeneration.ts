import { milliseconds } from '../duration.ts'
import { FieldError, SessionEndedError, SessionTooLargeError, StoreUnavailableError } from '../errors.ts'
import { publish } from '../events.ts'
import type { SessionId } from '../ids.ts'
import { idOf, newSecret, type Secret } from '../ids.ts'
import { callOptions } from '../language/calloptions.ts'
import type { Operation } from '../language/change.ts'
import { excerpt } from '../language/excerpt.ts'
import { setting } from '../language/fold.ts'
import { applied } from '../language/operators.ts'
import { type Path, pathsOf } from '../language/paths.ts'
import { sizeOf } from '../language/size.ts'
import { comesBackAlike } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { endOld, follower, insertNew, MAX_GRACE, moveOn } from './ending.ts'
import { follow, look } from './lookup.ts'
import { type Lifetimes, newPicture, type Picture } from './picture.ts'
import type { Known } from './state.ts'
import type { RegenerateOptions } from './types.ts'

/** So often a session is copied anew because others wrote to it meanwhile. */
const MAX_TRIES = 50

/** What a call of `regenerate` asks for, checked. */
export interface Regeneration {
  readonly keep: boolean | readonly Path[]
  /** What the new session has beside that, or instead. */
  readonly set: readonly Operation[]
  readonly maxAge: number | undefined
  /** For how long who comes with the old id is led on to the new one, milliseconds. */
  readonly grace: number
}

const names = ['keep', 'set', 'maxAge', 'grace'] satisfies (keyof RegenerateOptions)[]

/** Checks what `regenerate` is given, and copies it: what counts is what it was at the call. */
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
  return {
    keep: typeof keep === 'boolean' ? keep : pathsOf('regenerate({ keep })', keep),
    set: set === undefined ? [] : setting('regenerate({ set })', set),
    maxAge: maxAge === undefined ? undefined : milliseconds('maxAge', maxAge as number | string),
    grace: grace === undefined ? 0 : graceOf(grace),
  }
}

function graceOf(grace: unknown): number {
  const ms = milliseconds('grace', grace as number | string)
  if (ms > MAX_GRACE) throw new FieldError(`grace is at most ${MAX_GRACE} ms`)
  return ms
}

export interface RegenerationSettings extends Lifetimes {
  readonly maxSize: number
}

/** How one session is to take the place of another. */
interface Plan {
  readonly settings: RegenerationSettings
  readonly asked: Regeneration
  /** What the tombstone says. */
  readonly next: string
  readonly secret: Secret
  /** The old session's, of which it is derived; none if nobody is ever to follow from there. */
  readonly from: Secret | undefined
  readonly isLeading: boolean
}

/** A brand-new stored session under a new id, as it was asked for; the old one is ended. */
export async function regenerate(
  known: Known,
  store: Store,
  settings: RegenerationSettings,
  asked: Regeneration,
): Promise<void> {
  try {
    if (asked.keep !== false && known.isStored() && !known.isPictured) await look(known, store)
    // Nothing can be kept of what has ended, and the newer cookie that its visitor may have been given must stay.
    if (known.state === 'ended' || (asked.keep !== false && known.isOver())) throw new SessionEndedError()
    await replace(known, store, settings, asked)
  } catch (error) {
    // Who has been told so may sign its visitor in anew.
    if (error instanceof SessionEndedError && known.state === 'ended') known.state = 'late'
    throw error
  }
}

async function replace(
  known: Known,
  store: Store,
  settings: RegenerationSettings,
  asked: Regeneration,
): Promise<void> {
  const { keep, grace } = asked
  const former = known.id
  const isLeading = grace > 0 && known.secret !== undefined
  const from = keep === false && !isLeading ? undefined : known.secret
  const next = follower(isLeading ? grace : 0)
  // One id for all tries: a response that has left meanwhile has told it to the visitor.
  const secret = from ? known.carrier.derive('heir', from, next) : newSecret()
  const plan: Plan = { settings, asked, next, secret, from, isLeading }
  for (let tries = 1; !(await succeed(known, store, plan)); tries++) {
    await look(known, store)
    // Another request was quicker: a rotation goes on in the session that that one made, a sign-in replaces it.
    if (known.id !== former && isLeading) return
    if (tries === MAX_TRIES) throw new StoreUnavailableError('Others keep writing to the session', 'none')
  }
  publish({ type: 'regenerated', id: known.id as SessionId, former })
}

/** One attempt at a successor that has all that was acknowledged; false if the old session moved on meanwhile. */
async function succeed(known: Known, store: Store, plan: Plan): Promise<boolean> {
  const picture = successorOf(known, plan)
  const { from, next } = plan
  // What is kept was read from the store.
  const isAlike = comesBackAlike(applied({}, plan.asked.set))
  // A new id makes old tokens worthless, but routine rotation changes nothing for who has the old cookie.
  known.offer(plan.secret, picture, plan.isLeading ? known.tokens : undefined)
  try {
    const secret = await insertNew(store, picture, plan.secret, from !== undefined)
    const outcome = await endFormer(known, store, plan)
    if (outcome === true) {
      known.adopt(secret, picture, isAlike)
      if (plan.isLeading) known.told = known.issued
      return true
    }
    if (outcome !== false) {
      // The response has left meanwhile, with its cookie.
      if (!known.carrier.canCarry()) known.adopt(secret, picture, isAlike)
      // Should the tombstone stand after all, its visitor, and nobody else, goes on in the new session.
      else if (outcome.outcome === 'unknown' && from && from === known.secret) known.fork(next)
      else await discard(store, secret)
      throw outcome
    }
    // It is to be stored again under the same id.
    await store.delete(idOf(secret))
  } catch (error) {
    known.withdraw()
    throw error
  }
  known.withdraw()
  return false
}

function successorOf(known: Known, { settings, asked: { keep, set, maxAge } }: Plan): Picture {
  const { fields, maxAge: former } = known.picture
  const kept = keep === true ? fields : keep === false ? {} : excerpt(fields, keep)
  const all = applied(kept, set)
  const size = sizeOf(all)
  if (size > settings.maxSize && size > sizeOf(kept)) throw new SessionTooLargeError()
  const own = maxAge ?? (keep === true || known.state === 'new' ? former : undefined)
  // Rotation of the same session must not outlive its absolute limit.
  return newPicture(settings, own, all, keep === true ? known.absolute : undefined)
}

/** True if the old session is over now, false if it is not the one that was copied any more. */
async function endFormer(
  known: Known,
  store: Store,
  { asked: { keep }, next }: Plan,
): Promise<boolean | StoreUnavailableError> {
  const old = known.isStored() ? known.id : undefined
  if (!old) return true
  const seen = known.state === 'live'
  const at = keep === false ? undefined : known.picture.rev
  const ended = await endOld(store, old, at, next).catch(error => hasEnded(store, old, { at, next }, error))
  if (ended !== false || seen) return ended
  // It was not live any more, unless it leads on to one that is: then that one is to be ended.
  const found = await store.load(old)
  return !(found !== undefined && isEnded(found) && (await follow(known, store, found)))
}

/** Where ending was not confirmed, what stands there now tells: true if it has ended by this, or what to say of it. */
async function hasEnded(
  store: Store,
  id: SessionId,
  { at, next }: { readonly at: number | undefined; readonly next: string },
  error: unknown,
): Promise<true | StoreUnavailableError> {
  if (!(error instanceof StoreUnavailableError)) throw error
  if (error.outcome === 'none') return error
  const not = new StoreUnavailableError(error.message, 'none', { cause: error })
  try {
    // Past the revision that was to be ended, an end that is still under way comes to nothing.
    if (at !== undefined && (await moveOn(store, id))) return not
    const found = await store.load(id)
    if (found && !isEnded(found)) return error
    return found?.next === next || not
  } catch {
    return error
  }
}

/** Best effort: a record whose secret nobody has is of no use to anybody, and expires. */
async function discard(store: Store, secret: Secret): Promise<void> {
  await store.delete(idOf(secret)).catch(() => {})
}
