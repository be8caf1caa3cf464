import { CommandError, SessionEndedError, SessionTooLargeError, StoreUnavailableError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { newSecret, type Secret } from '../ids.ts'
import type { Change } from '../language/change.ts'
import { answerable, excerpt, valueAt } from '../language/excerpt.ts'
import { holds } from '../language/guard.ts'
import { applied } from '../language/operators.ts'
import type { Path } from '../language/paths.ts'
import { boundOf, sizeOf } from '../language/size.ts'
import { copied, type Fields } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import type { Answer, Applied, Store } from '../store/store.ts'
import { afterApplied, foreseen } from './answers.ts'
import { assertCarries, type Carrier } from './carrier.ts'
import { create } from './creation.ts'
import { destroy } from './destruction.ts'
import { extensionOf, isDue, type Touch } from './extending.ts'
import { follow, look, stillLives } from './lookup.ts'
import type { Lifetimes, Picture } from './picture.ts'
import { Queue } from './queue.ts'
import { type Regeneration, regenerate } from './regeneration.ts'
import { Known } from './state.ts'
import { type Brought, adopt as carryOver } from './takeover.ts'
import { type TokenKey, tokenKeyOf } from './tokens.ts'

export interface VisitOptions extends Lifetimes {
  readonly store: Store
  /** Using a session whose cookie is older than this extends it, milliseconds. */
  readonly touchAfter: number
  /** The largest that a change may make the fields of a session, bytes of BSON. */
  readonly maxSize: number
  /** What a visitor without a session brings from elsewhere; asked before anything else is done. */
  readonly adopt?: () => Promise<Brought>
}

/** Milliseconds after which a cookie is looked at once more before it leaves: its session may have ended meanwhile. */
const PROMPT = 5

const nothing: Change = { guards: [], operations: [] }

/** So often a session is touched anew because others wrote to it meanwhile. */
const MAX_TRIES = 50

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
  /** How many calls that take the visitor's id away have begun and are not done. */
  #replacing = 0

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

  /** Makes sure there is a picture, and that it shows what this request has written. */
  load(again = false): Promise<void> {
    return this.queue.run(async () => {
      this.#used = true
      if (again && this.#known.isStored()) await look(this.#known, this.#store)
      else await this.refresh()
      await this.#adopt()
      if (this.#known.state === 'ended' && again) throw new SessionEndedError()
    })
  }

  /** In its turn: brings the picture up to date with what this request has written. */
  async refresh(): Promise<void> {
    if (this.#known.isStored() && !this.#known.isPictured) await look(this.#known, this.#store)
  }

  /** Reads fields without loading the session: a value for each path. */
  async get(paths: readonly Path[]): Promise<unknown[]> {
    const fields = await this.excerpt(paths)
    // Once each: a large value may have been named many times.
    const values = new Map([...new Set(paths)].map(path => [path, copied(valueAt(fields, path))]))
    return paths.map(path => values.get(path))
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
      if (!found || !(await follow(this.#known, this.#store, found))) this.#known.gone(found)
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
      if (this.#known.state !== 'new') await this.#touch(maxAge)
      // There is none: the next one is to have it.
      if (maxAge !== undefined && !this.#known.isStored()) this.#known.remember(maxAge)
    })
  }

  async #touch(maxAge: number | undefined): Promise<void> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      // Without a cookie, only the store knows the session's own lifetime and its limit.
      if (!this.#known.isVisitors && (tries > 1 || !this.#known.isPictured))
        await look(this.#known, this.#store)
      const outcome = await this.apply(nothing, { paths: [], when: 'after' }, { maxAge })
      if (outcome && outcome.maxAge === undefined) return
    }
    throw new StoreUnavailableError('Others keep writing to the session', 'none')
  }

  /** Ends the session. The visitor forgets it, unless another request may have given the visitor a newer one. */
  destroy(): Promise<void> {
    return this.#replace(async () => {
      await this.#adopt()
      await destroy(this.#known, this.#store)
    })
  }

  /** A brand-new stored session under a new id, as it was asked for; the old one is ended. */
  regenerate(asked: Regeneration): Promise<void> {
    return this.#replace(async () => {
      assertCarries(this.#known)
      await this.#adopt()
      await regenerate(this.#known, this.#store, this.#options, asked)
    })
  }

  /** In its turn: what takes the visitor's id away. */
  #replace(task: () => Promise<void>): Promise<void> {
    this.#replacing++
    return this.queue.run(task).finally(() => {
      this.#replacing--
    })
  }

  /** What CSRF tokens are made with. For a new visitor, a session is stored to have one. */
  tokenKey(): TokenKey {
    if (this.#replacing > 0) {
      throw new CommandError(
        'createCSRF() was called while regenerate() or destroy() is under way, and its token would be worthless: ' +
          'await that first',
      )
    }
    const secret = this.#known.secret ?? this.#secretToBe()
    this.#known.hasTokens = true
    return tokenKeyOf(secret)
  }

  /** The secret of a session that is about to be stored. The page may leave at once, so its cookie is set at once too. */
  #secretToBe(): Secret {
    assertCarries(this.#known)
    if (this.#known.state !== 'new') throw new SessionEndedError()
    const { tokens } = this.#known
    const secret = newSecret()
    this.#known.secret = secret
    this.#known.offer(secret, this.picture, tokens)
    let failure: unknown
    const stored = this.queue.run(async () => {
      await this.#adopt()
      if (this.#known.state === 'new') await create(this.#known, this.#store, {})
    })
    this.queue.track(
      stored.catch(error => {
        failure = error
      }),
      () => failure,
    )
    return secret
  }

  /** What good tokens may have been made with. */
  get tokenKeys(): readonly TokenKey[] {
    return this.#known.tokenKeys
  }

  /** Before the response leaves: extends a session that was only read and whose cookie is old enough. */
  async finish(): Promise<void> {
    if (this.#known.state !== 'live' || this.queue.isAway) return
    if (this.#isDue()) {
      await this.queue
        .run(async () => {
          const outcome = await this.apply(nothing)
          if (outcome?.maxAge !== undefined) await this.apply(nothing)
        })
        .catch(error => {
          // Where the store cannot, the next request tries again: this one may go by what it has read.
          if (!(error instanceof SessionEndedError || error instanceof StoreUnavailableError)) throw error
        })
    } else if (this.#known.outdated && this.#known.carrier.canCarry()) {
      // Where the store cannot tell, another request will do it.
      await this.#askWhetherItLives(lives => lives && this.#known.reissue())
    } else {
      await this.recheck()
    }
  }

  /** Takes back a late cookie of a session that others may have ended meanwhile. */
  async recheck(): Promise<void> {
    if (this.#known.state !== 'live' || this.#known.told === undefined || this.queue.isAway) return
    if (Date.now() - this.#known.told <= PROMPT) return
    // Where the store cannot tell, it most likely lives.
    await this.#askWhetherItLives(lives => lives || this.#known.carrier.withdraw())
  }

  /** In turn: what is begun meanwhile may end the session, or give the visitor another one's cookie. */
  #askWhetherItLives(act: (lives: boolean) => unknown): Promise<unknown> {
    return this.queue.run(async () => act(await stillLives(this.#known, this.#store))).catch(() => {})
  }

  /**
   * In its turn: carries out a change, and keeps the picture up to date. `null`: a guard, or the revision that a touch goes
   * by, did not hold.
   */
  async apply(change: Change, answer?: Answer, touch?: Touch): Promise<Applied | null> {
    this.#used = true
    await this.#adopt()
    if (this.#known.state === 'new') return this.#createBy(change, answer)
    const id = this.#known.id
    if (!id || !this.#known.isStored()) throw new SessionEndedError()
    const sent = this.#sent(change, touch)
    // A picture needs the revision, too.
    const known = answer?.when === 'after' && !this.#known.isPictured ? foreseen(change) : undefined
    const outcome = await this.#store.update(id, sent, known ? undefined : answer)
    if (outcome === 'ended') {
      await look(this.#known, this.#store)
      if (this.#known.isStored()) return this.apply(change, answer, touch)
      throw new SessionEndedError()
    }
    if (outcome === 'absent') {
      this.#known.gone()
      await this.#adopt()
      if (this.#known.isStored()) return this.apply(change, answer, touch)
      return touch ? {} : this.#createBy(change, answer)
    }
    this.#known.state = 'live'
    if (outcome === 'refused') return null
    this.#known.note(sent, outcome, answer)
    return known ? { ...outcome, fields: known } : outcome
  }

  /** The first change of a new session: stored if it leaves something, since an empty session is as good as none. */
  async #createBy(change: Change, answer?: Answer): Promise<Applied | null> {
    if (!holds(change.guards, {})) return null
    const fields = applied({}, change.operations)
    if (sizeOf(fields) > this.#options.maxSize) throw new SessionTooLargeError()
    if (Object.keys(fields).length === 0) return { rev: 0, fields: {} }
    assertCarries(this.#known)
    await create(this.#known, this.#store, fields)
    if (this.#known.stale && answer) await look(this.#known, this.#store).catch(afterApplied)
    return { rev: this.picture.rev, fields: answer?.when === 'before' ? {} : this.picture.fields }
  }

  /** Stores what the visitor brings from elsewhere as a session of ours. */
  #adopt(): Promise<void> | undefined {
    const { adopt } = this.#options
    if (!adopt || this.#adopted || this.#known.state !== 'new' || !this.#known.carrier.canCarry()) return
    return carryOver(this.#known, this.#store, this.#options.maxSize, adopt).then(() => {
      this.#adopted = true
    })
  }

  /** The change as it is sent: extending the session if that is due, and held to a size if it can grow it. */
  #sent({ guards, operations }: Change, touch: Touch | undefined): Change {
    const extension = touch || this.#isDue() ? extensionOf(this.#known, touch?.maxAge) : undefined
    return { guards, operations, ...extension, ...boundOf(operations, this.#options.maxSize) }
  }

  #isDue(): boolean {
    if (!this.#used || !this.#extend || !this.#known.carrier.canCarry()) return false
    return isDue(this.#known, this.#options.touchAfter, this.#options.maxAge)
  }
}
