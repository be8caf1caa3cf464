import { adopterOptions, assertMethods } from './checks.ts'
import type { ExpressSessionStore } from './stored-session.ts'

/** The method of a pool that is used. A `Pool` of `pg` has it. */
export interface ConnectPgSimplePool {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
}

export interface ConnectPgSimpleOptions {
  pool: ConnectPgSimplePool
  /** @default the first schema in the connection's `search_path` that has the table */
  schemaName?: string
  /** @default 'session' */
  tableName?: string
}

/** For `expressSession` and `fastifySession`: the sessions that connect-pg-simple stored. */
export function connectPgSimple(options: ConnectPgSimpleOptions): ExpressSessionStore {
  const given = adopterOptions('connectPgSimple', options, ['pool', 'schemaName', 'tableName'])
  const { pool, schemaName, tableName = 'session' } = given
  assertMethods('connectPgSimple: pool', pool, ['query'])
  const table = [schemaName, tableName].flatMap(name => (name === undefined ? [] : [quoted(name)])).join('.')
  return {
    async load(id) {
      // PostgreSQL refuses it in a text. What the app has signed for other cookies may have one.
      if (id.includes('\0')) return undefined
      // By the app's clock in whole seconds, as in connect-pg-simple.
      const now = Math.ceil(Date.now() / 1000)
      const asked = `SELECT sess FROM ${table} WHERE sid = $1 AND expire >= to_timestamp($2)`
      const { rows } = await pool.query(asked, [id, now])
      return (rows[0] as { sess?: unknown } | undefined)?.sess
    },
    destroy: id => pool.query(`DELETE FROM ${table} WHERE sid = $1`, [id]),
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
