import { createHmac } from 'node:crypto'
import { ConfigurationError } from '../errors.ts'
import { shown } from '../shown.ts'
import { type Secret, secretsIn } from './checks.ts'
import { type Adopter, attempted, type OtherCookie } from './other-session.ts'
import { type ExpressSessionStore, idSignedIn, storedOptions, storedSession } from './stored-session.ts'

export interface FastifySessionOptions extends OtherCookie, ExpressSessionStore {
  /** The option `secret` of @fastify/session: one secret, a list of all that may have signed a cookie, or a signer. */
  secret: string | readonly string[] | FastifySigner
  /**
   * The option `cookiePrefix`, such as `'s:'` where the sessions were express-session's before.
   * @default none
   */
  cookiePrefix?: string
  /** @default 'sha256' */
  algorithm?: string
}

/** A signer of @fastify/session: the method that is used. */
export interface FastifySigner {
  unsign(value: string): { readonly valid: boolean; readonly value: string | null }
}

/** Adopts sessions of @fastify/session: they are in a store, also one made for express-session, under the id in a signed cookie. */
export function fastifySession(options: FastifySessionOptions): Adopter {
  const given = storedOptions('fastifySession', options, ['secret', 'cookiePrefix', 'algorithm'])
  const { secret, cookiePrefix = '', algorithm = 'sha256' } = given
  const unsigned = isSigner(secret)
    ? (value: string) => {
        const { valid, value: id } = secret.unsign(value)
        return valid && id !== null ? id : undefined
      }
    : verifying(
        secretsIn(secret, 'fastifySession: secret is missing: give the one that @fastify/session was given'),
        algorithm,
      )
  return storedSession({ key: 'sessionId', ...given }, given, value =>
    value.startsWith(cookiePrefix) ? unsigned(value.slice(cookiePrefix.length)) : undefined,
  )
}

function verifying(secrets: readonly Secret[], algorithm: string) {
  if (!isHMAC(algorithm)) {
    throw new ConfigurationError(
      `fastifySession: algorithm is wrong: ${shown(algorithm)}; give the one that @fastify/session was given, such as 'sha256'`,
    )
  }
  return (value: string) => idSignedIn(value, secrets, algorithm)
}

function isHMAC(algorithm: string): boolean {
  return attempted(() => createHmac(algorithm, '')) !== undefined
}

function isSigner(secret: FastifySessionOptions['secret']): secret is FastifySigner {
  return typeof secret === 'object' && secret !== null && 'unsign' in secret
}
