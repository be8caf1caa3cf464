import type { Secret } from '../ids.ts'
import type { Carrier, Presented, Verified } from './carrier.ts'
import type { Picture } from './picture.ts'
import { type TokenKey, tokenKeyOf } from './tokens.ts'

/** What a cookie says of a session. */
type Cookied = Pick<Presented, 'absolute'> & { readonly secret: Secret | undefined }

/** When the life that begins with a use of the session would end, milliseconds since the epoch. */
export function endAfter(use: number, maxAge: number, absolute: number | undefined): number {
  return Math.min(use + maxAge, absolute ?? Infinity)
}

/** What the visitor was told: by the cookie of the request, by the one of its response, and by the tokens on its page. */
export class Outbox {
  readonly #carrier: Carrier
  /** What the visitor is given the id of, though nothing is known to be stored under it. */
  #offered: Presented | undefined
  /** What the response tells if what was offered is withdrawn; none: nothing. */
  #last: { readonly presented: Presented; readonly expires: Date } | 'forget' | undefined
  #issued: number
  #cookieMaxAge: number
  #isOutdated: boolean
  #cookieSentAt: number | undefined
  /** What the session's tombstone says if a regeneration of unknown outcome has ended the session after all. */
  #pendingSuccessor: string | undefined
  /** This request has made tokens with the session's secret. */
  #hasTokens = false
  /** The key of older tokens that stay good. */
  #tokens: TokenKey | undefined
  /** The secret that the visitor came with, if this request goes on in another session: pages may hold tokens made with it. */
  #previousSecret: Secret | undefined

  /** `maxAge`: what stands for the cookie's where there is none. */
  constructor(carrier: Carrier, presented: Verified | undefined, maxAge: number) {
    this.#carrier = carrier
    this.#issued = presented?.issued ?? 0
    this.#cookieMaxAge = presented?.maxAge ?? maxAge
    this.#isOutdated = presented?.outdated ?? false
    this.#pendingSuccessor = presented?.pendingSuccessor
    this.#tokens = presented?.tokens
  }

  /** When the visitor's cookie was issued, milliseconds since the epoch. */
  get issued(): number {
    return this.#issued
  }

  /** The idle lifetime that the visitor's cookie says, milliseconds. */
  get cookieMaxAge(): number {
    return this.#cookieMaxAge
  }

  /** Whether the visitor's cookie is to be sent again as it is, under the first key. */
  get isOutdated(): boolean {
    return this.#isOutdated
  }

  /** When the response was given the cookie of a session that other requests know too, and may have ended since. */
  get cookieSentAt(): number | undefined {
    return this.#cookieSentAt
  }

  isPendingSuccessor(next: string): boolean {
    return next === this.#pendingSuccessor
  }

  /** Gives the visitor the id of what is about to be stored: a response that leaves meanwhile must not leave without. */
  offer(secret: Secret, { maxAge, absolute, expires }: Picture, tokens: TokenKey | undefined): void {
    this.#offered = { secret, issued: Date.now(), maxAge, absolute: absolute?.getTime(), tokens }
    this.#carrier.carry(this.#offered, expires)
  }

  /** What was offered was not stored: the visitor is told what was to be told before. */
  withdraw(): void {
    this.#offered = undefined
    if (this.#last === undefined) this.#carrier.withdraw()
    else if (this.#last === 'forget') this.#carrier.clear()
    else this.#carrier.carry(this.#last.presented, this.#last.expires)
  }

  /** A session was stored: under the secret that was offered or, if that was taken, under another. */
  onStored(secret: Secret, { maxAge, absolute, expires }: Picture, before: Secret | undefined): void {
    const offered = this.#offered
    this.#tokens = offered?.tokens
    if (secret !== before) this.#hasTokens = false
    if (offered?.secret === secret) this.#told(offered, expires)
    else this.#send({ secret, absolute: absolute?.getTime() }, maxAge, expires)
  }

  /** The cookie of a session that other requests know too. */
  sendCookie(session: Cookied, maxAge: number, expires: Date): void {
    this.#send(session, maxAge, expires)
    this.markShared()
  }

  /** Other requests know the session whose cookie was just sent: it is looked at again before it leaves. */
  markShared(): void {
    this.#cookieSentAt = this.#issued
  }

  #send(session: Cookied, maxAge: number, expires: Date): void {
    this.#issued = Date.now()
    this.#cookieMaxAge = maxAge
    // The write before this moved `rev`, so an earlier, unconfirmed end can no longer match.
    this.#pendingSuccessor = undefined
    this.resend(session, expires)
  }

  /** The cookie as it is, signed anew. */
  resend(
    { secret, absolute }: Cookied,
    expires = new Date(endAfter(this.#issued, this.#cookieMaxAge, absolute)),
  ): void {
    // Without a secret it is no visitor's session.
    if (secret === undefined) return
    const presented = {
      secret,
      issued: this.#issued,
      maxAge: this.#cookieMaxAge,
      absolute,
      pendingSuccessor: this.#pendingSuccessor,
      tokens: this.#tokens,
    }
    this.#carrier.carry(presented, expires)
    this.#told(presented, expires)
  }

  #told(presented: Presented, expires: Date): void {
    this.#offered = undefined
    this.#last = { presented, expires }
    this.#issued = presented.issued
    this.#cookieMaxAge = presented.maxAge
    this.#isOutdated = false
  }

  /** It is unknown whether `next` has ended the session: its visitor is to find the session that took its place. */
  namePendingSuccessor(next: string, session: Cookied): void {
    this.#pendingSuccessor = next
    this.resend(session)
  }

  /** Makes the visitor forget the session. */
  clear(): void {
    this.#carrier.clear()
    this.#last = 'forget'
  }

  /** Takes back whatever this response was to tell. */
  tellNothing(): void {
    this.#carrier.withdraw()
    this.#last = undefined
  }

  /** The request goes on in another session than that of `secret`, or in a new one: tokens on its visitor's pages stay good. */
  leave(secret: Secret | undefined, isForNew = false): void {
    this.#tokens = isForNew && !this.#hasTokens ? undefined : this.tokensFor(secret)
    this.#hasTokens = false
    this.#previousSecret ??= secret
  }

  onTokenMade(): void {
    this.#hasTokens = true
  }

  /**
   * What the next cookie says of tokens: the page of this request may hold some that were made with `secret`, and its visitor
   * sends them with the cookie of the session that took this one's place.
   */
  tokensFor(secret: Secret | undefined): TokenKey | undefined {
    return this.#hasTokens && secret ? tokenKeyOf(secret) : this.#tokens
  }

  /** What good tokens may have been made with. */
  tokenKeys(secret: Secret | undefined): TokenKey[] {
    const secrets = [secret, this.#previousSecret].filter(secret => secret !== undefined)
    return [...secrets.map(tokenKeyOf), this.#tokens ?? []].flat()
  }
}
