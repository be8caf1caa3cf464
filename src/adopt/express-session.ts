import { secretsIn } from './checks.ts'
import type { Adopter, OtherCookie } from './other-session.ts'
import { type ExpressSessionStore, idSignedIn, storedOptions, storedSession } from './stored-session.ts'

export interface ExpressSessionOptions extends OtherCookie, ExpressSessionStore {
  /** The option `secret` of express-session: one secret, or a list of all that may have signed a cookie. */
  secret: string | readonly string[]
}

/** Adopts sessions of express-session: they are in a store, under the id in its signed cookie. */
export function expressSession(options: ExpressSessionOptions): Adopter {
  const given = storedOptions('expressSession', options, ['secret'])
  const secrets = secretsIn(
    given.secret,
    'expressSession: secret is missing: give the one that express-session was given',
  )
  return storedSession({ key: 'connect.sid', ...given }, given, value =>
    value.startsWith('s:') ? idSignedIn(value.slice('s:'.length), secrets, 'sha256') : undefined,
  )
}
