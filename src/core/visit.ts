import type { Carrier, Presented } from './carrier.ts'
import type { Change } from './change.ts'
import { timed } from './deadline.ts'
import { ConfigurationError, HeadersSentError, SessionEndedError } from './errors.ts'
import { tell } from './events.ts'
import { holds } from './guard.ts'
import { idOf, newSecret, type Secret } from './ids.ts'
import { applied } from './operators.ts'
import type { Path } from './paths.ts'
import {
  answerable,
  completed,
  excerpt,
  type Lifetimes,
  newPicture,
  type Picture,
  valueAt,
} from './picture.ts'
import { Queue } from './queue.ts'
import { endOfLife, isEnded, type SessionId, type SessionRecord, type Tombstone } from './record.ts'
import type { Answer, Applied, Store } from './store.ts'
import { endOld, follower, insertNew, isFollowable } from './succession.ts'
import { comesBackAlike, copied, type Fields } from './values.ts'

export interface VisitOptions extends Lifetimes {
  readonly store: () => Store | Promise<Store>
  /** The longest one store call may take, milliseconds. */
  readonly timeout: number
  /** Using a session whose cookie is older than this extends it, milliseconds. */
  readonly touchAfter: number
}

/**
 * What is known of the session:
 * - `new`: none is stored; the first change that leaves something creates it.
 * - `presented`: the visitor brought an id, and the store has not been asked about it yet.
 * - `live`: the store has it.
 * - `late`: it had ended before this request asked; it reads as empty, and only `regenerate` may follow.
 * - `ended`: it ended after this request had seen it, through somebody else.
 * - `destroyed`: this request ended it.
 */
type State = 'new' | 'presented' | 'live' | 'late' | 'ended' | 'destroyed'

/** One request's dealings with one session: its id, its picture, and its calls to the store, one after another. */
export class Visit {
  readonly queue = new Queue()
  readonly #carrier: Carrier
  readonly #options: VisitOptions
  readonly #store: Store
  #state: State
  #secret: Secret | undefined
  #id: SessionId | undefined
  #issued: number
  /** The idle lifetime: the session's own, or what `touch(maxAge)` asked of one that is not stored yet. */
  #maxAge: number
  #picture: Picture | undefined
  /** The picture is behind what this request has written, or what others were seen to have written. */
  #stale = false
  /** The session was used, so it is extended if its cookie is old enough. */
  #used = false
  #extend = true
  /** The visitor's id is not, or no longer, known to the store. */
  #unknown = false
  /** The visitor's cookie is to be sent again as it is, under the first key. */
  #outdated: boolean
  /** Whether it is a visitor who is served: nobody else can be given a new id. */
  readonly #isVisitors: boolean

  /** Of the session that the carrier brings or, outside of any visitor's request, of the one with this id. */
  constructor(carrier: Carrier, options: VisitOptions, id?: SessionId) {
    this.#carrier = carrier
    this.#options = options
    this.#store = timed(options.store, options.timeout)
    const presented = carrier.presented()
    this.#isVisitors = id === undefined
    this.#state = presented || id ? 'presented' : 'new'
    this.#secret = presented?.secret
    this.#id = presented ? idOf(presented.secret) : id
    this.#issued = presented?.issued ?? 0
    this.#maxAge = presented?.maxAge ?? options.maxAge
    this.#outdated = presented?.outdated === true
  }

  /** The id of a session that the store is known to have. */
  get id(): SessionId | undefined {
    return this.#state === 'live' ? this.#id : undefined
  }

