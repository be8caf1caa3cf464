import type { TestContext } from 'node:test'
import { type Collection, MongoClient, type MongoClientOptions } from 'mongodb'
import { FaultProxy, type Tap } from '../proxy.ts'
import { clientOptions } from './options.ts'

export interface ProxiedMongoDB {
  readonly proxy: FaultProxy
  /** Connected to the server of `MONGODB_URI` through the proxy. */
  readonly client: MongoClient
  readonly uri: string
  /** The same collection, through the proxy. */
  behind<T extends object>(collection: Collection<T>): Collection<T>
}

/** A way to the MongoDB server of the tests that can fail on demand; closed when the test ends. */
export async function aProxy(
  t: TestContext,
  options: MongoClientOptions = {},
  tap?: () => Tap,
): Promise<ProxiedMongoDB> {
  const { proxy, uri } = await proxied(process.env.MONGODB_URI ?? '', tap)
  const client = new MongoClient(uri, { ...clientOptions, serverSelectionTimeoutMS: 300, ...options })
  // On a busy machine the first connection may take longer than what a test that cuts it later can wait for.
  for (let tries = 1; !(await isConnected(client)); tries++)
    if (tries === 50) throw new Error(`No way to ${uri}`)
  t.after(async () => {
    await client.close()
    await proxy.close()
  })
  return {
    proxy,
    client,
    uri,
    behind: collection => client.db(collection.dbName).collection(collection.collectionName),
  }
}

async function isConnected(client: MongoClient): Promise<boolean> {
  return client.connect().then(
    () => true,
    () => false,
  )
}

/** A proxy to the server of `uri`, and how it is reached through it. */
export async function proxied(
  uri: string,
  tap?: () => Tap,
): Promise<{ readonly proxy: FaultProxy; readonly uri: string }> {
  const target = new URL(uri)
  const proxy = await FaultProxy.to({ host: target.hostname, port: Number(target.port || 27017) }, tap)
  target.host = `127.0.0.1:${proxy.port}`
  target.searchParams.set('directConnection', 'true')
  return { proxy, uri: target.href }
}
