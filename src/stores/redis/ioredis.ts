import { ConfigurationError } from '../../errors.ts'
import { type Commands, pattern, type Ran, restOf, type Wait } from './commands.ts'
import { isUnknownScript } from './errors.ts'
import type { Script } from './scripts.ts'

type Argument = string | Buffer | number

/** The common members of clients of `ioredis` and `iovalkey`, for one server and for a cluster. */
export interface IoredisClient {
  hgetallBuffer: unknown
  hmgetBuffer: unknown
  evalsha: unknown
}

/** Their types lack some of it. */
interface Buffered {
  evalshaBuffer(...args: Argument[]): Promise<unknown>
  evalBuffer(...args: Argument[]): Promise<unknown>
  hmgetBuffer(key: string, ...fields: string[]): Promise<unknown>
  hgetallBuffer(key: string): Promise<unknown>
  info(): Promise<string>
  pipeline(): unknown
  on(event: 'close', listener: () => void): unknown
  on(event: '+node', listener: (node: IoredisNode) => void): unknown
  readonly options: IoredisOptions
  /** A cluster's. */
  nodes?(role: 'all' | 'master'): IoredisNode[]
}

interface IoredisOptions {
  readonly keyPrefix?: string | undefined
  readonly scaleReads?: unknown
  readonly dropBufferSupport?: unknown
  readonly autoResendUnfulfilledCommands?: unknown
}

interface IoredisNode {
  on(event: 'close', listener: () => void): unknown
  info(): Promise<string>
  scan(cursor: string, ...args: Argument[]): Promise<[cursor: unknown, keys: unknown[]]>
}

interface Pipeline {
  evalshaBuffer(...args: Argument[]): Pipeline
  evalBuffer(...args: Argument[]): Pipeline
  wait(replicas: number, ms: number): Pipeline
  exec(): Promise<[error: Error | null, reply: unknown][] | null>
}

export function isIoredis(client: unknown): client is IoredisClient {
  return typeof client === 'object' && client !== null && 'evalshaBuffer' in client
}

export function ioredisCommands(given: IoredisClient): Commands {
  const client = given as unknown as Buffered
  if (client.options.dropBufferSupport) {
    throw new ConfigurationError(
      'client has dropBufferSupport: sessions are stored as bytes, so leave it out',
    )
  }
  return new IoredisCommands(client)
}

/** Not by `call`, which loses the command's name where `enableAutoPipelining` is on. */
class IoredisCommands implements Commands {
  losses = 0
  readonly waitsInText = false
  readonly readsElsewhere: boolean
  readonly #client: Buffered

  constructor(client: Buffered) {
    this.#client = client
    const { scaleReads = 'master' } = client.options
    this.readsElsewhere = scaleReads !== 'master'
    const count = (connection: Buffered | IoredisNode) => connection.on('close', () => void this.losses++)
    if (client.nodes) {
      // Each node may connect again by itself (`clusterNodeRetryStrategy`), which the cluster does not tell.
      for (const node of client.nodes('all')) count(node)
      client.on('+node', count)
    } else {
      count(client)
    }
  }

  async run(script: Script, key: string, args: readonly (string | Buffer)[], wait?: Wait): Promise<Ran> {
    const sentAt = performance.now()
    try {
      if (wait) return await this.#waiting('evalshaBuffer', script.sha, key, args, wait)
      return { reply: await this.#client.evalshaBuffer(script.sha, 1, key, ...args) }
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      // A pipeline is answered as a whole, so the waiting has ended.
      if (wait) return this.#waiting('evalBuffer', script.text, key, args, restOf(wait, sentAt))
      return { reply: await this.#client.evalBuffer(script.text, 1, key, ...args) }
    }
  }

  /** On one connection, since the server waits for what that has written. */
  async #waiting(
    method: 'evalshaBuffer' | 'evalBuffer',
    script: string,
    key: string,
    args: readonly (string | Buffer)[],
    { replicas, ms }: Wait,
  ): Promise<Ran> {
    const pipeline = this.#client.pipeline() as Pipeline
    pipeline[method](script, 1, key, ...args)
    const [ran, waited] = (await pipeline.wait(replicas, ms).exec()) ?? []
    if (ran?.[0]) throw ran[0]
    return { reply: ran?.[1], replicas: waited?.[0] ? 0 : Number(waited?.[1]) }
  }

  hmget(key: string, fields: readonly string[]): Promise<unknown> {
    return this.#client.hmgetBuffer(key, ...fields)
  }

  hgetall(key: string): Promise<unknown> {
    return this.#client.hgetallBuffer(key)
  }

  info(): Promise<string[]> {
    return Promise.all(this.#nodes().map(node => node.info()))
  }

  /** The prefix that the client puts before keys is not put before patterns, and not taken from what is found. */
  async *scan(prefix: string): AsyncGenerator<string[]> {
    const own = this.#client.options.keyPrefix ?? ''
    for (const node of this.#nodes()) {
      let cursor = '0'
      do {
        const [next, keys] = await node.scan(cursor, 'MATCH', pattern(own + prefix), 'COUNT', 500)
        cursor = String(next)
        yield keys.map(key => String(key).slice(own.length))
      } while (cursor !== '0')
    }
  }

  #nodes(): IoredisNode[] {
    return this.#client.nodes?.('master') ?? [this.#client as unknown as IoredisNode]
  }
}
