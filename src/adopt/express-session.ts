import type { Adopter, OtherCookie } from './other-session.ts'
import { type ExpressSessionStore, idSignedIn, secretsIn, storedSession } from './stored-session.ts'

export interface ExpressSessionOptions extends OtherCookie, ExpressSessionStore {
  /** The option `secret` of express-session: one that signed, or all that may have. */
  secret: string | readonly string[]
}

/** Sessions of express-session: in a store, by the id in a cookie that is signed as express-session does. */
export function expressSession(options: ExpressSessionOptions): Adopter {
  const secrets = secretsIn(options.secret, 'expressSession', 'express-session')
  return storedSession({ key: 'connect.sid', ...options }, options, value =>
    value.startsWith('s:') ? idSignedIn(value.slice('s:'.length), secrets, 'sha256') : undefined,
  )
}
