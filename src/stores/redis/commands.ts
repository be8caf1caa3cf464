import type { Script } from './scripts.ts'

/** What the store asks of a client. Replies have bytes where Redis has bytes. */
export interface Commands {
  /** Runs a script on the primary that has the key. */
  run(script: Script, key: string, args: readonly (string | Buffer)[], wait?: Wait): Promise<Ran>
  hmget(key: string, fields: readonly string[]): Promise<unknown>
  hgetall(key: string): Promise<unknown>
  /** `INFO` of each primary. */
  info(): Promise<string[]>
  /** The keys of all primaries that begin so, page by page. */
  scan(prefix: string): AsyncIterable<string[]>
  /** Whether commands that only read may go to a replica, or to a cache. */
  readonly readsElsewhere: boolean
  /** Whether a reply that replicas were waited for has to come as text, because this client may give no bytes then. */
  readonly waitsInText: boolean
  /** Moves when a connection was lost after which the client may have sent again what had not been answered. */
  readonly losses: number
}

/** How many replicas have to have a change, and for how long at most they are waited for, milliseconds. */
export interface Wait {
  readonly replicas: number
  readonly ms: number
}

export interface Ran {
  readonly reply: unknown
  /** How many replicas have it, where they were waited for. */
  readonly replicas?: number
}

/** What `MATCH` takes for this very text. */
export function pattern(prefix: string): string {
  return `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`
}
