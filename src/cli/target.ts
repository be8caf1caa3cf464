import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Censor, censorOf } from './censor.ts'
import { repeated, UsageError } from './usage.ts'

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

/** @throws {UsageError} that repeats nothing, for the address of something else and for what only looks like an address. */
export function targetOf(given: string, names: Partial<Names> = {}): Target {
  const all = { ...defaultNames, ...names }
  const trimmed = given.trim()
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(trimmed)?.[1]?.toLowerCase()
  if (scheme === undefined || scheme === 'file') {
    const address = scheme === undefined ? fileNamed(given) : fileAt(trimmed)
    return { kind: 'sqlite', address, shown: address, names: all, censor: censorOf([]) }
  }
  const kind = kinds[scheme]
  if (!kind) {
    throw new UsageError(
      `${repeated(scheme, 'That', `${scheme}://`)} is the address of no store: give mongodb://, redis://, rediss:// or postgres://, or the name of an SQLite file`,
    )
  }
  const address = kind === 'redis' ? trimmed.replace(/^valkey/i, 'redis') : trimmed
  return { kind, address, shown: shownOf(scheme, trimmed), names: all, censor: censorOf(secretsIn(trimmed)) }
}

/** A text that no file's name is likely to be: an address, an option with its value, a cookie, an id or a key. */
const secretLike = /@|=|:\/\/|^\W*[a-z][a-z0-9+.-]+:|[\w-]{40}/i

/** Only a file that exists has such a name. */
function fileNamed(given: string): string {
  if (existsSync(given)) return given
  const name = given.trim()
  if (!secretLike.test(name) || existsSync(name)) return name
  throw new UsageError(
    'What stands in the place of the store is no address and no existing file, and is not repeated, since it may be secret: give ' +
      'mongodb://…, redis://…, rediss://… or postgres://…, without quotes and without anything before it, or the name of an SQLite file',
  )
}

function fileAt(url: string): string {
  try {
    return fileNamed(fileURLToPath(url))
  } catch {
    throw new UsageError(
      'That file:// address leads to no file of this machine: give file:///…, or the name of the file',
    )
  }
}

/** Hosts and names as they are usually written. Whatever else there is may belong to a password. */
const plain = /^[\w.,:[\]%~+/-]*$/

/** Whatever may belong to a password is left out, of an address that is not well-formed too. */
function shownOf(scheme: string, address: string): string {
  const rest = address.slice(`${scheme}://`.length)
  const at = rest.lastIndexOf('@')
  const isAmbiguous = at >= 0 && /[/?#]/.test(rest.slice(0, at))
  const shown = rest.slice(at + 1).replace(/[?#].*$/s, '')
  return `${scheme}://${isAmbiguous || !plain.test(shown) ? '***' : shown}`
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
  for (const [, name = '', value = ''] of rest.matchAll(/[?&;\s]([^=?&#;\s]+)=(?=([^&#]*))/g)) {
    // Where options are not separated as in a URL, the value ends earlier.
    const [word = ''] = value.split(/[;\s]/, 1)
    if (secretOption.test(name)) secrets.push(value, decoded(value), word)
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
