import { SessionEndedError } from '../errors.ts'
import { publish } from '../events.ts'
import type { SessionId } from '../ids.ts'
import { idOf, type Secret } from '../ids.ts'
import type { Change } from '../language/change.ts'
import { applied } from '../language/operators.ts'
import { comesBackAlike, type Fields } from '../language/values.ts'
import type { SessionRecord, Tombstone } from '../store/record.ts'
import type { Answer, Applied } from '../store/store.ts'
import type { Carrier, Presented } from './carrier.ts'
import { endAfter } from './extending.ts'
import { Teller } from './outbox.ts'
import { completed, type Lifetimes, livingOn, newPicture, type Picture } from './picture.ts'
import { type TokenKey, tokenKeyOf } from './tokens.ts'

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

/** What one request knows of its session, and what its visitor is told: the cookie. Asks nothing of the store. */
export class Known {
  readonly carrier: Carrier
  readonly #lifetimes: Lifetimes
  state: State
  secret: Secret | undefined
  id: SessionId | undefined
  /** When the visitor's cookie was issued, milliseconds since the epoch. */
  issued: number
  /** The idle lifetime: the session's own, or what `touch(maxAge)` asked of one that is not stored yet. */
  maxAge: number
  /** The one that the visitor's cookie says. */
  cookieMaxAge: number
  /** The absolute limit that the session has, milliseconds since the epoch: the cookie or the store has told it. */
  absolute: number | undefined
  /** The picture is behind what this request has written, or what others were seen to have written. */
  stale = false
  /** It has ended because another took its place. */
  replaced = false
  /** What its tombstone says if a renewal of which nobody knows what it did has ended it after all. */
  #pendingSuccessor: string | undefined
  /** The visitor's cookie is to be sent again as it is, under the first key. */
  outdated: boolean
  /** When the visitor was given the cookie of a session that other requests may end meanwhile. */
  told: number | undefined
  /** The visitor's own, if this request was led on from it: pages may hold tokens that were made for it. */
  previousSecret: Secret | undefined
  /** This request has made tokens with `secret`. */
  hasTokens = false
  /** The key of tokens that stay good under the visitor's next cookies. */
  #tokens: TokenKey | undefined
  #picture: Picture | undefined
  readonly #teller: Teller
  /** Whether it is a visitor who is served: nobody else can be given a new id. */
  readonly isVisitors: boolean

  constructor(carrier: Carrier, lifetimes: Lifetimes, id?: SessionId) {
    const presented = carrier.presented()
    this.carrier = carrier
    this.#teller = new Teller(carrier)
    this.#lifetimes = lifetimes
    this.isVisitors = id === undefined
    this.state = presented || id ? 'presented' : 'new'
    this.secret = presented?.secret
    this.id = presented?.id ?? id
    this.issued = presented?.issued ?? 0
    this.maxAge = presented?.maxAge ?? lifetimes.maxAge
    this.cookieMaxAge = this.maxAge
    this.absolute = presented?.absolute
    this.outdated = presented?.outdated ?? false
    this.#pendingSuccessor = presented?.pendingSuccessor
    this.#tokens = presented?.tokens
  }

  /** Whether there is a picture that shows what this request has written. */
  get isPictured(): boolean {
    return this.#picture !== undefined && !this.stale
  }

