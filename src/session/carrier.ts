import { ConfigurationError, HeadersSentError } from '../errors.ts'
import type { Secret, SessionId } from '../ids.ts'
import type { TokenKey } from './tokens.ts'

/** What a cookie says. */
export interface Presented {
  readonly secret: Secret
  /** When the cookie was issued, milliseconds since the epoch. */
  readonly issued: number
  readonly maxAge: number
  /** The session's absolute limit, milliseconds since the epoch, where it has one. */
  readonly absolute: number | undefined
  /** What the session's tombstone says if a renewal of unknown outcome has ended it: then its visitor may follow. */
  readonly pendingSuccessor?: string | undefined
  /** Tokens made with this key are good too: they are on a page that was made before its visitor got this id. */
  readonly tokens?: TokenKey | undefined
}

/** What the visitor's cookie says, once its signature has been verified. */
export interface Verified extends Presented {
  readonly id: SessionId
  /** It was signed with a key that is to be retired, so it is sent again under the first one. */
  readonly outdated: boolean
}

/**
 * The secret of a session that follows from another: of the `heir` of one of ours, by its secret and its tombstone's nonce; or
 * of the one that `adopt`s another library's, by that one's key.
 */
export type Derive = (what: 'heir' | 'adopt', from: string, nonce?: string) => Secret

/** Whatever brings the visitor's id and takes a new one back: a cookie, for one. */
export interface Carrier {
  presented(): Verified | undefined
  /** False once the response's headers have been sent. */
  canCarry(): boolean
  /** Gives the visitor this id, from now until `expires`. */
  carry(presented: Presented, expires: Date): void
  /** Takes back what `carry` gave, because nothing was stored under it. */
  withdraw(): void
  /** Makes the visitor forget the id. */
  clear(): void
  /** Nobody without the app's key can tell what it gives. Another cookie's is another. */
  readonly derive: Derive
}

/** Nobody's cookie, for sessions opened by their id. */
export const nobody: Carrier = {
  presented: () => undefined,
  canCarry: () => false,
  carry() {},
  withdraw() {},
  clear() {},
  derive: (_, from) => from,
}

/** Throws where nobody would get a new id. */
export function assertCarries(known: { readonly carrier: Carrier; readonly isVisitors: boolean }): void {
  if (!known.isVisitors) {
    throw new ConfigurationError('Only a request of its visitor can give a session a new id or a CSRF token')
  }
  if (known.carrier.canCarry()) return
  throw new HeadersSentError(
    'The session needs a cookie and the response has begun: write to a new session, regenerate it or ' +
      'create its CSRF token before the headers are sent',
  )
}
