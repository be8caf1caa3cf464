import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { Pool } from 'pg'
import postgres from 'postgres'
import { createClient } from 'redis'
import { mongoStore, type Store } from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres/store.ts'
import { redisStore } from '../../src/stores/redis/store.ts'
import { sqliteStore } from '../../src/stores/sqlite/store.ts'

/** Which store, and where it is: what a process of the app is told. */
export type Place =
  | { readonly store: 'mongodb'; readonly uri: string; readonly collection: string }
  | { readonly store: 'sqlite'; readonly path: string }
  | { readonly store: 'redis' | 'ioredis'; readonly uri: string; readonly prefix: string }
  | { readonly store: 'pg' | 'postgres'; readonly uri: string; readonly table: string }

export interface OpenStore {
  readonly store: Store
  close(): Promise<void>
}

/** Milliseconds that a call may take. */
export const TIMEOUT = 1000

export function opened(place: Place, timeout: number): OpenStore {
  if (place.store === 'sqlite') {
    const store = sqliteStore({ path: place.path })
    return { store, close: async () => store.close?.() }
  }
  if ('prefix' in place) return redis(place)
  if (place.store !== 'mongodb') return postgreSQL(place, timeout)
  const client = new MongoClient(place.uri, {
    serverSelectionTimeoutMS: timeout,
    connectTimeoutMS: timeout,
    waitQueueTimeoutMS: timeout,
  })
  const store = mongoStore({ collection: client.db('chaos').collection(place.collection) })
  return { store, close: () => client.close() }
}

/** With the options that these clients have by default: ioredis sends again what was not answered. */
function redis({ store, uri, prefix }: Place & { uri: string; prefix: string }): OpenStore {
  if (store === 'ioredis') {
    const client = new Redis(uri, { retryStrategy: () => 50 })
    client.on('error', () => {})
    return { store: redisStore({ client, prefix }), close: async () => client.disconnect() }
  }
  const client = createClient({ url: uri, socket: { reconnectStrategy: 50 } })
  client.on('error', () => {})
  client.connect().catch(() => {})
  return { store: redisStore({ client, prefix }), close: async () => client.destroy() }
}

function postgreSQL(
  { store, uri, table }: Place & { uri: string; table: string },
  timeout: number,
): OpenStore {
  if (store === 'pg') {
    const pool = new Pool({ connectionString: uri, connectionTimeoutMillis: timeout, max: 5 })
    pool.on('error', () => {})
    return { store: postgresStore({ pool, table }), close: () => pool.end() }
  }
  const sql = postgres(uri, {
    connect_timeout: timeout / 1000,
    max: 5,
    fetch_types: false,
    backoff: () => 0.1,
  })
  return { store: postgresStore({ pool: sql, table }), close: () => sql.end({ timeout: timeout / 1000 }) }
}
