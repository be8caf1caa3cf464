import { crc32 } from 'node:zlib'
import type { SessionId } from '../../ids.ts'
import type { SessionRecord, Tombstone } from '../../store/record.ts'
import { decode, encode } from '../bson.ts'

/** What is stored under a session's id: numbers at fixed places, then the fields as BSON or a tombstone's `next`. */
export interface Entry {
  readonly isEnded: boolean
  /** Milliseconds since the epoch, as all instants here; a tombstone's is when the session ended. */
  readonly created: number
  readonly expires: number
  /** Infinity for a session without an absolute limit. */
  readonly absolute: number
  readonly maxAge: number
  readonly rev: number
  readonly data: Uint8Array
}

/** An entry of another version is left as it is until its time has come. */
const VERSION = 1
const SESSION = 1
const TOMBSTONE = 2

const KIND_AT = 1
const CHECKSUM_AT = 4
const CREATED_AT = 8
const EXPIRES_AT = 16
const ABSOLUTE_AT = 24
const MAX_AGE_AT = 32
const REV_AT = 40
const DATA_AT = 48

/** The entry under this key, or nothing if it is damaged, another's, or of a version that is not known here. */
export function entryOf(key: Buffer, bytes: Buffer): Entry | undefined {
  if (bytes.length < DATA_AT || bytes[0] !== VERSION) return undefined
  const kind = bytes[KIND_AT]
  if (kind !== SESSION && kind !== TOMBSTONE) return undefined
  if (bytes.readUInt32LE(CHECKSUM_AT) !== checksum(key, bytes)) return undefined
  return {
    isEnded: kind === TOMBSTONE,
    created: bytes.readDoubleLE(CREATED_AT),
    expires: bytes.readDoubleLE(EXPIRES_AT),
    absolute: bytes.readDoubleLE(ABSOLUTE_AT),
    maxAge: bytes.readDoubleLE(MAX_AGE_AT),
    rev: bytes.readDoubleLE(REV_AT),
    data: bytes.subarray(DATA_AT),
  }
}

export function bytesOf(key: Buffer, entry: Entry): Buffer {
  const bytes = Buffer.allocUnsafe(DATA_AT + entry.data.length)
  bytes.writeUInt32LE(VERSION, 0)
  bytes[KIND_AT] = entry.isEnded ? TOMBSTONE : SESSION
  bytes.writeDoubleLE(entry.created, CREATED_AT)
  bytes.writeDoubleLE(entry.expires, EXPIRES_AT)
  bytes.writeDoubleLE(entry.absolute, ABSOLUTE_AT)
  bytes.writeDoubleLE(entry.maxAge, MAX_AGE_AT)
  bytes.writeDoubleLE(entry.rev, REV_AT)
  bytes.set(entry.data, DATA_AT)
  bytes.writeUInt32LE(checksum(key, bytes), CHECKSUM_AT)
  return bytes
}

/** Begun with the key: one session's bytes under another's id, as a damaged file may have them, are nobody's. */
function checksum(key: Buffer, bytes: Buffer): number {
  return crc32(bytes.subarray(CREATED_AT), key.readUInt32LE(1))
}

export function entryOfRecord({ created, expires, absolute, maxAge, rev, fields }: SessionRecord): Entry {
  return {
    isEnded: false,
    created: created.getTime(),
    expires: expires.getTime(),
    absolute: absolute?.getTime() ?? Infinity,
    maxAge,
    rev,
    data: encode(fields),
  }
}

export function entryOfTombstone({ ended, next = '' }: Tombstone, until: Date): Entry {
  return {
    isEnded: true,
    created: ended.getTime(),
    expires: until.getTime(),
    absolute: Infinity,
    maxAge: 0,
    rev: 0,
    data: Buffer.from(next),
  }
}

export function recordOf(id: SessionId, entry: Entry): SessionRecord {
  return {
    id,
    created: new Date(entry.created),
    expires: new Date(entry.expires),
    ...(entry.absolute !== Infinity && { absolute: new Date(entry.absolute) }),
    maxAge: entry.maxAge,
    rev: entry.rev,
    fields: decode(entry.data),
  }
}

export function tombstoneOf({ created, data }: Entry): Tombstone {
  return { ended: new Date(created), ...(data.length > 0 && { next: Buffer.from(data).toString() }) }
}

/** The entry under this key, unless its time has come. */
export function standing(key: Buffer, bytes: Buffer | undefined): Entry | undefined {
  const entry = bytes && entryOf(key, bytes)
  return entry && entry.expires > Date.now() ? entry : undefined
}
