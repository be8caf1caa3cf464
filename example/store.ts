import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { MongoClient } from 'mongodb'
// In your app: import { mongoStore, type Store } from 'koa-atomic-session' and import { lmdbStore } from 'koa-atomic-session/lmdb'
import { mongoStore, type Store } from '../src/index.ts'
import { lmdbStore } from '../src/stores/lmdb/store.ts'
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
export function openDatabase(uri: string | undefined, folder: string): Database {
  if (uri?.startsWith('postgres')) return postgreSQL(uri)
  if (uri?.startsWith('redis')) return redis(uri)
  return uri ? mongoDB(uri) : lmdb(folder)
}

function lmdb(folder: string): Database {
  mkdirSync(folder, { recursive: true })
  const ordinary = open<object, string>({ path: join(folder, 'ordinary.lmdb'), encoding: 'json' })
  return {
    name: `files in ${folder}`,
    store: lmdbStore({ path: join(folder, 'sessions.lmdb') }),
    ordinary: {
      get: async id => ordinary.get(id),
      set: async (id, session) => void (await ordinary.put(id, session)),
      destroy: async id => void (await ordinary.remove(id)),
    },
    close: () => ordinary.close(),
  }
}

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
