import type { Secret } from '../ids.ts'
import type { Carrier, Presented, Verified } from './carrier.ts'
import { endOfLife, type Picture } from './picture.ts'
import { type SessionEvent, type SessionState, type StoredSession, secretOf } from './state.ts'
import { type TokenKey, tokenKeyOf } from './tokens.ts'

/** The content of the visitor's cookie, without the secret. */
type Cookie = Pick<Verified, 'issued' | 'maxAge' | 'pendingSuccessor'> & Partial<Pick<Verified, 'outdated'>>

/** What the visitor has got: the cookie of the request, the cookie of its response, and the tokens on its page. */
export class Outbox {
  readonly #carrier: Carrier
  /** The visitor's cookie, the one of this response included. */
  #cookie: Cookie
  /** The cookie of a session that is not known to be stored yet. */
  #offered: Presented | undefined
  /** The cookie that the response sends if the offered one is withdrawn; `undefined`: no cookie. */
  #last: { readonly presented: Presented; readonly expires: Date } | 'forget' | undefined
  #cookieSentAt: number | undefined
  /** The key of the tokens that this request has made; none if they are worthless by now. */
  #made: TokenKey | undefined
  /** The key of the session's tokens, if it is that of an earlier session. */
  #tokens: TokenKey | undefined
  /** The request's first secret, if the request goes on with another: the visitor's pages may have tokens made with it. */
  #previousSecret: Secret | undefined

  /** `maxAge`: used if there is no cookie. */
  constructor(carrier: Carrier, presented: Verified | undefined, maxAge: number) {
    this.#carrier = carrier
    this.#cookie = presented ?? { issued: 0, maxAge }
    this.#tokens = presented?.tokens
  }

  get cookie(): Cookie {
    return this.#cookie
  }

  /** When the response got the cookie of a session that other requests know too, and may have ended since. */
  get cookieSentAt(): number | undefined {
    return this.#cookieSentAt
  }

  /** What an event means for the cookie and for tokens. Other events mean nothing for them. */
  on(event: SessionEvent, before: SessionState, after: SessionState): void {
    switch (event.type) {
      case 'stored':
        this.#onStored(event, secretOf(before))
        break
      case 'written':
        // It has extended the session, unless others have given the session another lifetime.
        if (event.applied.maxAge === undefined) this.sendCookie(after, event.change.expires)
        break
      case 'planned':
      case 'switched':
        if (secretOf(after) === secretOf(before)) break
        this.#leave(
          secretOf(before),
          event.type === 'switched' && event.isRotated ? this.tokensAfterRotation(before) : this.#made,
        )
        break
      case 'missing':
        if (after.kind === 'ended') this.tellNothing()
        // The next session keeps the tokens of this page, and no older ones.
        if (after.kind === 'new') this.#leave(secretOf(before), this.#made)
        break
      case 'destroyed':
        // The request that ended the session before may have set a newer cookie, which must stay.
        this.tellNothing()
        if (event.tombstone) break
        this.#carrier.clear()
        this.#last = 'forget'
        break
      case 'forgotten':
        this.tellNothing()
        this.#leave(secretOf(before), this.#made)
    }
  }

  #onStored(
    { secret, picture, isShared }: SessionEvent & { type: 'stored' },
    before: Secret | undefined,
  ): void {
    const { maxAge, absolute, expires } = picture
    const offered = this.#offered
    this.#tokens = offered?.tokens
    if (secret !== before && this.#tokens !== this.#made) this.#made = undefined
    // If the id that was offered was taken, the session was stored under another.
    if (offered?.secret === secret) this.#told(offered, expires)
    else this.#send({ secret, absolute: absolute?.getTime(), issued: Date.now(), maxAge }, expires)
    if (isShared) this.#cookieSentAt = this.#cookie.issued
  }

  /** Sets the cookie of a session that is about to be stored: the response may be sent before the store has answered. */
  offer(secret: Secret, { maxAge, absolute, expires }: Picture, tokens: TokenKey | undefined): void {
    this.#offered = { secret, issued: Date.now(), maxAge, absolute: absolute?.getTime(), tokens }
    this.#carrier.carry(this.#offered, expires)
  }

  /** The offered session was not stored: the response gets the cookie that it had before. */
  withdraw(): void {
    this.#offered = undefined
    if (this.#last === undefined) this.#carrier.withdraw()
    else if (this.#last === 'forget') this.#carrier.clear()
    else this.#carrier.carry(this.#last.presented, this.#last.expires)
  }

  /** Sets the cookie of a session that other requests know too. Does nothing without `expires`: its life has not changed. */
  sendCookie(state: SessionState, expires: Date | undefined): void {
    if (state.kind !== 'live' || !expires) return
    const { secret, absolute, maxAge, picture } = state
    // The write before this moved `rev`, so an earlier, unconfirmed end can no longer match: no successor is pending.
    this.#send({ secret, absolute, issued: Date.now(), maxAge }, picture?.expires ?? expires)
    this.#cookieSentAt = this.#cookie.issued
  }

  /** Sends the same cookie, signed again. `pendingSuccessor`: `next` of the tombstone, in case the session has ended after all. */
  resend({ secret, absolute }: StoredSession, pendingSuccessor = this.#cookie.pendingSuccessor): void {
    const { issued, maxAge } = this.#cookie
    this.#send(
      { secret, absolute, issued, maxAge, pendingSuccessor },
      new Date(endOfLife(issued, maxAge, absolute)),
    )
  }

  #send(
    { secret, ...says }: Omit<Presented, 'secret' | 'tokens'> & { secret: Secret | undefined },
    expires: Date,
  ) {
    // Without a secret, the session was opened by its id, so there is no visitor.
    if (secret === undefined) return
    const presented = { secret, ...says, tokens: this.#tokens }
    this.#carrier.carry(presented, expires)
    this.#told(presented, expires)
  }

  #told(presented: Presented, expires: Date): void {
    this.#offered = undefined
    this.#last = { presented, expires }
    this.#cookie = presented
  }

  /** Removes the cookie from this response. */
  tellNothing(): void {
    this.#carrier.withdraw()
    this.#last = undefined
  }

  /** The request goes on with another secret. Tokens made with the key `tokens` stay valid. */
  #leave(secret: Secret | undefined, tokens: TokenKey | undefined): void {
    this.#tokens = tokens
    this.#previousSecret ??= secret
  }

  /** The key of a token that is made now, for a session with this secret. */
  newTokenKey(secret: Secret): TokenKey {
    this.#made = this.#tokens ?? tokenKeyOf(secret)
    return this.#made
  }

  /**
   * The token key in the cookie of another secret: the page of this request may have tokens, and the visitor will send them with that
   * cookie.
   */
  get tokensOfPage(): TokenKey | undefined {
    return this.#made
  }

  /**
   * The token key in the cookie after a rotation, which changes nothing for the visitor's other pages. It stays the same through all
   * rotations, so the tokens are valid whichever of concurrent responses is the last to set the cookie.
   */
  tokensAfterRotation(state: SessionState): TokenKey | undefined {
    const secret = secretOf(state)
    return this.#tokens ?? (secret && tokenKeyOf(secret))
  }

  /** The keys of valid tokens. */
  tokenKeys(state: SessionState): TokenKey[] {
    const secrets = [secretOf(state), this.#previousSecret].filter(secret => secret !== undefined)
    return [...secrets.map(tokenKeyOf), this.#tokens ?? []].flat()
  }
}
