import { ENDED_FORM, FORM, LAST_DATE, type SessionRecord, type Tombstone } from '../../store/record.ts'
import { HEAD, MEMORY } from './scripts.ts'

/**
 * The value of the hash field `_`, a name that no session field can have: the mark of the form, then numbers, then the last step of
 * each process that wrote the session recently, and in a tombstone `next`.
 */
export interface Head {
  readonly isEnded: boolean
  /** Milliseconds since the epoch, as all instants here. */
  readonly expires: number
  /** Infinity for a session without an absolute limit. */
  readonly absolute: number
  readonly maxAge: number
  readonly rev: number
  /** Bytes of BSON of all fields; in a tombstone, of `next`. */
  readonly size: number
  /** In a tombstone: when the session ended. */
  readonly created: number
  /** Until when its entries in the indexes stand. */
  readonly indexed: number
}

/** A write that a process sends. The record remembers it, so that it is applied once even if it arrives twice. */
export interface Step {
  readonly process: Uint8Array
  /** Larger than the number of each earlier step of this process. */
  readonly number: number
  /** By the server's clock, in milliseconds: a step that arrives later is not applied. */
  readonly until: number
}

/** The form's mark as a byte. */
const LIVING = FORM
const ENDED = ENDED_FORM & 0xff

/** The decoded head; `undefined` if another program wrote it, or if it has expired. */
export function headOf(bytes: Uint8Array | null | undefined, now: number): Head | undefined {
  if (!bytes || bytes.length < HEAD) return undefined
  const head = headIn(bytes)
  const isOurs = bytes[0] === LIVING || bytes[0] === ENDED
  return isOurs && head.expires > now && isSound(head) ? head : undefined
}

/** Whether the numbers can be a session's. The scripts ask the same by `SOUND`: another program may have written any number. */
function isSound({ expires, absolute, maxAge, rev, size, created, indexed }: Head): boolean {
  return (
    expires <= LAST_DATE &&
    ((absolute >= 0 && absolute <= LAST_DATE) || absolute === Number.POSITIVE_INFINITY) &&
    maxAge >= 0 &&
    maxAge <= LAST_DATE &&
    rev >= 0 &&
    rev <= Number.MAX_SAFE_INTEGER &&
    size <= Number.MAX_SAFE_INTEGER &&
    created >= 0 &&
    created <= LAST_DATE &&
    indexed >= 0
  )
}

export function headIn(bytes: Uint8Array): Head {
  const view = viewOf(bytes)
  return {
    isEnded: bytes[0] === ENDED,
    expires: view.getFloat64(1, true),
    absolute: view.getFloat64(9, true),
    maxAge: view.getFloat64(17, true),
    rev: view.getFloat64(25, true),
    size: view.getFloat64(33, true),
    created: view.getFloat64(41, true),
    indexed: view.getFloat64(49, true),
  }
}

export function headOfRecord(record: SessionRecord, size: number, indexed: number, step: Step): Buffer {
  const { expires, absolute, maxAge, rev, created } = record
  const bytes = Buffer.allocUnsafe(HEAD + MEMORY)
  write(bytes, LIVING, [
    expires.getTime(),
    absolute?.getTime() ?? Number.POSITIVE_INFINITY,
    maxAge,
    rev,
    size,
    created.getTime(),
    indexed,
  ])
  bytes.set(step.process, HEAD)
  bytes.writeDoubleLE(step.until, HEAD + 8)
  bytes.writeDoubleLE(rev, HEAD + 16)
  bytes.writeDoubleLE(step.number, HEAD + 24)
  return bytes
}

/** With `next` behind it: the script `end` puts between them what is remembered. */
export function headOfTombstone({ ended, next = '' }: Tombstone, until: Date): Buffer {
  const rest = Buffer.from(next)
  const bytes = Buffer.allocUnsafe(HEAD)
  write(bytes, ENDED, [until.getTime(), Number.POSITIVE_INFINITY, 0, 0, rest.length, ended.getTime(), 0])
  return Buffer.concat([bytes, rest])
}

export function tombstoneOf({ created, size }: Head, bytes: Uint8Array): Tombstone {
  const next = Buffer.from(bytes.subarray(Math.max(HEAD, bytes.length - size))).toString()
  return { ended: new Date(created), ...(next !== '' && { next }) }
}

function write(bytes: Buffer, mark: number, numbers: readonly number[]): void {
  bytes[0] = mark
  let at = 1
  for (const number of numbers) at = bytes.writeDoubleLE(number, at)
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}
