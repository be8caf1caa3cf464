import { fileURLToPath } from 'node:url'
import { type Censor, censorOf } from './censor.ts'
import { UsageError } from './usage.ts'

/** What of a database's sessions are meant, as the app's store has them. */
export interface Names {
  /** MongoDB's. */
  readonly collection: string
  /** Redis's. */
  readonly prefix: string
  /** PostgreSQL's. */
  readonly schema: string
  readonly table: string
}

export const defaultNames: Names = {
  collection: 'sessions',
  prefix: 'session:',
  schema: 'public',
  table: 'sessions',
}

export type Kind = 'mongodb' | 'redis' | 'postgres' | 'sqlite'

/** A store, by its address. */
export interface Target {
  readonly kind: Kind
  /** As it was given, or the file's path. It may hold a password. */
  readonly address: string
  /** The address without user, password and options. */
  readonly shown: string
  readonly names: Names
  readonly censor: Censor
}

const kinds: Readonly<Record<string, Exclude<Kind, 'sqlite'>>> = {
  mongodb: 'mongodb',
  'mongodb+srv': 'mongodb',
  redis: 'redis',
  rediss: 'redis',
  valkey: 'redis',
  valkeys: 'redis',
  postgres: 'postgres',
  postgresql: 'postgres',
}

/** @throws {UsageError} for the address of something else. */
export function targetOf(given: string, names: Partial<Names> = {}): Target {
  const all = { ...defaultNames, ...names }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(given)?.[1]?.toLowerCase()
  if (scheme === undefined || scheme === 'file') {
    const address = scheme === undefined ? given : fileURLToPath(given)
    return { kind: 'sqlite', address, shown: address, names: all, censor: censorOf([]) }
  }
  const kind = kinds[scheme]
  if (!kind) {
    throw new UsageError(
      `${scheme}:// is the address of no store: give mongodb://, redis://, rediss:// or postgres://, or the name of an SQLite file`,
    )
  }
  const address = kind === 'redis' ? given.replace(/^valkey/i, 'redis') : given
  return { kind, address, shown: shownOf(scheme, given), names: all, censor: censorOf(secretsIn(given)) }
}

/** Whatever may belong to a password is left out, of an address that is not well-formed too. */
function shownOf(scheme: string, address: string): string {
  const rest = address.slice(`${scheme}://`.length)
  const at = rest.lastIndexOf('@')
  const isAmbiguous = at >= 0 && /[/?#]/.test(rest.slice(0, at))
  if (isAmbiguous) return `${scheme}://***`
  return `${scheme}://${rest.slice(at + 1).replace(/[?#].*$/s, '')}`
}

/** The names of options that hold what nobody is to see. */
const secretOption = /pass|secret|token|key|credential|authmechanismproperties/i

function secretsIn(address: string): string[] {
  const secrets: string[] = [process.env.PGPASSWORD ?? '']
  const rest = address.slice(address.indexOf('://') + '://'.length)
  const at = rest.lastIndexOf('@')
  if (at >= 0) {
    const login = rest.slice(0, at)
    const colon = login.indexOf(':')
    // A user alone is no secret.
    if (colon >= 0) {
      const password = login.slice(colon + 1)
      secrets.push(login, password, decoded(password))
    }
  }
  for (const [, name = '', value = ''] of rest.matchAll(/[?&]([^=&#]+)=([^&#]*)/g)) {
    if (secretOption.test(name)) secrets.push(value, decoded(value))
  }
  return secrets
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
