import type { Secret, SessionId } from '../ids.ts'
import type { Change } from '../language/change.ts'
import { applied } from '../language/operators.ts'
import type { Fields } from '../language/values.ts'
import type { SessionRecord, Tombstone } from '../store/record.ts'
import type { Answer, Applied } from '../store/store.ts'
import { completed, extended, type Picture } from './picture.ts'

/** What a request knows about its session. It is immutable: `next` returns a new state. */
export type SessionState = NewSession | PresentedSession | LiveSession | OverSession | DestroyedSession

/** No session is stored. The first change that leaves something stores one. */
interface NewSession {
  readonly kind: 'new'
  /** What the session will be stored under, once a token was made for it or its insert has begun. */
  readonly secret: Secret | undefined
  /** The idle lifetime that it will have, milliseconds. */
  readonly maxAge: number
}

/** The visitor brought an id, or the app gave one. The store has not been asked about it yet. */
interface PresentedSession {
  readonly kind: 'presented'
  /** None where the app gave the id. */
  readonly secret: Secret | undefined
  readonly id: SessionId
  readonly maxAge: number
  /** The absolute limit, in milliseconds since the epoch, if the cookie or the store has one. */
  readonly absolute: number | undefined
}

/** The store has the session. */
interface LiveSession extends Omit<PresentedSession, 'kind'> {
  readonly kind: 'live'
  /** The session as it was last read, and what this request has done to it since; none if it was not read whole. */
  readonly picture: Picture | undefined
  /** The picture lacks something that this request, or another one, has written. */
  readonly isStale: boolean
}

/**
 * Another request ended the session. `late`: before this request first read it. It reads as empty, and only `regenerate` can change
 * it. `ended`: after this request had seen it. The app first gets an error.
 */
interface OverSession {
  readonly kind: 'late' | 'ended'
  readonly secret: Secret | undefined
  readonly id: SessionId
  readonly maxAge: number
  /** Another session took its place. */
  readonly isReplaced: boolean
}

/** This request ended the session. */
interface DestroyedSession {
  readonly kind: 'destroyed'
  readonly id: SessionId
  readonly maxAge: number
}

export type StoredSession = PresentedSession | LiveSession

/** What a request learns about its session, or does to it. */
export type SessionEvent = Readonly<
  /** A token was made for a new session, or its insert begins: it is to be stored under this secret. */
  | { type: 'planned'; secret: Secret }
  /** `touch(maxAge)` of a new session. */
  | { type: 'given a lifetime'; maxAge: number }
  /** A new session was inserted. `isAlike`: its fields come back as they were given. `isShared`: other requests know it. */
  | { type: 'stored'; secret: Secret; id: SessionId; picture: Picture; isAlike: boolean; isShared: boolean }
  /** The request goes on in another session, such as the one that replaced this one. `isRotated`: by routine rotation. */
  | { type: 'switched'; secret: Secret; id: SessionId; isRotated: boolean }
  /** The store gave the record. */
  | { type: 'found'; record: SessionRecord }
  /** The store answered as it does for a session that it has. */
  | { type: 'answered' }
  /** The store applied a change. */
  | { type: 'written'; change: Change; applied: Applied; answer: Answer | undefined }
  /** The picture was to be read again, which failed: others may have changed the session since. */
  | { type: 'outdated' }
  /** The store has no such session, or only its tombstone. `maxAge`: the lifetime of new sessions. */
  | { type: 'missing'; tombstone: Tombstone | undefined; isVisitors: boolean; maxAge: number }
  /** This request ended the session or, where there is a tombstone, found that another one had. */
  | { type: 'destroyed'; tombstone: Tombstone | undefined }
  /** The app was told by an error that the session has ended. */
  | { type: 'end reported' }
  /** The session that this request has stored, or gone on in, was taken back. */
  | { type: 'forgotten' }
>

