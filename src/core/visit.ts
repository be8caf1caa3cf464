import { afterApplied } from './answers.ts'
import type { Carrier } from './carrier.ts'
import type { Change, Operation } from './change.ts'
import { commands } from './commands.ts'
import { SessionEndedError, SessionTooLargeError, StoreUnavailableError } from './errors.ts'
import { tell } from './events.ts'
import { Fold } from './fold.ts'
import { holds } from './guard.ts'
import { idOf, newSecret, type Secret } from './ids.ts'
import { Known } from './known.ts'
import { applied } from './operators.ts'
import type { Path } from './paths.ts'
import { answerable, excerpt, type Lifetimes, newPicture, type Picture, valueAt } from './picture.ts'
import { Queue } from './queue.ts'
import { endOfLife, isEnded, type SessionId, type Tombstone } from './record.ts'
import { growthOf, sizeOf } from './size.ts'
import type { Answer, Applied, Store } from './store.ts'
import { endOld, follower, insertNew, isFollowable } from './succession.ts'
import { copied, type Fields } from './values.ts'

export interface VisitOptions extends Lifetimes {
  readonly store: Store
  /** Using a session whose cookie is older than this extends it, milliseconds. */
  readonly touchAfter: number
  /** The largest that a change may make the fields of a session, bytes of BSON. */
  readonly maxSize: number
  /** What a visitor without a session brings from elsewhere; asked before anything else is done. */
  readonly adopt?: () => Promise<Brought>
}

/** What a visitor brings from another library's session. */
export interface Brought {
  readonly fields: Record<string, unknown>
  /** Ends the other session, once this one is stored. */
  end(): Promise<void>
}

/** Milliseconds after which a response is late: what it says of the session's end is looked at once more. */
const PROMPT = 100

/** So often a session is copied anew because others wrote to it meanwhile. */
const MOST_TRIES = 50

/** One request's dealings with one session: its calls to the store, one after another. */
export class Visit {
  readonly queue = new Queue()
  readonly #known: Known
  readonly #options: VisitOptions
  readonly #store: Store
  /** The session was used, so it is extended if its cookie is old enough. */
  #used = false
  #extend = true
  #adopted = false

  /** Of the session that the carrier brings or, outside of any visitor's request, of the one with this id. */
  constructor(carrier: Carrier, options: VisitOptions, id?: SessionId) {
    this.#known = new Known(carrier, options, id)
    this.#options = options
    this.#store = options.store
  }

  /** The id of a session that the store is known to have. */
  get id(): SessionId | undefined {
    return this.#known.state === 'live' ? this.#known.id : undefined
  }

  /** What the session looked like when it was last read, or would look like if it were stored now. */
  get picture(): Picture {
    return this.#known.picture
  }

