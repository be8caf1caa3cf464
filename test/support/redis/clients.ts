import * as ioredis from 'ioredis'
import * as ioredis5 from 'ioredis-5'
import * as iovalkey from 'iovalkey'
import * as redis from 'redis'
import * as redis5 from 'redis-5'
import type { RedisClient } from '../../../src/stores/redis/client.ts'
import type { Sentinel } from './topologies.ts'

export interface Connected {
  readonly client: RedisClient
  close(): Promise<void>
}

/** A package by which Redis is reached, with its default options unless a test says otherwise. */
export interface Kind {
  readonly name: string
  readonly isIoredis: boolean
  single(port: number, options?: object): Promise<Connected>
  cluster(ports: readonly number[], options?: object): Promise<Connected>
  sentinel(topology: Sentinel, options?: object): Promise<Connected>
  /** Whether the client of sentinels finds the new primary each time; that of `redis` 5 may wait for the old one for ever. */
  readonly followsSentinels: boolean
}

const host = '127.0.0.1'

/** A client that loses its server tells of it by an event, which would end the process if nobody listened. */
const ignore = () => {}

export function ofNodeRedis(name: string, library: typeof redis): Kind {
  return {
    name,
    isIoredis: false,
    followsSentinels: name !== 'redis 5',
    async single(port, options = {}) {
      const client = library.createClient({ socket: { host, port, reconnectStrategy: 20 }, ...options })
      client.on('error', ignore)
      await client.connect()
      return { client, close: async () => client.destroy() }
    },
    async cluster(ports, options = {}) {
      const client = library.createCluster({
        rootNodes: ports.map(port => ({ socket: { host, port } })),
        defaults: { socket: { reconnectStrategy: 20 } },
        ...options,
      })
      client.on('error', ignore)
      await client.connect()
      return { client, close: async () => client.destroy() }
    },
    async sentinel({ sentinel, name }, options = {}) {
      const client = library.createSentinel({
        name,
        sentinelRootNodes: [{ host, port: sentinel.port }],
        scanInterval: 100,
        ...options,
      })
      client.on('error', ignore)
      await client.connect()
      return { client, close: async () => client.destroy() }
    },
  }
}

export function ofIoredis(name: string, library: typeof ioredis): Kind {
  return {
    name,
    isIoredis: true,
    followsSentinels: true,
    async single(port, options = {}) {
      const client = new library.Redis({ host, port, retryStrategy: () => 20, ...options })
      client.on('error', ignore)
      return { client, close: async () => client.disconnect() }
    },
    async cluster(ports, options = {}) {
      const client = new library.Cluster(
        ports.map(port => ({ host, port })),
        options,
      )
      client.on('error', ignore)
      return { client, close: async () => client.disconnect() }
    },
    async sentinel({ sentinel, name }, options = {}) {
      const client = new library.Redis({
        sentinels: [{ host, port: sentinel.port }],
        name,
        sentinelRetryStrategy: () => 20,
        retryStrategy: () => 20,
        ...options,
      })
      client.on('error', ignore)
      return { client, close: async () => client.disconnect() }
    },
  }
}

export const nodeRedis6 = ofNodeRedis('redis 6', redis)
export const ioredis6 = ofIoredis('ioredis 6', ioredis)

/** Each client that the store is for. */
export const kinds: readonly Kind[] = [
  nodeRedis6,
  ofNodeRedis('redis 5', redis5 as unknown as typeof redis),
  ioredis6,
  ofIoredis('ioredis 5', ioredis5 as unknown as typeof ioredis),
  ofIoredis('iovalkey', iovalkey as unknown as typeof ioredis),
]