  /** What the session looked like when it was last read, or would look like if it were stored now. */
  get picture(): Picture {
    if (this.#picture) return this.#picture
    const blank = this.pictureOf({})
    if (!this.isStored()) this.#picture = blank
    return blank
  }

  /** Brings the picture one revision on where the answer allows, and the cookie where the session was extended. */
  note(change: Change, { rev, fields, maxAge: other }: Applied, answer: Answer | undefined): void {
    const { operations, expires, maxAge } = change
    const picture = this.#picture
    const next = picture && rev === picture.rev + 1
    if (next && answer?.when === 'after' && fields) {
      this.#picture = completed(picture, rev, answer.paths, fields)
    } else if (next && operations.length === 1) {
      // Only `take` asks for what was before, and removing needs no answer.
      this.#picture = { ...picture, rev, fields: applied(picture.fields, operations) }
    } else {
      this.stale = true
    }
    if (other !== undefined) {
      // Others have given the session another lifetime; its end is where they have left it.
      this.maxAge = other
      this.stale = true
      return
    }
    if (maxAge !== undefined) this.maxAge = maxAge
    if (!expires) return
    if (this.#picture) this.#picture = livingOn(this.#picture, change)
    this.lead(this.#picture ? undefined : expires)
  }

  /** Gives the visitor the id of what is about to be stored: a response that leaves meanwhile must not leave without. */
  offer(secret: Secret, picture: Picture, tokens?: TokenKey): void {
    const { maxAge, absolute, expires } = picture
    this.#teller.offer({ secret, issued: Date.now(), maxAge, absolute: absolute?.getTime(), tokens }, expires)
  }

  /** It was not stored: the visitor is told what was to be told before. */
  withdraw(): void {
    this.#teller.withdraw()
  }

  /**
   * A new session has been stored, under the secret that was offered or, if that was taken, under another. Unless it
   * `isAlike`, it is read back otherwise than it was given.
   */
  adopt(secret: Secret, picture: Picture, isAlike = comesBackAlike(picture.fields)): void {
    const { offered } = this.#teller
    this.#tokens = offered?.tokens
    if (secret !== this.secret) this.hasTokens = false
    this.secret = secret
    this.id = idOf(secret)
    this.maxAge = picture.maxAge
    this.absolute = picture.absolute?.getTime()
    this.#picture = picture
    this.stale = !isAlike
    this.state = 'live'
    if (offered?.secret !== secret) {
      this.carry()
    } else {
      this.#teller.confirm(offered, picture.expires)
      this.#carried(offered)
    }
  }

  /** Gives the visitor the cookie of a session that other requests know too, and may have ended by the time it leaves. */
  lead(expires?: Date): void {
    this.carry(expires)
    this.told = this.issued
  }

  /** It is not known whether the session has been ended by what `heir` names: its visitor is to find what took its place. */
  fork(heir: string): void {
    this.#pendingSuccessor = heir
    this.reissue()
  }

  isHeir(next: string): boolean {
    return next === this.#pendingSuccessor
  }

  /** The visitor is led on to the session that replaced this one. */
  succeed(secret: Secret): void {
    this.#tokens = this.tokens
    this.hasTokens = false
    this.previousSecret ??= this.secret
    this.secret = secret
    this.id = idOf(secret)
  }

  /** As if the session that this request has stored had never been. */
  forget(): void {
    this.#teller.tellNothing()
    this.state = 'new'
    this.secret = undefined
    this.id = undefined
    this.absolute = undefined
    this.#picture = undefined
  }

  see(found: SessionRecord): void {
    this.state = 'live'
    this.#picture = found
    this.stale = false
    this.maxAge = found.maxAge
    const { absolute, expires } = found
    // One that somebody has put before the end of the session, by hand, moves nothing; `expires` alone counts.
    this.absolute = absolute && Math.max(absolute.getTime(), expires.getTime())
  }

  /** The lifetime that a session which is not stored yet is to have; it shows in the picture. */
  remember(maxAge: number): void {
    this.maxAge = maxAge
    this.#picture = undefined
  }

  /** This request has ended the session, unless another had before and left a tombstone. */
  leave(tombstone?: Tombstone): void {
    this.state = tombstone ? 'late' : 'destroyed'
    this.replaced = tombstone?.next !== undefined
    this.#picture = undefined
    if (tombstone) {
      this.#teller.tellNothing()
      return
    }
    this.secret = undefined
    this.#teller.clear()
  }

  /** Takes note that the store does not have the session, or only what is left of it. */
  gone(tombstone?: Tombstone): void {
    const id = this.id as SessionId
    const expired = endAfter(this.issued, this.maxAge, this.absolute) <= Date.now()
    if (!tombstone) publish({ type: expired && this.isVisitors ? 'expired' : 'unknown id', id })
    this.#picture = undefined
    this.maxAge = this.#lifetimes.maxAge
    this.absolute = undefined
    this.replaced = tombstone?.next !== undefined
    if (this.state === 'live' || !this.isVisitors) {
      this.state = 'ended'
      this.#teller.tellNothing()
      throw new SessionEndedError()
    }
    this.state = tombstone ? 'late' : 'new'
    if (tombstone) return
    this.#tokens = this.hasTokens ? this.tokens : undefined
    this.hasTokens = false
    // What its pages hold is good whether or not this request has asked the store before it looks at a token.
    this.previousSecret ??= this.secret
    this.secret = undefined
    this.id = undefined
  }

  /** Whether there was a session that has ended, by whomever. */
  isOver(): boolean {
    return this.state === 'late' || this.state === 'ended' || this.state === 'destroyed'
  }

  isStored(): boolean {
    return this.state === 'live' || this.state === 'presented'
  }

  /**
   * What the next cookie says of tokens: the page of this request may hold some, and its visitor sends them with the cookie
   * of the session that took this one's place.
   */
  get tokens(): TokenKey | undefined {
    return this.hasTokens && this.secret ? tokenKeyOf(this.secret) : this.#tokens
  }

  /** What good tokens may have been made with. */
  get tokenKeys(): TokenKey[] {
    const secrets = [this.secret, this.previousSecret].filter(secret => secret !== undefined)
    return [...secrets.map(tokenKeyOf), this.#tokens ?? []].flat()
  }

  carry(expires = this.picture.expires): void {
    this.issued = Date.now()
    this.cookieMaxAge = this.maxAge
    // What was written since leaves nothing for an end of before.
    this.#pendingSuccessor = undefined
    this.reissue(expires)
  }

  /** The cookie as it is, signed anew. */
  reissue(expires = new Date(endAfter(this.issued, this.cookieMaxAge, this.absolute))): void {
    const { issued, absolute } = this
    const presented = {
      secret: this.secret as Secret,
      issued,
      maxAge: this.cookieMaxAge,
      absolute,
      pendingSuccessor: this.#pendingSuccessor,
      tokens: this.#tokens,
    }
    this.#teller.carry(presented, expires)
    this.#carried(presented)
  }

  #carried({ issued, maxAge }: Presented): void {
    this.issued = issued
    this.cookieMaxAge = maxAge
    this.outdated = false
  }

  pictureOf(fields: Fields): Picture {
    return newPicture(this.#lifetimes, this.maxAge, fields)
  }
}
