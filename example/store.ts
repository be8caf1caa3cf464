import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
// In your app: import { mongoStore, type Store } from 'koa-atomic-session' and import { sqliteStore } from 'koa-atomic-session/sqlite'
import { mongoStore, type Store } from '../src/index.ts'
import { type SQLiteDatabase, sqliteStore } from '../src/stores/sqlite/store.ts'
import { postgreSQL } from './postgresql.ts'
import type { OrdinaryStore } from './race/ordinary.ts'
import { redis } from './redis.ts'

/** The shop's database, with a place for its sessions and one for the race's ordinary ones. */
export interface Database {
  readonly name: string
  readonly store: Store
  readonly ordinary: OrdinaryStore
  close(): Promise<void>
}

/** MongoDB, PostgreSQL or Redis where a URI is given, and otherwise files in `folder`, which several processes may share. */
export async function openDatabase(uri: string | undefined, folder: string): Promise<Database> {
  if (uri?.startsWith('postgres')) return postgreSQL(uri)
  if (uri?.startsWith('redis')) return redis(uri)
  return uri ? mongoDB(uri) : sqlite(folder)
}

function sqlite(folder: string): Database {
  mkdirSync(folder, { recursive: true })
  const db = ordinaryFile(join(folder, 'ordinary.sqlite'))
  const get = db.prepare('SELECT session FROM ordinary WHERE id = ?')
  const set = db.prepare('REPLACE INTO ordinary (id, session) VALUES (?, ?)')
  const remove = db.prepare('DELETE FROM ordinary WHERE id = ?')
  return {
    name: `files in ${folder}`,
    store: sqliteStore({ path: join(folder, 'sessions.sqlite') }),
    ordinary: {
      async get(id) {
        const found = get.get(id) as { session: string } | undefined
        return found && JSON.parse(found.session)
      },
      set: async (id, session) => void set.run(id, JSON.stringify(session)),
      destroy: async id => void remove.run(id),
    },
    close: async () => void db.close(),
  }
}

/** With Node's own SQLite, or, where it is older than 22.13, with the package libsql. */
function ordinaryFile(path: string): SQLiteDatabase {
  const own = process.getBuiltinModule('node:sqlite') as { DatabaseSync: SQLiteClass } | undefined
  const Database: SQLiteClass = own?.DatabaseSync ?? createRequire(import.meta.url)('libsql')
  try {
    const db = new Database(path)
    db.exec('PRAGMA busy_timeout = 5000')
    db.exec('PRAGMA journal_mode = WAL')
    db.exec('CREATE TABLE IF NOT EXISTS ordinary (id TEXT PRIMARY KEY, session TEXT NOT NULL)')
    return db
  } catch (cause) {
    throw new Error(`${path} cannot be opened as a file of the shop`, { cause })
  }
}

type SQLiteClass = new (path: string) => SQLiteDatabase

function mongoDB(uri: string): Database {
  // No longer than a request waits for the store: see docs/stores/mongodb.md.
  const client = new MongoClient(uri, {
    serverSelectionTimeoutMS: 4000,
    connectTimeoutMS: 4000,
    waitQueueTimeoutMS: 4000,
    w: 'majority',
  })
  const db = client.db()
  const ordinary = db.collection<{ _id: string; session: object }>('ordinary_sessions')
  return {
    name: 'MongoDB',
    store: mongoStore({ collection: db.collection('sessions') }),
    ordinary: {
      get: async id => (await ordinary.findOne({ _id: id }))?.session,
      set: async (id, session) =>
        void (await ordinary.replaceOne({ _id: id }, { session }, { upsert: true })),
      destroy: async id => void (await ordinary.deleteOne({ _id: id })),
    },
    close: () => client.close(),
  }
}
