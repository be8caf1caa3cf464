import { ConfigurationError, HeadersSentError } from '../errors.ts'
import type { Secret, SessionId } from '../ids.ts'
import type { TokenKey } from './tokens.ts'

/** The content of a cookie. */
export interface Presented {
  readonly secret: Secret
  /** When the cookie was issued, milliseconds since the epoch. */
  readonly issued: number
  readonly maxAge: number
  /** The session's absolute limit, in milliseconds since the epoch, if it has one. */
  readonly absolute: number | undefined
  /** `next` of the tombstone, if a regeneration with an unknown outcome has ended the session: its visitor may follow it. */
  readonly pendingSuccessor?: string | undefined
  /** The key of the session's tokens, if an earlier session had it: there are tokens on pages that were made before this cookie. */
  readonly tokens?: TokenKey | undefined
}

/** The content of a cookie whose signature has been verified. */
export interface Verified extends Presented {
  readonly id: SessionId
  /** It was signed with a key that is to be retired, so it is sent again, signed with the first key. */
  readonly outdated: boolean
}

/**
 * Derives the secret of a new session from another session, by the app's keys and the name of the cookie. The words below are
 * part of what is derived, so another word would be another secret.
 * - `'heir'`: the successor of a session of ours, from that one's secret and from what its tombstone says.
 * - `'adopt'`: the session that takes over another library's, from that one's key.
 */
export type Derive = (what: 'heir' | 'adopt', from: string, nonce?: string) => Secret

/** Reads and sets the visitor's cookie. */
export interface Carrier {
  presented(): Verified | undefined
  /** False once the response's headers have been sent, or if there is no response. */
  canCarry(): boolean
  /** Gives the visitor this id, from now until `expires`. */
  carry(presented: Presented, expires: Date): void
  /** Takes back what `carry` gave, because nothing was stored under it. */
  withdraw(): void
  /** Makes the visitor forget the id. */
  clear(): void
  readonly derive: Derive
}

/** For sessions that the app opens by their id: no visitor, and no cookie. */
export const nobody: Carrier = {
  presented: () => undefined,
  canCarry: () => false,
  carry() {},
  withdraw() {},
  clear() {},
  derive: (_, from) => from,
}

/** Throws if the visitor cannot be given a new cookie. */
export function assertCarries(session: { readonly carrier: Carrier; readonly isVisitors: boolean }): void {
  if (!session.isVisitors) {
    throw new ConfigurationError('Only a request of its visitor can give a session a new id or a CSRF token')
  }
  if (session.carrier.canCarry()) return
  throw new HeadersSentError(
    'The session needs a cookie, and none can be set: the response has begun, or there is none, as with load(request). Write to a ' +
      'new session, regenerate it or create its CSRF token in a request of its visitor, before the headers are sent',
  )
}
