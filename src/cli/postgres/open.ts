import type Postgres from 'postgres'
import { bsonFor } from '../../stores/bson.ts'
import { Connection, type PostgreSQLPool } from '../../stores/postgres/connection.ts'
import { namesOf } from '../../stores/postgres/names.ts'
import { serverOf } from '../../stores/postgres/server.ts'
import { postgresStore } from '../../stores/postgres/store.ts'
import { driverOf } from '../drivers.ts'
import { type OpenedStore, PATIENCE } from '../opened.ts'
import type { Target } from '../target.ts'

export interface ConnectedPostgreSQL {
  readonly pool: PostgreSQLPool
  readonly connection: Connection
  close(): Promise<void>
}

/** Without prepared statements, so that poolers do not matter. */
export async function connectPostgreSQL(
  { address }: Pick<Target, 'address'>,
  packages: readonly ('pg' | 'postgres')[] = ['pg', 'postgres'],
): Promise<ConnectedPostgreSQL> {
  const loaded = await driverOf('postgres://', packages)
  if (loaded.name === 'pg') {
    // Older versions are CommonJS, whose names are those of the default.
    const { Pool } =
      'default' in loaded.driver ? (loaded.driver.default as typeof loaded.driver) : loaded.driver
    const pool = new Pool({ connectionString: address, connectionTimeoutMillis: PATIENCE, max: 2 })
    pool.on('error', () => {})
    return { pool, connection: new Connection(pool, false), close: () => pool.end() }
  }
  // As it is required it is the function itself.
  const postgres = 'default' in loaded.driver ? loaded.driver.default : (loaded.driver as typeof Postgres)
  const sql = postgres(address, {
    connect_timeout: PATIENCE / 1000,
    fetch_types: false,
    max: 2,
    onnotice: () => {},
  })
  return { pool: sql, connection: new Connection(sql, false), close: () => sql.end({ timeout: 1 }) }
}

export async function openPostgreSQL(target: Target): Promise<OpenedStore> {
  const bson = bsonFor('postgres://')
  const { schema, table } = target.names
  const names = namesOf({ schema, table })
  const { pool, connection, close } = await connectPostgreSQL(target)
  const store = postgresStore({ pool, schema, table, prepare: false, sweepEvery: '1 day' })
  return {
    target,
    store,
    bson,
    async userFields() {
      const { user } = await serverOf(connection, names)
      return user === undefined ? [] : [user]
    },
    async countExpired() {
      // What has expired is due: the index tells that, and the row the rest.
      const now = 'statement_timestamp()'
      const sql = `SELECT count(*)::text FROM ${names.sessions} WHERE sweep_at <= ${now} AND expires <= ${now}`
      const [row] = await connection.query(sql, [], 'none')
      return Number(row?.[0])
    },
    sweep: async () => (await store.sweep?.()) ?? 0,
    async close() {
      await store.close?.()
      await close()
    },
  }
}