  /** Carries out a change after those before it; `null`: a guard did not hold. Keeps the picture up to date. */
  apply(change: Change, answer?: Answer): Promise<Applied | null> {
    return this.queue.run(() => this.#change(change, answer))
  }

  /** Makes sure there is a picture, and that it shows what this request has written. */
  load(again = false): Promise<void> {
    return this.queue.run(async () => {
      this.#used = true
      if (this.#known.isStored() && (again || !this.#known.isPictured)) await this.#read()
      await this.#adopt()
      if (this.#known.state === 'ended' && again) throw new SessionEndedError()
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
      if (this.#known.state === 'ended') throw new SessionEndedError()
      await this.#adopt()
      if (!this.#known.isStored()) return {}
      if (this.#known.isPictured) return excerpt(this.picture.fields, paths)
      const found = await this.#store.read(this.#known.id as SessionId, answerable(paths))
      if (found && !isEnded(found)) {
        this.#known.state = 'live'
        return found.fields
      }
      if (!found || !(await this.#follow(found))) this.#known.gone(found)
      await this.#adopt()
      return excerpt(this.picture.fields, paths)
    })
  }

  /** Lets this request use the session without keeping it alive. */
  doNotExtend(): void {
    this.#extend = false
  }

  /** Moves the end of the session's life; with `maxAge`, gives it that lifetime from now on. */
  touch(maxAge?: number): Promise<void> {
    return this.queue.run(async () => {
      // Without a cookie, only the store knows the session's own lifetime.
      if (!this.#known.isVisitors && !this.#known.isPictured) await this.#read()
      if (maxAge !== undefined) this.#known.remember(maxAge)
      if (this.#known.state === 'new') return
      const change = { guards: [], operations: [], ...this.#known.extension(maxAge) }
      await this.#change(change, { paths: [], when: 'after' })
      // There was none: the next one is to have it.
      if (maxAge !== undefined && !this.#known.isStored()) this.#known.remember(maxAge)
    })
  }

  /** Ends the session. The visitor forgets it, unless another request may have given the visitor a newer one. */
  destroy(): Promise<void> {
    return this.queue.run(async () => {
      await this.#adopt()
      while (this.#known.id && this.#known.isStored()) {
        const id = this.#known.id
        const ended = await endOld(this.#store, id)
        const found = ended ? undefined : await this.#store.load(id)
        if (found && isEnded(found) && (await this.#follow(found))) continue
        if (ended) tell({ type: 'ended', id })
        if (!found) this.#known.carrier.clear()
        this.#known.leave(found ? 'late' : 'destroyed')
      }
    })
  }

  /**
   * A brand-new stored session under a new id, with the fields that `keep` names; the old one is ended. For `grace`
   * milliseconds, who comes with the old id is led on to the new one.
   */
  regenerate(keep: boolean | readonly Path[], grace = 0): Promise<void> {
    return this.queue.run(async () => {
      if (this.#known.state === 'ended') throw new SessionEndedError()
      this.#known.assertCarries()
      await this.#adopt()
      if (keep !== false && this.#known.isStored() && !this.#known.isPictured) await this.#read()
      const former = this.#known.id
      let tries = 0
      while (!(await this.#succeed(keep, grace))) {
        await this.#read()
        // Another request was quicker: a rotation goes on in the session that that one made, a sign-in replaces it.
        if (this.#known.id !== former && keep === true && grace > 0) return
        if (++tries === MOST_TRIES)
          throw new StoreUnavailableError('Others keep writing to the session', 'none')
      }
      tell({ type: 'regenerated', id: this.#known.id as SessionId, former })
    })
  }

  /** The secret that CSRF tokens are bound to. For a new visitor, a session is stored to have one. */
  tokenSecret(): Secret {
    if (this.#known.secret) return this.#known.secret
    this.#known.assertCarries()
    if (this.#known.state !== 'new') throw new SessionEndedError()
    this.#known.secret = newSecret()
    let failure: unknown
    const stored = this.queue.run(async () => {
      await this.#adopt()
      if (this.#known.state === 'new') await this.#create({})
    })
    this.queue.track(
      stored.catch(error => {
        failure = error
      }),
      () => failure,
    )
    return this.#known.secret
  }

  /** What tokens are checked against. */
  get secret(): Secret | undefined {
    return this.#known.secret
  }

  /**
   * Before the response leaves: extends a session that was only read and whose cookie is old enough, and makes the
   * visitor forget an id that nothing is stored under.
   */
  async finish(): Promise<void> {
    if (this.#known.state === 'new' && this.#known.unknown && this.#known.carrier.canCarry())
      this.#known.carrier.clear()
    if (this.#known.state !== 'live') return
    if (this.#isDue()) {
      await this.apply({ guards: [], operations: [] }).catch(error => {
        if (!(error instanceof SessionEndedError)) throw error
      })
    } else if (this.#known.outdated && this.#known.carrier.canCarry()) {
      if (await this.#stillLives()) this.#known.reissue()
    } else if (this.#known.extended !== undefined && Date.now() - this.#known.extended > PROMPT) {
      if (!(await this.#stillLives())) this.#known.carrier.withdraw()
    }
  }

  /** A cookie of a session that has ended meanwhile must not replace the one that its visitor may have been given. */
  async #stillLives(): Promise<boolean> {
    const found = await this.#store.read(this.#known.id as SessionId, [])
    return found !== undefined && !isEnded(found)
  }

  async #change(change: Change, answer?: Answer): Promise<Applied | null> {
    this.#used = true
    await this.#adopt()
    if (this.#known.state === 'new') return this.#createBy(change, answer)
    const id = this.#known.id
    if (!id || !this.#known.isStored()) throw new SessionEndedError()
    const sent = this.#sent(change)
    const outcome = await this.#store.update(id, sent, answer)
    if (outcome === 'ended') {
      await this.#read()
      if (this.#known.isStored()) return this.#change(change, answer)
      throw new SessionEndedError()
    }
    if (outcome === 'absent') {
      this.#known.gone()
      await this.#adopt()
      if (this.#known.isStored()) return this.#change(change, answer)
      return change.expires ? {} : this.#createBy(change, answer)
    }
    this.#known.state = 'live'
    if (outcome === 'refused') return null
    this.#known.note(sent, outcome, answer)
    return outcome
  }

  /** The first change of a new session: stored if it leaves something, since an empty session is as good as none. */
  async #createBy(change: Change, answer?: Answer): Promise<Applied | null> {
    if (!holds(change.guards, {})) return null
    const fields = applied({}, change.operations)
    if (sizeOf(fields) > this.#options.maxSize) throw new SessionTooLargeError()
    if (Object.keys(fields).length === 0) return { rev: 0, fields: {} }
    this.#known.assertCarries()
    await this.#create(fields)
    if (this.#known.stale && answer) await this.#read().catch(afterApplied)
    return { rev: this.picture.rev, fields: answer?.when === 'before' ? {} : this.picture.fields }
  }

  /** Stores what the visitor brings from elsewhere as a session of ours. */
  async #adopt(): Promise<void> {
    const { adopt } = this.#options
    if (!adopt || this.#adopted || this.#known.state !== 'new' || !this.#known.carrier.canCarry()) return
    const { fields, end } = await adopt()
    const fold = new Fold()
    commands.set(fold, fields)
    await this.#createBy(fold.change())
    try {
      await end()
    } catch (error) {
      // Both would live, and the other come back after this one has ended.
      if (this.#known.secret) await this.#discard(this.#known.secret)
      this.#known.withdraw()
      throw error
    }
    this.#adopted = true
  }

  async #create(fields: Fields): Promise<void> {
    const planned = this.#known.secret ?? newSecret()
    this.#known.secret = planned
    const picture = this.#known.pictureOf(fields)
    // Before it is stored: a response that leaves meanwhile must not leave without what was kept for its visitor.
    this.#known.carry(endOfLife(picture))
    try {
      this.#known.adopt(await insertNew(this.#store, picture, planned), picture)
    } catch (error) {
      this.#known.carrier.withdraw()
      throw error
    }
    if (this.#known.secret !== planned) this.#known.carry(endOfLife(picture))
    tell({ type: 'created', id: this.#known.id as SessionId })
  }

  /** One attempt at a successor that has all that was acknowledged; false if the old session moved on meanwhile. */
  async #succeed(keep: boolean | readonly Path[], grace: number): Promise<boolean> {
    const old = this.#known.isStored() ? this.#known.id : undefined
    const seen = this.#known.state === 'live'
    const { fields, maxAge, absolute, rev } = this.picture
    const kept = keep === true ? fields : keep === false ? {} : excerpt(fields, keep)
    const next: Picture = {
      ...newPicture(this.#options, keep === true || this.#known.state === 'new' ? maxAge : undefined, kept),
      // Rotation of the same session must not outlive its absolute limit.
      ...(keep === true && absolute && { absolute }),
    }
    const following = grace > 0 && this.#known.secret ? follower(grace) : undefined
    const planned = following
      ? this.#known.carrier.derive(this.#known.secret as Secret, following)
      : newSecret()
    const secret = await insertNew(this.#store, next, planned)
    if (old) {
      const at = keep === false ? undefined : rev
      const ended = await endOld(this.#store, old, at, following).catch(error => this.#hasEnded(old, error))
      if (ended !== true) {
        if (ended === false && !seen && !(await this.#leadsOn(old))) return this.#takeOver(secret, next)
        // Should the tombstone stand after all, it leads its visitor on to the new session, who loses nothing.
        if (ended === false || !following || ended.outcome !== 'unknown') await this.#discard(secret)
        if (ended !== false) throw ended
        return false
      }
    }
    return this.#takeOver(secret, next)
  }

  #takeOver(secret: Secret, next: Picture): true {
    this.#known.maxAge = next.maxAge
    this.#known.adopt(secret, next)
    this.#known.carry(endOfLife(next))
    return true
  }

  /** Where ending was not confirmed, what stands there now tells; otherwise the error is the answer. */
  async #hasEnded(id: SessionId, error: unknown): Promise<true | StoreUnavailableError> {
    if (!(error instanceof StoreUnavailableError)) throw error
    if (error.outcome === 'none') return error
    const found = await this.#store.load(id).catch(() => 'unread' as const)
    return found === undefined || (found !== 'unread' && isEnded(found)) ? true : error
  }

  /** Whether what was not live any more leads on to a session that is: then that one is to be ended. */
  async #leadsOn(id: SessionId): Promise<boolean> {
    const found = await this.#store.load(id)
    return found !== undefined && isEnded(found) && (await this.#follow(found))
  }

  /** Best effort: a record whose secret nobody has is of no use to anybody, and expires. */
  async #discard(secret: Secret): Promise<void> {
    await this.#store.delete(idOf(secret)).catch(() => {})
  }

  /** Reads the session, or the one it was replaced by. Throws if what this request had seen is gone. */
  async #read(): Promise<void> {
    const found = await this.#store.load(this.#known.id as SessionId)
    if (found && !isEnded(found)) this.#known.see(found)
    else if (!found || !(await this.#follow(found))) this.#known.gone(found)
  }

  /** Goes on in the session that replaced this one, while its grace lasts; the visitor gets its cookie. */
  async #follow({ next }: Tombstone): Promise<boolean> {
    const secret = this.#known.secret
    if (!secret || !next || !isFollowable(next) || !this.#known.carrier.canCarry()) return false
    const following = this.#known.carrier.derive(secret, next)
    const found = await this.#store.load(idOf(following))
    if (!found) return false
    this.#known.secret = following
    this.#known.id = idOf(following)
    if (isEnded(found)) return this.#follow(found)
    this.#known.see(found)
    this.#known.carry(endOfLife(found))
    return true
  }

  /** The change as it is sent: extending the session if that is due, and held to a size if it can grow it. */
  #sent(change: Change): Change {
    const { guards, operations } = change
    const { maxSize } = this.#options
    const { expires, maxAge } = change.expires || !this.#isDue() ? change : this.#known.extension()
    const growth = operations.reduce((sum, operation) => sum + growthOf(operation), 0)
    const isTooLarge = (operation: Operation) => 'arg' in operation && sizeOf(operation.arg) > maxSize
    if (growth > maxSize && operations.some(isTooLarge)) throw new SessionTooLargeError()
    return {
      guards,
      operations,
      ...(expires && { expires }),
      ...(maxAge !== undefined && { maxAge }),
      ...(growth > 0 && { maxSize }),
    }
  }

  #isDue(): boolean {
    const age = Date.now() - this.#known.issued
    return this.#used && this.#extend && age >= this.#options.touchAfter && this.#known.carrier.canCarry()
  }
}
