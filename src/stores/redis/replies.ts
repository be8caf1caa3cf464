import { types } from 'node:util'
import { type Head, headIn } from './head.ts'

/** A script's reply: what became of the step, and what it tells of the session. */
export interface Reply {
  readonly status: number
  /** The server's clock, where it was asked for or something went otherwise. */
  readonly now?: number
  /** The session's head before the step. */
  readonly head?: Head
  readonly values: readonly (Buffer | null | undefined)[]
}

/** Numbers may come as texts: a client can be told to. */
export function replyOf(reply: unknown, isText: boolean): Reply {
  if (!Array.isArray(reply)) return { status: Number(reply), values: [] }
  const [status, now, head, ...values] = reply as [unknown, unknown, ...(Buffer | string | null)[]]
  const bytes = bytesIn(head, isText)
  return {
    status: Number(status),
    now: Number(now),
    ...(bytes && { head: headIn(bytes) }),
    values: values.map(value => bytesIn(value, isText)),
  }
}

/** Of a text each character stands for a byte. */
function bytesIn(value: Buffer | string | null | undefined, isText: boolean): Buffer | null | undefined {
  if (value === null || value === undefined) return value
  if (isText) return Buffer.from(value.toString(), 'latin1')
  return Buffer.isBuffer(value) ? value : undefined
}

/** The fields of a hash: clients give them as a list, an object or a Map, by their version, protocol and options. */
export function pairsOf(reply: unknown): [name: string, bytes: Buffer][] {
  if (reply === null || typeof reply !== 'object') return []
  if (Array.isArray(reply)) {
    const pairs: [string, Buffer][] = []
    for (let at = 0; at + 1 < reply.length; at += 2) pairs.push([String(reply[at]), bytesOf(reply[at + 1])])
    return pairs
  }
  const entries = types.isMap(reply) ? [...reply] : Object.entries(reply)
  return entries.map(([name, bytes]) => [String(name), bytesOf(bytes)])
}

function bytesOf(value: unknown): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(String(value))
}
