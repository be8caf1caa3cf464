import { subscribe } from 'node:diagnostics_channel'
import { type Commands, pattern, type Ran, restOf, type Wait } from './commands.ts'
import { isUnknownScript, unlessOfWaiting } from './errors.ts'
import type { Script } from './scripts.ts'

interface Keyed {
  readonly keys: string[]
  readonly arguments: (string | Buffer)[]
}

/** The common members of clients of `redis` 5 and newer: for one server, a pool, sentinels or a cluster. */
export interface NodeRedisClient {
  withTypeMapping(mapping: never): unknown
  evalSha: unknown
  hGetAll: unknown
}

interface Mapped {
  evalSha(sha: string, args: Keyed): Promise<unknown>
  eval(script: string, args: Keyed): Promise<unknown>
  hmGet(key: string, fields: readonly string[]): Promise<unknown>
  hGetAll(key: string): Promise<unknown>
  info(): Promise<unknown>
  scan(
    cursor: string,
    options: { MATCH: string; COUNT: number },
  ): Promise<{ cursor: unknown; keys: unknown[] }>
  multi(): Multi
  readonly options?: NodeRedisOptions
  readonly _options?: NodeRedisOptions
  readonly masters?: readonly object[]
  nodeClient?(master: object): Promise<Mapped>
  getSentinelNode?: unknown
}

interface NodeRedisOptions {
  readonly keyPrefix?: unknown
  readonly useReplicas?: unknown
  readonly clientSideCache?: unknown
}

interface Multi {
  evalSha(sha: string, args: Keyed): Multi
  eval(script: string, args: Keyed): Multi
  wait(replicas: number, ms: number): Multi
  execAsPipeline(): Promise<unknown[]>
}

/** The byte by which the protocol marks a string, which is to come as bytes. */
const BLOB_STRING = 36

/**
 * How many connections the clients of this package have lost, all together: a sentinel's client has no event that tells of each of its
 * own.
 */
let closed = 0
subscribe('node-redis:connection:closed', () => void closed++)

export function isNodeRedis(client: unknown): client is NodeRedisClient {
  return typeof client === 'object' && client !== null && 'withTypeMapping' in client && 'evalSha' in client
}

export function nodeRedisCommands(client: NodeRedisClient): Commands {
  return new NodeRedisCommands(client as unknown as Mapped & { withTypeMapping(mapping: object): Mapped })
}

class NodeRedisCommands implements Commands {
  /** Pools, sentinels' clients and clusters do not hand on to a pipeline what types it is to give. */
  readonly waitsInText = true
  readonly readsElsewhere: boolean
  readonly #isSentinel: boolean
  readonly #client: Mapped
  readonly #bytes: Mapped
  /** Which this client puts before keys, and not before patterns. */
  readonly #keyPrefix: string

  constructor(client: Mapped & { withTypeMapping(mapping: object): Mapped }) {
    this.#client = client
    this.#bytes = client.withTypeMapping({ [BLOB_STRING]: Buffer })
    const options = client.options ?? client._options ?? {}
    this.#isSentinel = client.getSentinelNode !== undefined
    this.readsElsewhere = this.#isSentinel || Boolean(options.useReplicas) || Boolean(options.clientSideCache)
    this.#keyPrefix = options.keyPrefix === undefined ? '' : String(options.keyPrefix)
  }

  /** Alone of these clients, a sentinel's sends again what had not been answered. */
  get losses(): number {
    return this.#isSentinel ? closed : 0
  }

  async run(script: Script, key: string, args: readonly (string | Buffer)[], wait?: Wait): Promise<Ran> {
    const keyed = { keys: [key], arguments: [...args] }
    const sentAt = performance.now()
    try {
      if (wait) return await waited(this.#bytes.multi().evalSha(script.sha, keyed), wait)
      return { reply: await this.#bytes.evalSha(script.sha, keyed) }
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      if (!wait) return { reply: await this.#bytes.eval(script.text, keyed) }
      // The waiting may still go on, and what is sent behind it waits too: this is answered when it has ended.
      await this.#bytes.eval('return 1', { keys: [key], arguments: [] })
      return waited(this.#bytes.multi().eval(script.text, keyed), restOf(wait, sentAt))
    }
  }

  hmget(key: string, fields: readonly string[]): Promise<unknown> {
    return this.#bytes.hmGet(key, fields)
  }

  hgetall(key: string): Promise<unknown> {
    return this.#bytes.hGetAll(key)
  }

  async info(): Promise<string[]> {
    const infos = (await this.#nodes()).map(async node => String(await node.info()))
    return Promise.all(infos)
  }

  async *scan(prefix: string): AsyncGenerator<string[]> {
    for (const node of await this.#nodes()) {
      let from = '0'
      do {
        const { cursor, keys } = await node.scan(from, {
          MATCH: pattern(this.#keyPrefix + prefix),
          COUNT: 500,
        })
        from = String(cursor)
        yield keys.map(key => String(key).slice(this.#keyPrefix.length))
      } while (from !== '0')
    }
  }

  async #nodes(): Promise<Mapped[]> {
    const { masters, nodeClient } = this.#client
    if (!masters || !nodeClient) return [this.#client]
    return Promise.all(masters.map(master => nodeClient.call(this.#client, master)))
  }
}

/** One connection has both, since the server waits for what that has written. */
async function waited(multi: Multi, { replicas, ms }: Wait): Promise<Ran> {
  try {
    const [reply, count] = await multi.wait(replicas, ms).execAsPipeline()
    return { reply, replicas: Number(count) }
  } catch (error) {
    // Of the two it is the first error, and nothing says whose.
    throw unlessOfWaiting(error)
  }
}
