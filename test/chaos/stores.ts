import { MongoClient } from 'mongodb'
import { mongoStore, type Store } from '../../src/index.ts'

/** Which store, and where it is: what a process of the app is told. */
export type Place = { readonly store: 'mongodb'; readonly uri: string; readonly collection: string }

export interface OpenStore {
  readonly store: Store
  close(): Promise<void>
}

/** Milliseconds: the longest that a call may take. */
export const TIMEOUT = 1000

export async function opened(place: Place): Promise<OpenStore> {
  const client = new MongoClient(place.uri, {
    serverSelectionTimeoutMS: TIMEOUT,
    connectTimeoutMS: TIMEOUT,
    waitQueueTimeoutMS: TIMEOUT,
  })
  const store = mongoStore({ collection: client.db('chaos').collection(place.collection) })
  return { store, close: () => client.close() }
}
