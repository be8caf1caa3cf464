import { types } from 'node:util'
import { idOf, isId, type SessionId } from '../ids.ts'
import { sizeOf } from '../language/size.ts'
import { type Fields, isBSON, isPlain } from '../language/values.ts'
import { isEnded } from '../store/record.ts'
import { excerptOf } from './censor.ts'
import type { Bson, OpenedStore } from './opened.ts'
import { jsonOf, printable } from './printable.ts'
import { UsageError } from './usage.ts'

/** What is printed of a session. */
export type Shown =
  | { readonly id: string; readonly state: 'absent' }
  | { readonly id: string; readonly state: 'ended'; readonly ended: Date; readonly replaced: boolean }
  | LivingSession

interface LivingSession {
  readonly id: string
  readonly state: 'live'
  readonly created: Date
  readonly expires: Date
  readonly absolute: Date | null
  /** Milliseconds. */
  readonly maxAge: number
  readonly revision: number
  /** Bytes of the fields, in BSON. */
  readonly size: number
  /** What each field is, without its value. */
  readonly fields: Record<string, Masked>
  /** Extended JSON; only where values were asked for. */
  readonly values?: Record<string, unknown>
}

/** The kind of a value, and the number of its characters, bytes, elements or keys. */
export interface Masked {
  readonly type: string
  readonly length?: number
}

/** One session, its fields masked unless `values` is true. */
export async function show({ store, bson }: OpenedStore, given: string, values = false): Promise<Shown> {
  const id = idIn(given)
  const found = await store.load(id)
  if (!found) return { id: excerptOf(id), state: 'absent' }
  if (isEnded(found)) {
    return { id: excerptOf(id), state: 'ended', ended: found.ended, replaced: found.next !== undefined }
  }
  const { created, expires, absolute = null, maxAge, rev, fields } = found
  const masked = Object.entries(fields).map(([name, value]) => [name, maskOf(value)])
  return {
    id: excerptOf(id),
    state: 'live',
    created,
    expires,
    absolute,
    maxAge,
    revision: rev,
    size: sizeOf(fields),
    fields: Object.fromEntries(masked),
    ...(values && { values: inExtendedJSON(bson, fields) }),
  }
}

/**
 * The id on the command line. What a cookie holds is no id, and is not told again.
 * @throws {UsageError}
 */
export function idIn(given: string): SessionId {
  if (isId(given)) return given
  const secret = /^([0-9a-f]{40})(?:\.|$)/.exec(given)?.[1]
  if (secret === undefined) {
    throw new UsageError("That is no session's id: it is the 64 hexadecimal digits of session.id")
  }
  throw new UsageError(
    `That is what a cookie holds, and whoever has it is that visitor: give the session's id, which begins with ${excerptOf(idOf(secret))}`,
  )
}

/** Relaxed, but of an integer all digits: `end --user` needs them. */
function inExtendedJSON({ EJSON }: Bson, fields: Fields): Record<string, unknown> {
  const parsed = (relaxed: boolean): unknown => JSON.parse(EJSON.stringify(fields, { relaxed }))
  return withAllDigits(parsed(true), parsed(false)) as Record<string, unknown>
}

function withAllDigits(relaxed: unknown, canonical: unknown): unknown {
  const exact = canonical as Record<string, unknown>
  if (typeof relaxed === 'number') {
    return Number.isSafeInteger(relaxed) || exact.$numberLong === undefined ? relaxed : exact
  }
  if (Array.isArray(relaxed)) return relaxed.map((one, index) => withAllDigits(one, exact[index]))
  if (typeof relaxed !== 'object' || relaxed === null) return relaxed
  return Object.fromEntries(
    Object.entries(relaxed).map(([name, one]) => [name, withAllDigits(one, exact[name])]),
  )
}

function maskOf(value: unknown): Masked {
  if (value === null) return { type: 'null' }
  if (typeof value === 'string') return { type: 'string', length: value.length }
  if (Array.isArray(value)) return { type: 'array', length: value.length }
  if (types.isDate(value)) return { type: 'date' }
  if (types.isUint8Array(value)) return { type: 'bytes', length: value.length }
  if (isBSON(value)) return { type: value._bsontype }
  if (isPlain(value)) return { type: 'object', length: Object.keys(value).length }
  return { type: typeof value }
}

export function shownText(shown: Shown): string {
  if (shown.state === 'absent') return `There is no session ${shown.id}`
  if (shown.state === 'ended') {
    const successor = shown.replaced ? ', and another session has its place' : ''
    return `Session ${shown.id} ended at ${shown.ended.toISOString()}${successor}`
  }
  const { created, expires, absolute, maxAge, revision, size, fields, values } = shown
  const rows = Object.entries(fields).map(
    ([name, mask]) => [printable(name), values ? jsonOf(values[name]) : maskText(mask)] as const,
  )
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  const lines = rows.map(([name, what]) => `  ${name.padEnd(width)}  ${what}`)
  return [
    `Session ${shown.id}`,
    `created   ${created.toISOString()}`,
    `expires   ${expires.toISOString()}`,
    ...(absolute ? [`at latest ${absolute.toISOString()}`] : []),
    `maxAge    ${maxAge} ms`,
    `revision  ${revision}`,
    `size      ${size} bytes`,
    rows.length === 0 ? 'It has no fields' : 'fields',
    ...lines,
  ].join('\n')
}

function maskText({ type, length }: Masked): string {
  return printable(length === undefined ? type : `${type} (${length})`)
}
