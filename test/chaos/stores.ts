import { MongoClient } from 'mongodb'
import { mongoStore, type Store } from '../../src/index.ts'
import { lmdbStore } from '../../src/stores/lmdb/store.ts'

/** Which store, and where it is: what a process of the app is told. */
export type Place =
  | { readonly store: 'mongodb'; readonly uri: string; readonly collection: string }
  | { readonly store: 'lmdb'; readonly path: string }

export interface OpenStore {
  readonly store: Store
  close(): Promise<void>
}

/** Milliseconds that a call may take. */
export const TIMEOUT = 1000

export function opened(place: Place, timeout = TIMEOUT): OpenStore {
  if (place.store === 'lmdb') {
    const store = lmdbStore({ path: place.path })
    return { store, close: async () => store.close?.() }
  }
  const client = new MongoClient(place.uri, {
    serverSelectionTimeoutMS: timeout,
    connectTimeoutMS: timeout,
    waitQueueTimeoutMS: timeout,
  })
  const store = mongoStore({ collection: client.db('chaos').collection(place.collection) })
  return { store, close: () => client.close() }
}
