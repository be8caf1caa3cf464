import type { SessionId } from '../../ids.ts'
import type { Change } from '../../language/change.ts'
import type { Swap, Swapped } from '../fields.ts'
import type { Row } from './driver.ts'
import type { Names } from './names.ts'
import { conditionOf, type SimpleChange } from './simple.ts'
import { milliseconds, NOW, objectOf, Parameters, SOUND } from './statement.ts'
import { PREFIX } from './users.ts'
import { type Cell, cellOf, decoded, isLarge } from './values.ts'

export interface Statement {
  readonly sql: string
  readonly parameters: Parameters
}

const MIN_INT32 = -(2 ** 31)
const MAX_INT32 = 2 ** 31 - 1

/** A session that can be changed: the row alone decides, also where the statement has waited for another one. */
export const LIVES = `s.ended IS NULL AND s.expires > ${NOW} AND ${SOUND}`

/**
 * Makes a simple change. Its row tells the revision, the lifetime and the fields asked for; none: it has not been made, for
 * whatever reason. `prefixes`: of the users' keys, as far as they are known here.
 */
export function simpleUpdate(
  names: Names,
  id: SessionId,
  change: Change,
  simple: SimpleChange,
  prefixes: readonly string[],
): Statement {
  const parameters = new Parameters()
  const { increments, guards, growth, small } = simple
  const key = parameters.text(id)
  const conditions = [`s.id = ${key}`, LIVES]
  const large = largeOf(simple.sets)
  if (small.length === 1) conditions.push(`NOT s.large ? ${parameters.text(small[0] as string)}`)
  else if (small.length > 1) conditions.push(`NOT s.large ?| ${parameters.texts(small)}`)
  const removed = [...simple.unsets, ...large.map(([name]) => name)]
  let fields = edited('s.small', removed, smallOf(simple.sets), parameters)
  for (const [name, by] of increments) {
    const field = parameters.text(name)
    // JSON between two numbers is one. What would become a 64-bit integer is left to the app.
    const [least, most] = [MIN_INT32 - Math.min(by, 0), MAX_INT32 - Math.max(by, 0)].map(String)
    const range = `${parameters.json(least as string)} AND ${parameters.json(most as string)}`
    conditions.push(`coalesce(s.small -> ${field} BETWEEN ${range}, true)`)
    const sum = `coalesce((s.small ->> ${field})::bigint, 0) + ${parameters.integer(by)}`
    fields += ` || jsonb_build_object(${field}, ${sum})`
  }
  const assignments = ['rev = s.rev + 1']
  if (fields !== 's.small') assignments.push(`small = ${fields}`)
  if (large.length > 0) assignments.push(`large = s.large || ${parameters.json(lengthsOf(large))}`)
  if (growth > 0) assignments.push(`size = s.size + ${parameters.integer(growth)}`)
  if (growth > 0 && change.maxSize !== undefined) {
    conditions.push(`s.size <= ${parameters.integer(change.maxSize - growth)}`)
  }
  if (change.rev !== undefined) conditions.push(`s.rev = ${parameters.integer(change.rev)}`)
  conditions.push(...guards.map(guard => conditionOf(guard, parameters)))
  assignments.push(...lifeAssignments(change, parameters))
  conditions.push(keyCondition(prefixes, parameters))
  if (simple.userKey !== undefined) assignments.push(`user_key = ${parameters.text(simple.userKey)}`)
  const columns = ['s.rev::text', ...(change.whileMaxAge === undefined ? [] : ['s.max_age::text'])]
  const isBefore = simple.when === 'before' && simple.answered.length > 0
  const answering = isBefore ? 'o' : 's'
  columns.push(...simple.answered.map(name => `(${answering}.small -> ${parameters.text(name)})::text`))
  // Locked, the row is what the change then alters, also where it has waited for another one.
  const former = ` FROM (SELECT o.id, o.small FROM ${names.sessions} AS o WHERE o.id = ${key} FOR NO KEY UPDATE) AS o`
  if (isBefore) conditions.push('o.id = s.id')
  const update =
    `UPDATE ${names.sessions} AS s SET ${assignments.join(', ')}${isBefore ? former : ''} ` +
    `WHERE ${conditions.join(' AND ')}`
  return { sql: withFields(names, update, columns, { large }, parameters), parameters }
}

/** That the key by which the session is found is by the path that this process knows, or by none yet. */
function keyCondition(prefixes: readonly string[], parameters: Parameters): string {
  if (prefixes.length === 0) return 's.user_key IS NULL'
  return `(s.user_key IS NULL OR left(s.user_key, ${PREFIX}) = ANY(${parameters.texts(prefixes)}))`
}

function edited(
  column: string,
  removed: readonly string[],
  added: readonly (readonly [string, string])[],
  parameters: Parameters,
): string {
  const rest = removed.length > 0 ? `(${column} - ${parameters.texts(removed)})` : column
  return added.length > 0 ? `${rest} || ${parameters.json(objectOf(added))}` : rest
}

/** Where the change moves the end of the session. */
function lifeAssignments(change: Change, parameters: Parameters): string[] {
  const { expires, maxAge, whileMaxAge } = change
  if (maxAge !== undefined) {
    const lifetime = `max_age = ${parameters.integer(maxAge)}`
    if (!expires) return [lifetime]
    const end = parameters.time(expires)
    return [lifetime, `expires = ${end}`, `sweep_at = least(s.sweep_at, ${end})`]
  }
  if (!expires) return []
  const later = `greatest(s.expires, ${parameters.time(expires)})`
  if (whileMaxAge === undefined) return [`expires = ${later}`]
  const isSame = `s.max_age = ${parameters.integer(whileMaxAge)}`
  return [`expires = CASE WHEN ${isSame} THEN ${later} ELSE s.expires END`]
}

