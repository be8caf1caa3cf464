import connectPgSimple from 'connect-pg-simple'
import session from 'express-session'
import { Pool } from 'pg'
import { library } from '../built.ts'
import { byHand, missing } from './by-hand.ts'
import { type Contender, DAY, type Handlers, koaOf, type Place } from './contender.ts'
import { on } from './ours.ts'
import { expressSession } from './peers.ts'

function poolOf({ uri }: Place): Pool {
  const pool = new Pool({ connectionString: uri, max: 10 })
  pool.on('error', () => {})
  return pool
}

export const postgres: Readonly<Record<string, Contender>> = {
  'by hand': { lacks: ['chain'], start: async place => koaOf(await handlersOf(poolOf(place), place.name)) },
  ours: {
    async start(place) {
      const { postgresStore } =
        await library<typeof import('../../src/stores/postgres/store.ts')>('stores/postgres/store')
      return on(postgresStore({ pool: poolOf(place) }))
    },
  },
  'express-session': {
    async start(place) {
      const Store = connectPgSimple(session)
      const pool = poolOf(place)
      const store = new Store({
        pool,
        tableName: place.name,
        createTableIfMissing: true,
        disableTouch: true,
        pruneSessionInterval: false,
      })
      return expressSession(store)
    },
  },
}

/** A row for each session, with its fields as `jsonb`; each statement is prepared. */
async function handlersOf(pool: Pool, table: string): Promise<Handlers> {
  await pool.query(
    `CREATE TABLE IF NOT EXISTS ${table} (id text PRIMARY KEY, data jsonb, expires timestamptz)`,
  )
  const changing = (name: string, text: string) => async (id: string, theme?: string) => {
    const values = theme === undefined ? [id] : [id, JSON.stringify(theme)]
    const { rows } = await pool.query({ name, text, values })
    if (rows.length !== 1) throw missing()
    return rows[0].found
  }
  const alive = 'WHERE id = $1 AND expires > now()'
  const views = changing('views', `SELECT data, data->'views' AS found FROM ${table} ${alive}`)
  const increment = changing(
    'increment',
    `UPDATE ${table} SET data = jsonb_set(data, '{views}', to_jsonb((data->>'views')::int + 1)) ${alive} RETURNING data->'views' AS found`,
  )
  const setTheme = changing(
    'theme',
    `UPDATE ${table} SET data = jsonb_set(data, '{theme}', $2::jsonb) ${alive} RETURNING data->'theme' AS found`,
  )
  return byHand({
    insert: (id, fields) =>
      pool.query(`INSERT INTO ${table} VALUES ($1, $2, $3)`, [
        id,
        JSON.stringify(fields),
        new Date(Date.now() + DAY),
      ]),
    views,
    setTheme,
    increment,
  })
}
