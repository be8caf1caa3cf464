import type { SessionId } from '../../ids.ts'

// One tree holds everything: a letter says of what kind an entry is, so that a change of a session writes few pages.

const SESSION = 0x73 // s
const EXPIRY = 0x65 // e

/** What the file itself is. */
export const META = Buffer.from('m')

/** Of a session's id, at the end of each key but one. */
export const ID_BYTES = 32
/** Enough for dates up to the year 10889; what lies outside is held at the border, since the index only reclaims space. */
const TIME_BYTES = 6
const LAST_TIME = 2 ** (8 * TIME_BYTES) - 1

export interface Range {
  readonly start: Buffer
  /** Not itself in the range. */
  readonly end: Buffer
}

export const everything: Range = { start: Buffer.of(0), end: Buffer.of(0xff) }
export const sessions: Range = { start: Buffer.of(SESSION), end: Buffer.of(SESSION + 1) }

/** Shorter than all others, and so of no session, for what is not the 64 hexadecimal digits of an id. */
export function sessionKey(id: SessionId): Buffer {
  const key = Buffer.allocUnsafe(1 + ID_BYTES)
  key[0] = SESSION
  return key.subarray(0, 1 + key.write(id, 1, 'hex'))
}

export function idOfKey(key: Buffer): SessionId {
  return key.toString('hex', key.length - ID_BYTES)
}

export function expiryKey(session: Buffer, end: number): Buffer {
  const key = Buffer.allocUnsafe(1 + TIME_BYTES + ID_BYTES)
  writeExpiry(key, end)
  session.copy(key, 1 + TIME_BYTES, 1)
  return key
}

/** All of the expiry index whose instant has come. */
export function expiredBy(now: number): Range {
  const end = Buffer.allocUnsafe(1 + TIME_BYTES)
  writeExpiry(end, now + 1)
  return { start: Buffer.of(EXPIRY), end }
}

function writeExpiry(key: Buffer, instant: number): void {
  key[0] = EXPIRY
  key.writeUIntBE(Math.min(Math.max(Math.floor(instant), 0), LAST_TIME), 1, TIME_BYTES)
}

/** What of a range comes after a key. */
export function after(key: Buffer, { end }: Range): Range {
  return { start: Buffer.concat([key, Buffer.of(0)]), end }
}