/** Makes a swap; its row tells how the session then is. `userKey`: if another user may be named by now. */
export function swapping(
  names: Names,
  id: SessionId,
  { rev, steps, life, seen, set, unset, growth, exactSize }: Swap,
  prefixes: readonly string[],
  userKey: string | undefined,
): Statement {
  const parameters = new Parameters()
  const conditions = [`s.id = ${parameters.text(id)}`, LIVES, `s.rev = ${parameters.integer(rev)}`]
  // Indexing does not change the revision, so the key is checked too.
  conditions.push(keyCondition(prefixes, parameters))
  const cells = Array.from(set, ([name, bytes]) => [name, cellOf(decoded(bytes, true), bytes)] as const)
  const large = largeOf(cells)
  const largeNames = large.map(([name]) => name)
  // Those that stay in the row are overwritten there.
  const fields = edited('s.small', [...unset, ...largeNames], smallOf(cells), parameters)
  const former = [...seen].flatMap(([name, field]) => (field && isLarge(field.bytes) ? [name] : []))
  const noLonger = former.filter(
    name => unset.includes(name) || (set.has(name) && !largeNames.includes(name)),
  )
  const lengths = large.map(([name, bytes]) => [name, String(bytes.length)] as const)
  const others = edited('s.large', noLonger, lengths, parameters)
  const assignments = [
    `rev = s.rev + ${parameters.integer(steps)}`,
    exactSize === undefined
      ? `size = s.size + ${parameters.integer(growth)}`
      : // Simple changes add more than they have to: here the bound becomes exact again.
        `size = ${parameters.integer(exactSize)}`,
    ...(fields === 's.small' ? [] : [`small = ${fields}`]),
    ...(others === 's.large' ? [] : [`large = ${others}`]),
  ]
  if (life && life.after.maxAge !== life.before.maxAge) {
    assignments.push(`max_age = ${parameters.integer(life.after.maxAge)}`)
  }
  if (life && life.after.expires !== life.before.expires) {
    const end = parameters.time(life.after.expires)
    assignments.push(`expires = ${end}`, `sweep_at = least(s.sweep_at, ${end})`)
  }
  if (userKey !== undefined) assignments.push(`user_key = ${parameters.text(userKey)}`)
  const update = `UPDATE ${names.sessions} AS s SET ${assignments.join(', ')} WHERE ${conditions.join(' AND ')}`
  const columns = ['s.rev::text', 's.size::text', milliseconds('s.expires'), 's.max_age::text']
  return { sql: withFields(names, update, columns, { large, noLonger }, parameters), parameters }
}

export function swappedIn([rev, size, expires, maxAge]: Row, { exactSize }: Swap): Swapped {
  return {
    rev: Number(rev),
    size: Number(size),
    isSizeBound: exactSize === undefined,
    expires: Number(expires),
    maxAge: Number(maxAge),
  }
}

/**
 * A statement on the row of a session, which returns these columns of it, with what becomes of large fields beside it. The row is
 * locked by then; and a large field counts only if its session names it.
 */
export function withFields(
  names: Names,
  statement: string,
  columns: readonly string[],
  { large = [], noLonger = [] }: LargeFields,
  parameters: Parameters,
): string {
  if (large.length === 0 && noLonger.length === 0) return `${statement} RETURNING ${columns.join(', ')}`
  const named = columns.map((column, index) => `${column} AS c${index}`)
  const parts = [`changed AS (${statement} RETURNING s.id, ${named.join(', ')})`]
  if (noLonger.length > 0) {
    parts.push(
      `removed AS (DELETE FROM ${names.fields} AS f USING changed AS c ` +
        `WHERE f.id = c.id AND f.name = ANY(${parameters.texts(noLonger)}))`,
    )
  }
  if (large.length > 0) parts.push(`kept AS (${keeping(names, large, parameters)})`)
  return `WITH ${parts.join(', ')} SELECT ${columns.map((_, index) => `c${index}`).join(', ')} FROM changed`
}

interface LargeFields {
  readonly large?: readonly (readonly [name: string, bytes: Uint8Array])[]
  readonly noLonger?: readonly string[]
}

/** All bytes are one parameter: clients differ in how they send lists of bytes. */
function keeping(
  names: Names,
  large: readonly (readonly [string, Uint8Array])[],
  parameters: Parameters,
): string {
  const lengths = large.map(([, bytes]) => bytes.length)
  const starts = lengths.map((_, index) => lengths.slice(0, index).reduce((sum, length) => sum + length, 1))
  const lists = [
    parameters.texts(large.map(([name]) => name)),
    parameters.integers(starts),
    parameters.integers(lengths),
  ]
  const bytes = parameters.bytes(Buffer.concat(large.map(([, value]) => value)))
  return (
    `INSERT INTO ${names.fields} AS f (id, name, v) SELECT c.id, u.name, substring(${bytes} FROM u.start FOR u.length) ` +
    `FROM changed AS c, unnest(${lists.join(', ')}) AS u (name, start, length) ` +
    'ON CONFLICT (id, name) DO UPDATE SET v = excluded.v'
  )
}

export function smallOf(cells: Iterable<readonly [string, Cell]>): [string, string][] {
  return Array.from(cells).flatMap(([name, { json }]) =>
    json === undefined ? [] : [[name, json] as [string, string]],
  )
}

export function largeOf(cells: Iterable<readonly [string, Cell]>): [string, Uint8Array][] {
  return Array.from(cells).flatMap(([name, { bytes }]) =>
    bytes === undefined ? [] : [[name, bytes] as [string, Uint8Array]],
  )
}

export function lengthsOf(large: readonly (readonly [string, Uint8Array])[]): string {
  return objectOf(large.map(([name, bytes]) => [name, String(bytes.length)] as const))
}