  /** What the session looked like when it was last read, or would look like if it were stored now. */
  get picture(): Picture {
    if (this.#picture) return this.#picture
    const blank = this.#pictureOf({})
    if (!this.#isStored()) this.#picture = blank
    return blank
  }

  /** Carries out a change after those before it; `null`: a guard did not hold. Keeps the picture up to date. */
  apply(change: Change, answer?: Answer): Promise<Applied | null> {
    return this.queue.run(() => this.#change(change, answer))
  }

  /** Makes sure there is a picture, and that it shows what this request has written. */
  load(again = false): Promise<void> {
    return this.queue.run(async () => {
      this.#used = true
      const known = this.#picture && !this.#stale
      if (this.#isStored() && (again || !known)) await this.#read()
      if (this.#state === 'ended' && again) throw new SessionEndedError()
    })
  }

  /** Reads fields without loading the session: a value for each path. */
  async get(paths: readonly Path[]): Promise<unknown[]> {
    const fields = await this.excerpt(paths)
    return paths.map(path => copied(valueAt(fields, path)))
  }

  /** The fields at the given paths, nested as they are, of one instant. */
  excerpt(paths: readonly Path[]): Promise<Fields> {
    return this.queue.run(async () => {
      this.#used = true
      if (this.#state === 'ended') throw new SessionEndedError()
      if (!this.#isStored()) return {}
      if (this.#picture && !this.#stale) return excerpt(this.#picture.fields, paths)
      const found = await this.#store.read(this.#id as SessionId, answerable(paths))
      if (found && !isEnded(found)) {
        this.#state = 'live'
        return found.fields
      }
      if (!found || !(await this.#follow(found))) this.#gone(found)
      return this.#picture ? excerpt(this.#picture.fields, paths) : {}
    })
  }

  /** Lets this request use the session without keeping it alive. */
  doNotExtend(): void {
    this.#extend = false
  }

  /** Moves the end of the session's life; with `maxAge`, gives it that lifetime from now on. */
  touch(maxAge?: number): Promise<void> {
    return this.queue.run(async () => {
      if (maxAge !== undefined) this.#maxAge = maxAge
      if (this.#state === 'new') this.#picture = undefined
      else {
        const change = { guards: [], operations: [], ...this.#extension(maxAge) }
        await this.#change(change, { paths: [], when: 'after' })
      }
    })
  }

  /** Ends the session. The visitor forgets it, unless another request may have given the visitor a newer one. */
  destroy(): Promise<void> {
    return this.queue.run(async () => {
      while (this.#id && this.#isStored()) {
        const id = this.#id
        const ended = await endOld(this.#store, id)
        const found = ended ? undefined : await this.#store.load(id)
        if (found && isEnded(found) && (await this.#follow(found))) continue
        if (ended) tell({ type: 'ended', id })
        if (!found) this.#carrier.clear()
        this.#picture = undefined
        this.#state = found ? 'late' : 'destroyed'
      }
    })
  }

  /**
   * A brand-new stored session under a new id, with the fields that `keep` names; the old one is ended. For `grace`
   * milliseconds, who comes with the old id is led on to the new one.
   */
  regenerate(keep: boolean | readonly Path[], grace = 0): Promise<void> {
    return this.queue.run(async () => {
      if (this.#state === 'ended') throw new SessionEndedError()
      this.#assertCarries()
      if (keep !== false && this.#isStored() && (!this.#picture || this.#stale)) await this.#read()
      const former = this.#id
      while (!(await this.#succeed(keep, grace))) {
        await this.#read()
        // Another request was quicker, and with grace: this one goes on in the session that that one made.
        if (this.#id !== former) return
      }
      tell({ type: 'regenerated', id: this.#id as SessionId, former })
    })
  }

  /** The secret that CSRF tokens are bound to. For a new visitor, a session is stored to have one. */
  tokenSecret(): Secret {
    if (this.#secret) return this.#secret
    this.#assertCarries()
    this.#secret = newSecret()
    let failure: unknown
    const stored = this.queue.run(async () => {
      if (this.#state === 'new') await this.#create({})
    })
    this.queue.track(
      stored.catch(error => {
        failure = error
      }),
      () => failure,
    )
    return this.#secret
  }

  /** What tokens are checked against. */
  get secret(): Secret | undefined {
    return this.#secret
  }

  /**
   * Before the response leaves: extends a session that was only read and whose cookie is old enough, and makes the
   * visitor forget an id that nothing is stored under.
   */
  async finish(): Promise<void> {
    if (this.#state === 'new' && this.#unknown && this.#carrier.canCarry()) this.#carrier.clear()
    if (this.#state !== 'live') return
    if (this.#isDue()) {
      await this.apply({ guards: [], operations: [] }).catch(error => {
        if (!(error instanceof SessionEndedError)) throw error
      })
    } else if (this.#outdated && this.#carrier.canCarry()) {
      this.#carrier.carry(this.#presented(), new Date(this.#issued + this.#maxAge))
    }
  }

  async #change(change: Change, answer?: Answer): Promise<Applied | null> {
    this.#used = true
    if (this.#state === 'new') return this.#createBy(change, answer)
    const id = this.#id
    if (!id || !this.#isStored()) throw new SessionEndedError()
    const sent = change.expires || !this.#isDue() ? change : { ...change, ...this.#extension() }
    const outcome = await this.#store.update(id, sent, answer)
    if (outcome === 'ended') {
      await this.#read()
      if (this.#isStored()) return this.#change(change, answer)
      throw new SessionEndedError()
    }
    if (outcome === 'absent') {
      this.#gone()
      return change.expires ? {} : this.#createBy(change, answer)
    }
    this.#state = 'live'
    if (outcome === 'refused') return null
    this.#note(sent, outcome, answer)
    return outcome
  }

  /** Brings the picture one revision on where the answer allows, and the cookie where the session was extended. */
  #note({ operations, expires }: Change, { rev, fields }: Applied, answer: Answer | undefined): void {
    const picture = this.#picture
    const next = picture && rev === picture.rev + 1
    if (next && answer?.when === 'after' && fields) {
      this.#picture = completed(picture, rev, answer.paths, fields)
    } else if (next && operations.length === 1) {
      // Only `take` asks for what was before, and removing needs no answer.
      this.#picture = { ...picture, rev, fields: applied(picture.fields, operations) }
    } else {
      this.#stale = true
    }
    if (!expires) return
    if (this.#picture) this.#picture = { ...this.#picture, expires, maxAge: this.#maxAge }
    this.#carry(expires)
  }

  /** The first change of a new session: stored if it leaves something, since an empty session is as good as none. */
  async #createBy(change: Change, answer?: Answer): Promise<Applied | null> {
    if (!holds(change.guards, {})) return null
    const fields = applied({}, change.operations)
    if (Object.keys(fields).length === 0) return { rev: 0, fields: {} }
    this.#assertCarries()
    await this.#create(fields)
    if (this.#stale && answer) await this.#read()
    return { rev: this.picture.rev, fields: answer?.when === 'before' ? {} : this.picture.fields }
  }

  async #create(fields: Fields): Promise<void> {
    const planned = this.#secret ?? newSecret()
    this.#secret = planned
    const picture = this.#pictureOf(fields)
    // Before it is stored: a response that leaves meanwhile must not leave without what was kept for its visitor.
    this.#carry(picture.expires)
    try {
      this.#adopt(await insertNew(this.#store, picture, planned), picture)
    } catch (error) {
      this.#carrier.withdraw()
      throw error
    }
    if (this.#secret !== planned) this.#carry(picture.expires)
    tell({ type: 'created', id: this.#id as SessionId })
  }

  /** One attempt at a successor that has all that was acknowledged; false if the old session moved on meanwhile. */
  async #succeed(keep: boolean | readonly Path[], grace: number): Promise<boolean> {
    const old = this.#isStored() ? this.#id : undefined
    const seen = this.#state === 'live'
    const { fields, maxAge, absolute, rev } = this.picture
    const kept = keep === true ? fields : keep === false ? {} : excerpt(fields, keep)
    const next: Picture = {
      ...newPicture(this.#options, keep === true || this.#state === 'new' ? maxAge : undefined, kept),
      // Rotation of the same session must not outlive its absolute limit.
      ...(keep === true && absolute && { absolute }),
    }
    const following = grace > 0 && this.#secret ? follower(grace) : undefined
    const planned = following ? this.#carrier.derive(this.#secret as Secret, following) : newSecret()
    const secret = await insertNew(this.#store, next, planned)
    if (old) {
      const at = keep === false ? undefined : rev
      const ended = await endOld(this.#store, old, at, following).catch(async error => {
        await this.#discard(secret)
        throw error
      })
      if (!ended && seen) {
        await this.#discard(secret)
        return false
      }
    }
    this.#maxAge = next.maxAge
    this.#adopt(secret, next)
    this.#carry(next.expires)
    return true
  }

  /** Best effort: a record whose secret nobody has is of no use to anybody, and expires. */
  async #discard(secret: Secret): Promise<void> {
    await this.#store.delete(idOf(secret)).catch(() => {})
  }

  #adopt(secret: Secret, picture: Picture): void {
    this.#secret = secret
    this.#id = idOf(secret)
    this.#picture = picture
    this.#stale = !comesBackAlike(picture.fields)
    this.#state = 'live'
    this.#unknown = false
  }

  /** Reads the session, or the one it was replaced by. Throws if what this request had seen is gone. */
  async #read(): Promise<void> {
    const found = await this.#store.load(this.#id as SessionId)
    if (found && !isEnded(found)) this.#see(found)
    else if (!found || !(await this.#follow(found))) this.#gone(found)
  }

  #see(found: SessionRecord): void {
    this.#state = 'live'
    this.#picture = found
    this.#stale = false
    this.#maxAge = found.maxAge
  }

  /** Goes on in the session that replaced this one, while its grace lasts; the visitor gets its cookie. */
  async #follow({ next }: Tombstone): Promise<boolean> {
    const secret = this.#secret
    if (!secret || !next || !isFollowable(next) || !this.#carrier.canCarry()) return false
    const following = this.#carrier.derive(secret, next)
    const found = await this.#store.load(idOf(following))
    if (!found) return false
    this.#secret = following
    this.#id = idOf(following)
    if (isEnded(found)) return this.#follow(found)
    this.#see(found)
    this.#carry(endOfLife(found))
    return true
  }

  /** Takes note that the store does not have the session, or only what is left of it. */
  #gone(tombstone?: Tombstone): void {
    const id = this.#id as SessionId
    const expired = this.#issued + this.#maxAge <= Date.now()
    if (!tombstone) tell({ type: expired && this.#isVisitors ? 'expired' : 'unknown id', id })
    this.#picture = undefined
    this.#maxAge = this.#options.maxAge
    if (this.#state === 'live' || !this.#isVisitors) {
      this.#state = 'ended'
      throw new SessionEndedError()
    }
    this.#state = tombstone ? 'late' : 'new'
    if (tombstone) return
    this.#unknown = true
    this.#secret = undefined
    this.#id = undefined
  }

  #isStored(): boolean {
    return this.#state === 'live' || this.#state === 'presented'
  }

  #isDue(): boolean {
    const age = Date.now() - this.#issued
    return this.#used && this.#extend && age >= this.#options.touchAfter && this.#carrier.canCarry()
  }

  #extension(maxAge?: number): Pick<Change, 'expires' | 'maxAge'> {
    const expires = new Date(Date.now() + this.#maxAge)
    return { expires, ...(maxAge !== undefined && { maxAge }) }
  }

  #carry(expires: Date): void {
    this.#issued = Date.now()
    this.#carrier.carry(this.#presented(), expires)
    this.#outdated = false
  }

  #presented(): Presented {
    return { secret: this.#secret as Secret, issued: this.#issued, maxAge: this.#maxAge }
  }

  #assertCarries(): void {
    if (!this.#isVisitors) {
      throw new ConfigurationError(
        'Only a request of its visitor can give a session a new id or a CSRF token',
      )
    }
    if (this.#carrier.canCarry()) return
    throw new HeadersSentError(
      'The session needs a cookie and the response has begun: write to a new session, regenerate it or ' +
        'create its CSRF token before the headers are sent',
    )
  }

  #pictureOf(fields: Fields): Picture {
    return newPicture(this.#options, this.#maxAge, fields)
  }
}
