import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadDriver, type SQLiteStatement } from '../../src/stores/sqlite/driver.ts'
import type { Fields } from '../acts.ts'
import { library } from '../built.ts'
import { byHand, missing } from './by-hand.ts'
import { type Contender, DAY, koaOf } from './contender.ts'
import { on } from './ours.ts'

// Stores without a server.

export const sqlite: Readonly<Record<string, Contender>> = {
  'by hand': { lacks: ['chain'], start: async () => koaOf(byHand(await callsOf())) },
  ours: {
    async start() {
      const { sqliteStore } =
        await library<typeof import('../../src/stores/sqlite/store.ts')>('stores/sqlite/store')
      return on(sqliteStore({ path: await aFile() }))
    },
  },
}

export const memory: Readonly<Record<string, Contender>> = {
  'by hand': { lacks: ['chain'], start: async () => koaOf(byHand(inMemory())) },
  ours: {
    async start() {
      const { memoryStore } = await library<typeof import('../../src/stores/memory.ts')>('stores/memory')
      return on(memoryStore())
    },
  },
}

async function aFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'sessions')
}

/** A row for each session, with its fields as JSON; a statement is its own transaction, as safe as the store's are by default. */
async function callsOf() {
  const Database = loadDriver()
  const database = new Database(await aFile())
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = NORMAL')
  database.exec('CREATE TABLE by_hand (id TEXT PRIMARY KEY, data TEXT, expires REAL)')
  const alive = 'WHERE id = ? AND expires > ?'
  const insert = database.prepare('INSERT INTO by_hand VALUES (?, ?, ?)')
  const select = database.prepare(`SELECT data AS found FROM by_hand ${alive}`)
  const setTheme = database.prepare(
    `UPDATE by_hand SET data = json_set(data, '$.theme', ?) ${alive} RETURNING 1 AS found`,
  )
  const increment = database.prepare(
    `UPDATE by_hand SET data = json_set(data, '$.views', data->>'$.views' + 1) ${alive} RETURNING data->>'$.views' AS found`,
  )
  const first = (statement: SQLiteStatement, ...values: (string | number)[]) => {
    const row = statement.get(...values) as { found: unknown } | undefined
    if (!row) throw missing()
    return row.found
  }
  return {
    insert: async (id: string, fields: Fields) =>
      void insert.run(id, JSON.stringify(fields), Date.now() + DAY),
    views: async (id: string) => (JSON.parse(String(first(select, id, Date.now()))) as Fields).views,
    setTheme: async (id: string, theme: string) => first(setTheme, theme, id, Date.now()),
    increment: async (id: string) => first(increment, id, Date.now()),
  }
}

function inMemory() {
  const sessions = new Map<string, { readonly fields: Fields; readonly expires: number }>()
  const alive = (id: string) => {
    const found = sessions.get(id)
    if (!found || found.expires < Date.now()) throw missing()
    return found.fields
  }
  return {
    insert: async (id: string, fields: Fields) =>
      void sessions.set(id, { fields, expires: Date.now() + DAY }),
    views: async (id: string) => alive(id).views,
    setTheme: async (id: string, theme: string) => {
      alive(id).theme = theme
    },
    increment: async (id: string) => ++alive(id).views,
  }
}
