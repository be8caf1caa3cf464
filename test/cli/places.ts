import { type TestContext, test } from 'node:test'
import { MongoClient } from 'mongodb'
import { Pool } from 'pg'
import { createClient } from 'redis'
import { mongoStore, type Store } from '../../src/index.ts'
import type { SessionRecord } from '../../src/store/record.ts'
import { postgresStore } from '../../src/stores/postgres/store.ts'
import { redisStore } from '../../src/stores/redis/store.ts'
import { aSession, soon } from '../contract/records.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import { clientOptions } from '../support/mongodb/options.ts'
import { aTable, thePostgreSQL, withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { startCluster } from '../support/redis/topologies.ts'
import { aPath, aStore } from '../support/sqlite/files.ts'

/** A store of an app, and how an operator names it. */
export interface Place {
  readonly store: Store
  /** The address and the options that name its sessions. */
  readonly named: readonly string[]
}

export interface PlaceKind {
  readonly title: string
  readonly skip: string | false
  open(t: TestContext): Promise<Place>
}

/** The database of the tests, at whatever server there is. */
export function mongodbAddress(): string {
  return (process.env.MONGODB_URI ?? '').replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?/, '$1/tests')
}

const mongodb: PlaceKind = {
  title: 'MongoDB',
  skip: withoutMongoDB,
  async open(t) {
    const { collectionName } = aCollection(t)
    const client = new MongoClient(mongodbAddress(), clientOptions)
    t.after(() => client.close())
    const store = mongoStore({ collection: client.db().collection(collectionName) })
    return { store, named: [mongodbAddress(), '--collection', collectionName] }
  },
}

/** A session that Redis does not remove, and that ends soon. */
export async function aTimelessSession(server: RedisServer, store: Store): Promise<SessionRecord> {
  for (;;) {
    const record = await aSession(store, {}, { expires: soon() })
    // Those that have ended by then are gone.
    if ((await server.command('PERSIST', `session:${record.id}`)) === ':1\r\n') return record
  }
}

/** A store on a server of the test's own. */
export async function redisAt(
  t: TestContext,
  server: RedisServer,
  prefix = 'session:',
): Promise<{ readonly store: Store; readonly url: string }> {
  const url = `redis://127.0.0.1:${server.port}`
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.destroy())
  return { store: redisStore({ client, prefix }), url }
}

const redis: PlaceKind = {
  title: 'Redis',
  skip: withoutRedis,
  async open(t) {
    const server = await RedisServer.start()
    t.after(() => server.stop())
    const { store, url } = await redisAt(t, server, 'shop:')
    return { store, named: [url, '--prefix', 'shop:'] }
  },
}

const postgres: PlaceKind = {
  title: 'PostgreSQL',
  skip: withoutPostgreSQL,
  async open(t) {
    const { uri } = await thePostgreSQL()
    const pool = new Pool({ connectionString: uri, max: 2 })
    pool.on('error', () => {})
    const table = aTable()
    const store = postgresStore({ pool, schema: 'shop', table })
    t.after(async () => {
      await store.close?.()
      await pool.end()
    })
    await store.ensureIndex?.()
    return { store, named: [uri, '--schema', 'shop', '--table', table] }
  },
}

const sqlite: PlaceKind = {
  title: 'SQLite',
  skip: false,
  async open(t) {
    const path = aPath(t)
    return { store: aStore(t, path), named: [path] }
  },
}

/** The same commands on each kind of store. */
export function onEachKind(title: string, body: (t: TestContext, place: Place) => Promise<void>): void {
  for (const kind of [mongodb, redis, postgres, sqlite]) {
    test(`${kind.title}: ${title}`, { skip: kind.skip }, async t => body(t, await kind.open(t)))
  }
}

/** A cluster, and one of its nodes. */
export async function aCluster(t: TestContext): Promise<string> {
  const { servers, stop } = await startCluster()
  t.after(stop)
  return `redis://127.0.0.1:${servers[0]?.port}`
}
