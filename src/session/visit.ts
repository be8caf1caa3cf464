import { CommandError, SessionEndedError, StoreUnavailableError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { newSecret, type Secret } from '../ids.ts'
import type { Change } from '../language/change.ts'
import { answerable, excerpt } from '../language/excerpt.ts'
import type { Path } from '../language/paths.ts'
import type { Fields } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import type { Answer, Applied } from '../store/store.ts'
import { assertCarries, type Carrier } from './carrier.ts'
import { create } from './creation.ts'
import { CurrentSession, type SessionSettings } from './current.ts'
import { destroy } from './ending.ts'
import { followTombstone, look } from './lookup.ts'
import type { Picture } from './picture.ts'
import type { Queue } from './queue.ts'
import { type Regeneration, regenerate } from './regeneration.ts'
import { isOver } from './state.ts'
import { takeOver } from './takeover.ts'
import type { TokenKey } from './tokens.ts'
import { extend, isDue, touch, update } from './update.ts'

/** Milliseconds after which a cookie is checked again before it is sent: its session may have ended meanwhile. */
const PROMPT = 5

/** One request's dealings with one session: its calls to the store, one after another. */
export class Visit {
  readonly queue: Queue
  readonly #session: CurrentSession
  /** How many calls of `destroy` and `regenerate` are under way: they take the visitor's id away. */
  #replacing = 0

  /** The session is the one that the carrier brings or, outside of any visitor's request, the one with this id. */
  constructor(carrier: Carrier, settings: SessionSettings, id?: SessionId) {
    this.#session = new CurrentSession(carrier, settings, id)
    this.queue = this.#session.queue
  }

  /** The id of a session that the store is known to have. */
  get id(): SessionId | undefined {
    return this.#session.state.kind === 'live' ? this.#session.id : undefined
  }

  /** Whether no session is stored, as far as this request knows. */
  get isNew(): boolean {
    return this.#session.state.kind === 'new'
  }

  get isPictured(): boolean {
    return this.#session.isPictured
  }

  /** What identifies runs of `once` for this path: for a stored session the store and the id, otherwise this request. */
  runAs(path: Path): { readonly owner: object; readonly key: string } {
    const { stored, settings } = this.#session
    return stored ? { owner: settings.store, key: `${stored.id} ${path}` } : { owner: this, key: path }
  }

  /** The leases of `once` that this request holds. */
  get leases(): Set<unknown> {
    return this.#session.leases
  }

  /** What the session looked like when it was last read, or would look like if it were stored now. */
  get picture(): Picture {
    return this.#session.picture
  }

  /**
   * Makes sure there is a picture that shows what this request has written; `again`: one that is read now. If that fails, the next
   * use of the picture reads it.
   */
  load(again = false): Promise<void> {
    const session = this.#session
    const loaded = this.queue.run(async () => {
      session.isUsed = true
      if (again) await look(session)
      else await this.refresh()
      await takeOver(session)
      assertThere(session, again)
    })
    if (!again) return loaded
    return loaded.catch(error => {
      session.on({ type: 'outdated' })
      throw error
    })
  }

  /** For a task in the queue: brings the picture up to date with what this request has written. */
  async refresh(): Promise<void> {
    if (this.#session.stored && !this.#session.isPictured) await look(this.#session)
  }

  /**
   * Reads the fields at the given paths, nested as they are, of one instant; `again`: as they are stored now. The session need
   * not be loaded.
   */
  excerpt(paths: readonly Path[], again = false): Promise<Fields> {
    const session = this.#session
    return this.queue.run(async () => {
      session.isUsed = true
      assertThere(session, true)
      await takeOver(session)
      const { stored } = session
      if (!stored) return {}
      if (session.isPictured && !again) return excerpt(session.picture.fields, paths)
      const found = await session.store.read(stored.id, answerable(paths))
      if (found && !isEnded(found)) {
        session.on({ type: 'answered' })
        return found.fields
      }
      if (!found || !(await followTombstone(session, found))) session.onMissing(found)
      await takeOver(session)
      return excerpt(session.picture.fields, paths)
    })
  }

  /** In its turn: carries out a change, and gives the fields at these paths after it. `null`: a guard did not hold. */
  change(change: Change, paths: readonly Path[]): Promise<Fields | null> {
    return this.queue.run(async () => {
      const outcome = await this.apply(change, { paths: answerable(paths), when: 'after' })
      return outcome && (outcome.fields ?? {})
    })
  }

  /** Lets this request use the session without keeping it alive. */
  doNotExtend(): void {
    this.#session.mayExtend = false
  }

  /** Moves the end of the session's life; with `maxAge`, gives it that lifetime from now on. */
  touch(maxAge?: number): Promise<void> {
    return this.queue.run(async () => {
      if (this.#session.state.kind !== 'new') await touch(this.#session, maxAge)
      // A new session has the lifetime once it is stored.
      if (maxAge !== undefined) this.#session.on({ type: 'given a lifetime', maxAge })
    })
  }

  /** Ends the session. The visitor forgets it, unless another request may have given the visitor a newer one. */
  destroy(): Promise<void> {
    return this.#replace(async () => {
      const session = this.#session
      await takeOver(session)
      // Another library's session that there may be is ended only where ours could be made from it.
      if (session.settings.adopt && !session.isTakenOver && session.state.kind === 'new')
        assertCarries(session)
      await destroy(session)
    })
  }

  /** A brand-new stored session under a new id, as it was asked for; the old one is ended. */
  regenerate(asked: Regeneration): Promise<void> {
    return this.#replace(async () => {
      assertCarries(this.#session)
      await takeOver(this.#session)
      await regenerate(this.#session, asked)
    })
  }

  /** Runs, in its turn, a call that takes the visitor's id away. */
  #replace(task: () => Promise<void>): Promise<void> {
    this.#replacing++
    return this.queue.run(task).finally(() => {
      this.#replacing--
    })
  }

  /** For a task in the queue: carries out a change. `null`: a guard did not hold. */
  apply(change: Change, answer?: Answer): Promise<Applied | null> {
    return update(this.#session, change, answer)
  }

  /** What CSRF tokens are made with. For a new visitor, a session is stored to have one. */
  tokenKey(): TokenKey {
    if (this.#replacing > 0) {
      throw new CommandError(
        'createCSRF() was called while regenerate() or destroy() is under way, and its token would be worthless: ' +
          'await that first',
      )
    }
    const secret = this.#session.secret ?? this.#secretToBe()
    return this.#session.outbox.newTokenKey(secret)
  }

  /** The secret of a session that is about to be stored. The page may leave at once, so its cookie is set at once too. */
  #secretToBe(): Secret {
    const session = this.#session
    assertCarries(session)
    if (session.state.kind !== 'new') throw new SessionEndedError()
    const secret = newSecret()
    session.on({ type: 'planned', secret })
    session.outbox.offer(secret, session.picture, session.outbox.tokensOfPage)
    const stored = this.queue.run(async () => {
      await takeOver(session)
      if (session.state.kind === 'new') await create(session, {})
    })
    void this.queue.watch(stored)
    return secret
  }

  /** The keys of valid tokens. */
  get tokenKeys(): readonly TokenKey[] {
    return this.#session.outbox.tokenKeys(this.#session.state)
  }

  /** Before the response leaves: extends a session that was only read and whose cookie is old enough. */
  async finish(): Promise<void> {
    const session = this.#session
    if (session.state.kind !== 'live' || this.queue.isAway) return
    if (isDue(session)) {
      await this.queue
        .run(() => extend(session))
        .catch(error => {
          // If the store is unavailable, the next request tries again: this one has read what it needs.
          if (!(error instanceof SessionEndedError || error instanceof StoreUnavailableError)) throw error
        })
    } else if (session.outbox.cookie.outdated && session.carrier.canCarry()) {
      // If the store is unavailable, another request will do it.
      await this.#askWhetherItLives(lives => {
        if (lives && session.stored) session.outbox.resend(session.stored)
      })
    } else {
      await this.recheck()
    }
  }

  /**
   * Removes the response's cookie if another request has ended its session since: the visitor may have a newer cookie, which must
   * not be replaced.
   */
  async recheck(): Promise<void> {
    const { state, outbox } = this.#session
    if (state.kind !== 'live' || outbox.cookieSentAt === undefined || this.queue.isAway) return
    if (Date.now() - outbox.cookieSentAt <= PROMPT) return
    // If the store is unavailable, the session most likely lives.
    await this.#askWhetherItLives(lives => {
      if (!lives) outbox.tellNothing()
    })
  }

  /** In its turn, because a call before it may end the session, or give the visitor the cookie of another one. */
  #askWhetherItLives(act: (lives: boolean) => void): Promise<void> {
    return this.queue
      .run(async () => {
        const { store, stored } = this.#session
        if (!stored) return
        const found = await store.read(stored.id, [])
        act(found !== undefined && !isEnded(found))
      })
      .catch(() => {})
  }
}

/** A visitor whose session has ended may be shown as a new one, but not if what is stored was asked for. For others it is an error. */
function assertThere({ state, isVisitors }: CurrentSession, isStoredAskedFor: boolean): void {
  const isEndedFor = isVisitors ? isStoredAskedFor && state.kind === 'ended' : isOver(state)
  if (isEndedFor) throw new SessionEndedError()
}
