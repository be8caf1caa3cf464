import type { TestContext } from 'node:test'
import { MongoClient } from 'mongodb'
import { Pool } from 'pg'
import postgres from 'postgres'
import { mongoStore, type Store } from '../../src/index.ts'
import { type PostgreSQLStoreOptions, postgresStore } from '../../src/stores/postgres/store.ts'
import { redisStore } from '../../src/stores/redis/store.ts'
import { sqliteStore } from '../../src/stores/sqlite/store.ts'
import { aCollection, withoutMongoDB } from './mongodb/collection.ts'
import { clientOptions } from './mongodb/options.ts'
import {
  aTable,
  thePgBouncer,
  thePostgreSQL,
  withoutPgBouncer,
  withoutPostgreSQL,
} from './postgres/database.ts'
import { kinds as clients } from './redis/clients.ts'
import { RedisServer, withoutRedis } from './redis/server.ts'
import { startCluster, type Topology } from './redis/topologies.ts'
import { aPath } from './sqlite/files.ts'

/** Sessions that several processes share. */
export interface Place {
  readonly kind: keyof typeof kinds
  /** Where the database is: an address, or the path of a file. */
  readonly at: string
  /** What the test's sessions have to themselves: a collection, a table, a prefix. */
  readonly name: string
}

interface Kind {
  readonly title: string
  /** Why there is none to test with. */
  readonly skip: string | false
  /** A place of its own for a test, which goes with it. */
  place(t: TestContext): Promise<Omit<Place, 'kind'>>
  open(place: Place): Store | Promise<Store>
}

export const kinds = {
  mongodb: {
    title: 'MongoDB',
    skip: withoutMongoDB,
    place: async t => ({ at: process.env.MONGODB_URI ?? '', name: aCollection(t).collectionName }),
    open: ({ at, name }) =>
      mongoStore({ collection: new MongoClient(at, clientOptions).db('tests').collection(name) }),
  },
  sqlite: {
    title: 'SQLite',
    skip: false,
    place: async t => ({ at: aPath(t), name: '' }),
    open: ({ at }) => sqliteStore({ path: at }),
  },
  redis: aRedis('Redis', async () => {
    const server = await RedisServer.start()
    return { servers: [server], stop: () => server.stop() }
  }),
  'redis-cluster': aRedis('a Redis cluster', () => startCluster()),
  pg: aPostgreSQL('PostgreSQL by pg', withoutPostgreSQL, thePostgreSQL, poolOf),
  postgres: aPostgreSQL('PostgreSQL by postgres', withoutPostgreSQL, thePostgreSQL, uri =>
    postgres(uri, { max: 4, fetch_types: false }),
  ),
  pgbouncer: aPostgreSQL('PostgreSQL behind PgBouncer', withoutPgBouncer, thePgBouncer, poolOf),
} satisfies Record<string, Kind>

/** Each process by another client, so that they are held to one another too. */
function aRedis(title: string, start: () => Promise<Topology>): Kind {
  return {
    title,
    skip: withoutRedis,
    async place(t) {
      const { servers, stop } = await start()
      t.after(stop)
      return { at: servers.map(({ port }) => port).join(), name: 'test:' }
    },
    async open({ at, name }) {
      const ports = at.split(',').map(Number)
      const client = clients[process.pid % clients.length] as (typeof clients)[number]
      const [port = 0] = ports
      const connected = await (ports.length > 1 ? client.cluster(ports) : client.single(port))
      return redisStore({ client: connected.client, prefix: name })
    },
  }
}

function aPostgreSQL(
  title: string,
  skip: string | false,
  server: () => Promise<{ readonly uri: string }>,
  poolOf: (uri: string) => PostgreSQLStoreOptions['pool'],
): Kind {
  return {
    title,
    skip,
    async place() {
      const place = { at: (await server()).uri, name: aTable() }
      const pool = new Pool({ connectionString: (await thePostgreSQL()).uri })
      await postgresStore({ pool, table: place.name }).ensureIndex?.()
      await pool.end()
      return place
    },
    open: ({ at, name }) => postgresStore({ pool: poolOf(at), table: name }),
  }
}

function poolOf(uri: string): Pool {
  const pool = new Pool({ connectionString: uri, max: 4 })
  pool.on('error', () => {})
  return pool
}

/** What one process of an app is told on its command line. */
export function placeIn([kind, at = '', name = '']: readonly string[]): Place {
  return { kind: kind as Place['kind'], at, name }
}

export function openedAt(place: Place): Store | Promise<Store> {
  return kinds[place.kind].open(place)
}
