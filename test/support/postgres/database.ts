import { randomUUID } from 'node:crypto'
import { after } from 'node:test'
import { Client, Pool, type PoolClient, type PoolConfig, type QueryConfig, type QueryResult } from 'pg'
import postgres, { type Sql, type Options as SqlOptions } from 'postgres'
import { type PostgreSQLStoreOptions, postgresStore } from '../../../src/stores/postgres/store.ts'
import { type Pooler, startPgBouncer } from './pgbouncer.ts'
import { folderOf } from './programs.ts'
import { type PostgreSQLServer, startPostgreSQL } from './server.ts'

export type PostgreSQLStore = ReturnType<typeof postgresStore>

const hasServer = (await folderOf('initdb')) !== undefined
const hasPooler = (await folderOf('pgbouncer')) !== undefined

/** For the `skip` option of a test or suite that needs a server: why it is skipped, or `false`. */
export const withoutPostgreSQL: string | false = hasServer
  ? false
  : 'PostgreSQL is not installed: apt-get install postgresql'

/** The same for what goes through a pooler. */
export const withoutPgBouncer: string | false =
  withoutPostgreSQL || (hasPooler ? false : 'PgBouncer is not installed: apt-get install pgbouncer')

for (const missing of new Set([withoutPostgreSQL, withoutPgBouncer])) {
  if (missing === false) continue
  if (process.env.CI) throw new Error(`CI needs what these tests are for: ${missing}`)
  console.error(`!!! ${missing}`)
}

let server: Promise<PostgreSQLServer> | undefined
let pooler: Promise<Pooler> | undefined

/** The one server of a test file, which has a process of its own; stopped after the file's tests. */
export function thePostgreSQL(): Promise<PostgreSQLServer> {
  server ??= startPostgreSQL().then(started => {
    if (!started) throw new Error(String(withoutPostgreSQL))
    return started
  })
  return server
}

/** A PgBouncer before it, in transaction mode. */
export function thePgBouncer(): Promise<Pooler> {
  pooler ??= thePostgreSQL().then(async ({ port }) => {
    const started = await startPgBouncer(port)
    if (!started) throw new Error(String(withoutPgBouncer))
    return started
  })
  return pooler
}

const endings: (() => unknown)[] = []

/** In place of a test, for what is shared by a file's tests. */
export const theFile: Ending = { after: end => endings.push(end) }

after(async () => {
  for (const end of endings) await end()
  await (await pooler)?.stop()
  await (await server)?.stop()
})

/** A test, or the file of tests. */
interface Ending {
  after(end: () => unknown): void
}

/** A pool of pg, closed when the test ends. */
export async function aPgPool(t: Ending, options: PoolConfig = {}, uri?: string): Promise<Pool> {
  const pool = new Pool({ connectionString: uri ?? (await thePostgreSQL()).uri, max: 10, ...options })
  pool.on('error', () => {})
  t.after(() => pool.end())
  return pool
}

/** The pool, each statement of which is shown to `see` before it is sent. */
export function watchedPool(
  pool: Pool,
  see: (statement: QueryConfig, client: PoolClient) => unknown,
): PostgreSQLStoreOptions['pool'] {
  return {
    totalCount: pool.totalCount,
    listenerCount: event => pool.listenerCount(event),
    connect: async () => {
      const client = await pool.connect()
      return {
        on: () => {},
        query: async statement => {
          if (typeof statement === 'object') await see(statement as QueryConfig, client)
          return client.query(statement as QueryConfig)
        },
        release: isBroken => client.release(isBroken),
      }
    },
  }
}

/** A node of a plan, as EXPLAIN tells it. */
export interface PlanNode {
  readonly 'Node Type': string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Shared Hit Blocks': number
  readonly 'Shared Read Blocks': number
  readonly Plans?: readonly PlanNode[]
}

/** The pool; `see` gets the plan of each statement, as the server carries it out. */
export function explainedPool(pool: Pool, see: (plan: PlanNode) => void): PostgreSQLStoreOptions['pool'] {
  return watchedPool(pool, async ({ name: _, text, ...rest }, client) => {
    const { rows } = await client.query({ ...rest, text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}` })
    see(JSON.parse(Object(rows[0])[0])[0].Plan)
  })
}

/** What the package postgres gives, closed when the test ends. */
export async function aPostgresSql(
  t: Ending,
  options: SqlOptions<Record<string, never>> = {},
  uri?: string,
): Promise<Sql> {
  const sql = postgres(uri ?? (await thePostgreSQL()).uri, { max: 10, fetch_types: false, ...options })
  t.after(() => sql.end({ timeout: 1 }))
  return sql
}

/** A table that no other test has. */
export function aTable(): string {
  return `sessions_${randomUUID().slice(0, 8)}`
}

type Options = Omit<PostgreSQLStoreOptions, 'pool'> & { readonly pool?: PostgreSQLStoreOptions['pool'] }

/** A store with tables of its own. By itself it sweeps while no test runs: those that sweep count what they remove. */
export async function aStore(t: Ending, options: Options = {}): Promise<PostgreSQLStore> {
  const pool = options.pool ?? (await aPgPool(t))
  const store = postgresStore({ table: aTable(), sweepEvery: '1 day', ...options, pool })
  t.after(() => store.close?.())
  await store.ensureIndex?.()
  return store
}

/**
 * Empties the tables of two stores, and gives what opens the first one and then the other: making some takes long. Each has a pool of
 * its own.
 */
export function emptied(open: () => Promise<Options>): () => Promise<() => Promise<PostgreSQLStore>> {
  const table = aTable()
  const stores: Promise<PostgreSQLStore>[] = []
  const storeAt = (place: number) => {
    stores[place] ??= open().then(options => aStore(theFile, { ...options, table }))
    return stores[place]
  }
  return async () => {
    await storeAt(0)
    await query(`DELETE FROM public.${table}; UPDATE public.${table}_meta SET user_path = NULL`)
    let opened = 0
    return () => storeAt(opened++)
  }
}

/** The rows of a statement, or of the last of several, by a way of its own. */
export async function query(sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: (await thePostgreSQL()).uri })
  await client.connect()
  try {
    const result: QueryResult | QueryResult[] = await client.query(sql)
    return (Array.isArray(result) ? result.at(-1) : result)?.rows ?? []
  } finally {
    await client.end()
  }
}
