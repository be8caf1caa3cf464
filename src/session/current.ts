import { SessionEndedError } from '../errors.ts'
import { publish } from '../events.ts'
import type { Secret, SessionId } from '../ids.ts'
import type { Fields } from '../language/values.ts'
import { whileReporting } from '../reports.ts'
import type { Tombstone } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { callsOf } from '../store/wrapping.ts'
import type { Carrier } from './carrier.ts'
import { Outbox } from './outbox.ts'
import { endOfLife, type Lifetimes, newPicture, type Picture } from './picture.ts'
import { Queue } from './queue.ts'
import {
  isStored,
  next,
  type SessionEvent,
  type SessionState,
  type StoredSession,
  secretOf,
} from './state.ts'
import type { Brought } from './takeover.ts'

export interface SessionSettings extends Lifetimes {
  readonly store: Store
  /** Using a session whose cookie is older than this extends it, milliseconds. */
  readonly touchAfter: number
  /** The largest that a change may make the fields of a session, bytes of BSON. */
  readonly maxSize: number
  /** How long a call that depends on others waits for them, milliseconds. */
  readonly timeout: number
  /** What a visitor without a session brings from elsewhere; asked before anything else is done. */
  readonly adopt?: () => Promise<Brought>
}

/**
 * The session of one request: its state, its cookie and tokens (`outbox`), and how it is used. All events go through `on`, so that
 * state and outbox agree. It does not call the store.
 */
export class CurrentSession {
  readonly carrier: Carrier
  readonly settings: SessionSettings
  /** A visitor's request uses the session. Nobody else can be given a new id. */
  readonly isVisitors: boolean
  readonly outbox: Outbox
  /** The calls of the request. */
  readonly queue = new Queue()
  /** The request has used the session. This extends the session if its cookie is old enough and `mayExtend` is true. */
  isUsed = false
  mayExtend = true
  /** What the visitor brings from another library was asked for. */
  isTakenOver = false
  #leases: Set<unknown> | undefined
  #state: SessionState
  /** What a session that is not stored looks like: `created` and `expires` stay what they were when first read. */
  #blank: Picture | undefined

  /** The session that the carrier brings or, outside of any visitor's request, the one with this id. */
  constructor(carrier: Carrier, settings: SessionSettings, id?: SessionId) {
    const presented = carrier.presented()
    const { maxAge } = settings
    this.carrier = carrier
    this.settings = settings
    this.isVisitors = id === undefined
    this.outbox = new Outbox(carrier, presented, maxAge)
    const { secret, absolute } = presented ?? {}
    const knownId = presented?.id ?? id
    this.#state = knownId
      ? { kind: 'presented', secret, id: knownId, maxAge: presented?.maxAge ?? maxAge, absolute }
      : { kind: 'new', secret, maxAge }
  }

  /** The leases of `once` that this request holds. Made once they are asked for, since most requests hold none. */
  get leases(): Set<unknown> {
    this.#leases ??= new Set()
    return this.#leases
  }

  get state(): SessionState {
    return this.#state
  }

  /** The state of a session that is stored, as far as this request knows. */
  get stored(): StoredSession | undefined {
    return isStored(this.#state) ? this.#state : undefined
  }

  /** The store, for the task that is running. If a listener of failures has begun the task, no event tells that a call fails. */
  get store(): Store {
    const { store } = this.settings
    return this.queue.isFromListener ? callsOf(store, whileReporting) : store
  }

  get secret(): Secret | undefined {
    return secretOf(this.#state)
  }

  get id(): SessionId | undefined {
    return this.#state.kind === 'new' ? undefined : this.#state.id
  }

  /** Whether there is a picture that shows what this request has written. */
  get isPictured(): boolean {
    const state = this.#state
    return state.kind === 'live' && state.picture !== undefined && !state.isStale
  }

  /** What the session looked like when it was last read, or would look like if it were stored now. */
  get picture(): Picture {
    const state = this.#state
    if (state.kind === 'live' && state.picture) return state.picture
    if (isStored(state)) return this.pictureOf({})
    this.#blank ??= this.pictureOf({})
    return this.#blank
  }

  /** What the session would look like with these fields if it were stored now. */
  pictureOf(fields: Fields): Picture {
    return newPicture(this.settings, this.#state.maxAge, fields)
  }

  /** Something has happened to the session. The outbox tells the visitor what that means for the cookie. */
  on(event: SessionEvent): void {
    const before = this.#state
    const after = next(before, event)
    this.#state = after
    if (after.kind !== before.kind || after.maxAge !== before.maxAge) this.#blank = undefined
    this.outbox.on(event, before, after)
  }

  /** The store does not have the session, or only its tombstone. Throws if this request had seen the session. */
  onMissing(tombstone?: Tombstone): void {
    const { stored, isVisitors } = this
    if (!stored) return
    const { id, maxAge, absolute } = stored
    if (isVisitors && !tombstone) {
      const isExpired = endOfLife(this.outbox.cookie.issued, maxAge, absolute) <= Date.now()
      publish({ type: isExpired ? 'expired' : 'unknown id', id })
    }
    this.on({ type: 'missing', tombstone, isVisitors, maxAge: this.settings.maxAge })
    if (this.#state.kind === 'ended') throw new SessionEndedError()
  }

  /** Gives the visitor the cookie of the session, which other requests know too. */
  sendCookie(): void {
    this.outbox.sendCookie(this.#state, this.picture.expires)
  }
}
