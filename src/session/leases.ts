import { randomBytes } from 'node:crypto'
import { type Path, partsOf } from '../language/paths.ts'
import type { Fields } from '../language/values.ts'

/**
 * The lease of `once` is a hidden field of the session, under a name that no command accepts. Its value is when the lease ends, by the
 * clock of the process that took it, and a nonce.
 */
const PREFIX = '_once/'

/** As in RFC 6901 (JSON Pointer), since a field's name cannot hold a dot. */
export function leaseName(path: Path): string {
  return PREFIX + path.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('.', '/')
}

/** `end`: milliseconds since the epoch. */
export function newLease(end: number): string {
  return `${new Date(end).toISOString()} ${randomBytes(12).toString('hex')}`
}

/** When a lease ends; 0 for a value that is not a lease. */
export function endOfLease(lease: unknown): number {
  return typeof lease === 'string' ? Date.parse(lease.split(' ', 1)[0] as string) || 0 : 0
}

/** The names of those leases that are `own`, or of all others. */
function leasesIn(fields: Fields, own: ReadonlySet<unknown>, isOwn: boolean): string[] {
  return Object.keys(fields).filter(name => name.startsWith(PREFIX) && own.has(fields[name]) === isOwn)
}

/** The top-level field of the path that a lease is for. */
function fieldOf(name: string): string {
  const [field = ''] = name.slice(PREFIX.length).split('/')
  return field.replaceAll('~1', '/').replaceAll('~0', '~')
}

function isAmong(name: string, keep: true | readonly Path[]): boolean {
  return keep === true || keep.some(path => partsOf(path)[0] === fieldOf(name))
}

/** How long leases of other requests on kept fields still last, in milliseconds. */
export function leftOfLeases(
  fields: Fields,
  keep: true | readonly Path[],
  own: ReadonlySet<unknown>,
): number {
  const ends = leasesIn(fields, own, false).map(name => (isAmong(name, keep) ? endOfLease(fields[name]) : 0))
  return Math.max(0, ...ends) - Date.now()
}

/** The leases that go into the session that replaces this one: this request's own. */
export function leasesKept(
  fields: Fields,
  keep: true | readonly Path[],
  own: ReadonlySet<unknown>,
): string[] {
  return leasesIn(fields, own, true).filter(name => isAmong(name, keep))
}

/** Fields without the leases of other requests, which cannot reach the new session. */
export function withoutLeases(fields: Fields, own: ReadonlySet<unknown>): Fields {
  const names = leasesIn(fields, own, false)
  if (names.length === 0) return fields
  const rest = { ...fields }
  for (const name of names) delete rest[name]
  return rest
}
