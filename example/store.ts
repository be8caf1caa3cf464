import { MongoClient } from 'mongodb'
// In your app: import { mongoStore, type Store } from 'koa-atomic-session' and import { memoryStore } from 'koa-atomic-session/memory'
import { mongoStore, type Store } from '../src/index.ts'
import { memoryStore } from '../src/stores/memory.ts'
import type { OrdinaryStore } from './race/ordinary.ts'

/** The shop's database, with a place for its sessions and one for the race's ordinary ones. */
export interface Database {
  readonly name: string
  readonly store: Store
  readonly ordinary: OrdinaryStore
  close(): Promise<void>
}

/** MongoDB where a URI is given, and otherwise files in `folder`. */
export function openDatabase(uri: string | undefined, folder: string): Database {
  return uri ? inMongoDB(uri) : inMemory(folder)
}

function inMongoDB(uri: string): Database {
  // No longer than a request waits for the store: see "Stores" in the README.
  const client = new MongoClient(uri, {
    serverSelectionTimeoutMS: 4000,
    connectTimeoutMS: 4000,
    w: 'majority',
  })
  const db = client.db()
  const ordinary = db.collection<{ _id: string; session: object }>('ordinary_sessions')
  return {
    name: 'MongoDB',
    store: mongoStore({ collection: db.collection('sessions') }),
    ordinary: {
      get: async id => (await ordinary.findOne({ _id: id }))?.session,
      set: async (id, session) => {
        await ordinary.replaceOne({ _id: id }, { session }, { upsert: true })
      },
      destroy: async id => {
        await ordinary.deleteOne({ _id: id })
      },
    },
    close: () => client.close(),
  }
}

function inMemory(_folder: string): Database {
  const kept = new Map<string, string>()
  return {
    name: 'memory',
    store: memoryStore(),
    ordinary: {
      get: async id => JSON.parse(kept.get(id) ?? 'null'),
      set: async (id, session) => {
        kept.set(id, JSON.stringify(session))
      },
      destroy: async id => {
        kept.delete(id)
      },
    },
    close: async () => {},
  }
}
