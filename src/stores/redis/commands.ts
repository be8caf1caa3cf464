import type { Script } from './scripts.ts'

/** What the store needs from a client. Strings of Redis come back as bytes. */
export interface Commands {
  /** Runs a script on the primary that has the key. */
  run(script: Script, key: string, args: readonly (string | Buffer)[], wait?: Wait): Promise<Ran>
  hmget(key: string, fields: readonly string[]): Promise<unknown>
  hgetall(key: string): Promise<unknown>
  /** `INFO` of each primary. */
  info(): Promise<string[]>
  /** The keys with this prefix on all primaries, page by page. */
  scan(prefix: string): AsyncIterable<string[]>
  /** Whether commands that only read may go to a replica, or to a cache. */
  readonly readsElsewhere: boolean
  /** Whether the reply to a script with `WAIT` must come as text, because this client may not return bytes then. */
  readonly waitsInText: boolean
  /** Incremented when a connection was lost: the client may then send unanswered commands again. */
  readonly losses: number
}

/** How many replicas must have a change, and how long to wait for them, in milliseconds. */
export interface Wait {
  readonly replicas: number
  readonly ms: number
}

export interface Ran {
  readonly reply: unknown
  /** How many replicas have it, where they were waited for. */
  readonly replicas?: number
}

/** What is left of a waiting that began at `since`. At least 1 ms: with 0 the server would wait for ever. */
export function restOf({ replicas, ms }: Wait, since: number): Wait {
  return { replicas, ms: Math.max(1, Math.floor(ms - (performance.now() - since))) }
}

/** A pattern for `MATCH` that matches exactly this text. */
export function pattern(prefix: string): string {
  return `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`
}
