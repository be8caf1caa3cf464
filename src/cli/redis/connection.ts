import type { RedisClient } from '../../stores/redis/client.ts'
import { driverOf } from '../drivers.ts'
import { orClosed, PATIENCE } from '../opened.ts'

/** A client, by whichever of the packages is installed. */
export interface RedisConnection {
  readonly client: RedisClient
  /** One command to the server, or to the first of a cluster. */
  call(...words: string[]): Promise<unknown>
  close(): Promise<void>
}

/** Connects to one server, and where that is a node of a cluster, to the cluster. */
export async function connectRedis(
  address: string,
  packages: readonly ('redis' | 'ioredis' | 'iovalkey')[] = ['redis', 'ioredis', 'iovalkey'],
): Promise<RedisConnection> {
  const loaded = await driverOf('redis://', packages)
  if (loaded.name === 'redis') return byNodeRedis(loaded.driver, address)
  return byIoredis(loaded.driver as typeof import('ioredis'), address)
}

const ignore = () => {}

async function byNodeRedis(redis: typeof import('redis'), url: string): Promise<RedisConnection> {
  const socket = { connectTimeout: PATIENCE, reconnectStrategy: false } as const
  const single = redis.createClient({ url, socket })
  single.on('error', ignore)
  await single.connect()
  const call = (...words: string[]) => single.sendCommand(words)
  const close = async () => destroyed(single)
  return orClosed(close, async () => {
    if (!(await isCluster(call))) return { client: single, call, close }
    const { username, password, tls } = partsOf(url)
    const cluster = redis.createCluster({
      rootNodes: [{ url }],
      defaults: { ...(username && { username }), ...(password && { password }), socket: { ...socket, tls } },
    } as Parameters<typeof redis.createCluster>[0])
    cluster.on('error', ignore)
    await cluster.connect()
    return {
      client: cluster,
      call,
      async close() {
        await close()
        destroyed(cluster)
      },
    }
  })
}

function destroyed(client: { destroy(): void }): void {
  try {
    client.destroy()
  } catch {
    // Before redis 6 it throws where a connection is closed already.
  }
}

async function byIoredis(
  { Redis, Cluster }: typeof import('ioredis'),
  url: string,
): Promise<RedisConnection> {
  const options = { connectTimeout: PATIENCE, maxRetriesPerRequest: 0, retryStrategy: () => null }
  const single = new Redis(url, { ...options, lazyConnect: true })
  // A refused connection is told of by this event alone.
  let cause: unknown
  single.on('error', (error: unknown) => {
    cause = error
  })
  await single.connect().catch((error: unknown) => {
    single.disconnect()
    throw cause ?? error
  })
  const call = (command = '', ...words: string[]): Promise<unknown> => single.call(command, ...words)
  const close = async () => single.disconnect()
  return orClosed(close, async () => {
    if (!(await isCluster(call))) return { client: single, call, close }
    const { username, password, tls } = partsOf(url)
    const cluster = new Cluster([url], {
      lazyConnect: true,
      redisOptions: {
        ...options,
        ...(username && { username }),
        ...(password && { password }),
        ...(tls && { tls: {} }),
      },
    })
    cluster.on('error', ignore)
    const closeAll = async () => {
      await close()
      cluster.disconnect()
    }
    // Until then it knows only the node that was given.
    await orClosed(closeAll, () => cluster.connect())
    return { client: cluster, call, close: closeAll }
  })
}

/** Without the right to ask, the server counts as a single one. */
async function isCluster(call: RedisConnection['call']): Promise<boolean> {
  const info = await call('INFO', 'cluster').catch((error: Error) => {
    if (error.message.startsWith('NOPERM')) return ''
    throw error
  })
  return /^cluster_enabled:1/m.test(String(info))
}

function partsOf(url: string) {
  const { username, password, protocol } = new URL(url)
  return {
    username: decodeURIComponent(username),
    password: decodeURIComponent(password),
    tls: protocol === 'rediss:',
  }
}
