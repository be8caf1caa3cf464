import { Pool } from 'pg'
// In your app: import { postgresStore } from 'koa-atomic-session/postgres'
import { postgresStore } from '../src/stores/postgres/store.ts'
import type { Database } from './store.ts'

export function postgreSQL(uri: string): Database {
  // No longer than a request waits for the store: see docs/stores/postgresql.md.
  const pool = new Pool({ connectionString: uri, connectionTimeoutMillis: 4000, statement_timeout: 4000 })
  pool.on('error', error => console.error(`A connection to PostgreSQL was lost: ${error.message}`))
  let made: Promise<unknown> | undefined
  const query = async (sql: string, values: unknown[]): Promise<{ session: object }[]> => {
    made ??= pool
      .query('CREATE TABLE IF NOT EXISTS ordinary_sessions (id text PRIMARY KEY, session jsonb NOT NULL)')
      .catch(error => {
        made = undefined
        throw error
      })
    await made
    return (await pool.query(sql, values)).rows
  }
  return {
    name: 'PostgreSQL',
    store: postgresStore({ pool }),
    ordinary: {
      get: async id => (await query('SELECT session FROM ordinary_sessions WHERE id = $1', [id]))[0]?.session,
      async set(id, session) {
        const sql =
          'INSERT INTO ordinary_sessions VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET session = excluded.session'
        await query(sql, [id, JSON.stringify(session)])
      },
      destroy: async id => void (await query('DELETE FROM ordinary_sessions WHERE id = $1', [id])),
    },
    close: () => pool.end(),
  }
}