/** The state after an event. An event that a state cannot meet leaves it as it is. */
export function next(state: SessionState, event: SessionEvent): SessionState {
  switch (event.type) {
    case 'planned':
      return state.kind === 'new' ? { ...state, secret: event.secret } : state
    case 'given a lifetime':
      return state.kind === 'new' ? { ...state, maxAge: event.maxAge } : state
    case 'stored': {
      const { secret, id, picture, isAlike } = event
      const { maxAge, absolute } = picture
      return live({ secret, id, absolute: absolute?.getTime() }, maxAge, picture, !isAlike)
    }
    case 'switched': {
      const { secret, id } = event
      if (isStored(state)) return { ...state, secret, id }
      if (state.kind !== 'new') return state
      return { kind: 'presented', secret, id, maxAge: state.maxAge, absolute: undefined }
    }
    case 'found':
      return isStored(state) ? found(state, event.record) : state
    case 'answered':
      return state.kind === 'presented' ? live(state, state.maxAge, undefined, false) : state
    case 'written':
      return isStored(state) ? written(state, event) : state
    case 'outdated':
      return state.kind === 'live' ? { ...state, isStale: true } : state
    case 'missing':
      return isStored(state) ? missing(state, event) : state
    case 'destroyed':
      return isStored(state) ? destroyed(state, event.tombstone) : state
    case 'end reported':
      return state.kind === 'ended' ? { ...state, kind: 'late' } : state
    case 'forgotten':
      return { kind: 'new', secret: undefined, maxAge: state.maxAge }
  }
}

export function secretOf(state: SessionState): Secret | undefined {
  return state.kind === 'destroyed' ? undefined : state.secret
}

export function isStored(state: SessionState): state is StoredSession {
  return state.kind === 'live' || state.kind === 'presented'
}

/** Whether there was a session that has ended, by this request or another. */
export function isOver(state: SessionState): boolean {
  return state.kind === 'late' || state.kind === 'ended' || state.kind === 'destroyed'
}

/** Written out, since spreading the old state takes V8 a microsecond. */
function live(
  { secret, id, absolute }: Pick<LiveSession, 'secret' | 'id' | 'absolute'>,
  maxAge: number,
  picture: Picture | undefined,
  isStale: boolean,
): LiveSession {
  return { kind: 'live', secret, id, maxAge, absolute, picture, isStale }
}

function found({ secret, id }: StoredSession, record: SessionRecord): LiveSession {
  const { maxAge, absolute: limit, expires } = record
  // If somebody has set `absolute` before `expires` by hand, it has no effect: only `expires` counts.
  const absolute = limit && Math.max(limit.getTime(), expires.getTime())
  return live({ secret, id, absolute }, maxAge, record, false)
}

/** Moves the picture on by one revision if the answer has enough for that; otherwise the picture is stale. */
function written(
  state: StoredSession,
  { change, applied: { rev, fields, maxAge: other }, answer }: SessionEvent & { type: 'written' },
): LiveSession {
  const before = state.kind === 'live' ? state.picture : undefined
  const after = before && nextPicture(before, change, rev, fields, answer)
  const picture = after ?? before
  // Others have given the session another lifetime: its end is where they have left it.
  if (other !== undefined) return live(state, other, picture, true)
  const isStale = !after || (state.kind === 'live' && state.isStale)
  const shown = picture && change.expires ? extended(picture, change) : picture
  return live(state, change.maxAge ?? state.maxAge, shown, isStale)
}

/** The picture one revision on; `undefined` if the answer does not have enough for it. */
function nextPicture(
  picture: Picture,
  { operations }: Change,
  rev: number | undefined,
  fields: Fields | undefined,
  answer: Answer | undefined,
): Picture | undefined {
  if (rev !== picture.rev + 1) return undefined
  if (answer?.when === 'after' && fields) return completed(picture, rev, answer.paths, fields)
  // Only `take` asks for what was before, and removing needs no answer.
  return operations.length === 1
    ? { ...picture, rev, fields: applied(picture.fields, operations) }
    : undefined
}

function missing(
  { kind, secret, id }: StoredSession,
  { tombstone, isVisitors, maxAge }: SessionEvent & { type: 'missing' },
): SessionState {
  const isReplaced = tombstone?.next !== undefined
  if (kind === 'live' || !isVisitors) return { kind: 'ended', secret, id, maxAge, isReplaced }
  if (tombstone) return { kind: 'late', secret, id, maxAge, isReplaced }
  return { kind: 'new', secret: undefined, maxAge }
}

function destroyed(
  { secret, id, maxAge }: StoredSession,
  tombstone: Tombstone | undefined,
): OverSession | DestroyedSession {
  if (!tombstone) return { kind: 'destroyed', id, maxAge }
  return { kind: 'late', secret, id, maxAge, isReplaced: tombstone.next !== undefined }
}
