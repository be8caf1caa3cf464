import type { Secret } from './ids.ts'

/** What the visitor's cookie says, once its signature has been verified. */
export interface Presented {
  readonly secret: Secret
  /** When the cookie was issued, milliseconds since the epoch. */
  readonly issued: number
  readonly maxAge: number
  /** It was signed with a key that is to be retired, so it is sent again under the first one. */
  readonly outdated?: boolean
}

/** A session that a tombstone leads on to, for who holds the secret of the one it replaced. */
export type Derive = (secret: Secret, nonce: string) => Secret

/** Whatever brings the visitor's id and takes a new one back: a cookie, for one. */
export interface Carrier {
  presented(): Presented | undefined
  /** False once the response's headers have been sent. */
  canCarry(): boolean
  /** Gives the visitor this id, from now until `expires`. */
  carry(presented: Presented, expires: Date): void
  /** Takes back what `carry` gave, because nothing was stored under it. */
  withdraw(): void
  /** Makes the visitor forget the id. */
  clear(): void
  /** The secret that follows `secret` after `regenerate` with `grace`; nobody without the app's key can tell it. */
  readonly derive: Derive
}
