import type { Collection, MongoClient } from 'mongodb'
import type { SessionId } from '../../ids.ts'
import type { Path } from '../../language/paths.ts'
import { ENDED_FORM, FORM } from '../../store/record.ts'
import { mongoStore } from '../../stores/mongodb/store.ts'
import { driverOf } from '../drivers.ts'
import { type OpenedStore, orClosed, PATIENCE } from '../opened.ts'
import type { Target } from '../target.ts'

export type Documents = Collection<{ _id: SessionId }>

export interface ConnectedMongoDB {
  readonly driver: typeof import('mongodb')
  readonly client: MongoClient
  readonly collection: Documents
}

export async function connectMongoDB({ address, names }: Target): Promise<ConnectedMongoDB> {
  const { driver } = await driverOf('mongodb://', ['mongodb'])
  const client = new driver.MongoClient(address, {
    serverSelectionTimeoutMS: PATIENCE,
    connectTimeoutMS: PATIENCE,
    waitQueueTimeoutMS: PATIENCE,
    // As an operator expects it, whatever the app asks for.
    writeConcern: { w: 'majority' },
    readPreference: 'primary',
  })
  await orClosed(
    () => client.close(),
    () => client.connect(),
  )
  return { driver, client, collection: client.db().collection(names.collection) }
}

export async function openMongoDB(target: Target): Promise<OpenedStore> {
  const { driver, client, collection } = await connectMongoDB(target)
  const store = await orClosed(
    () => client.close(),
    () => mongoStore({ collection }),
  )
  return {
    target,
    store,
    bson: driver.BSON,
    userFields: () => userFieldsOf(collection),
    countExpired: () => collection.countDocuments(expired(new Date())),
    sweep: () => sweep(collection),
    close: () => client.close(),
  }
}

const NAMESPACE_NOT_FOUND = 26

/** `ensureIndex` makes an index by the user's field of those that have one. */
export async function userFieldsOf(collection: Documents): Promise<Path[]> {
  const indexes = await collection.indexes().catch(error => {
    if (error.code === NAMESPACE_NOT_FOUND) return []
    throw error
  })
  return indexes.flatMap(({ key }) => {
    const [field = '', ...others] = Object.keys(key)
    return others.length === 0 && field.startsWith('data.') ? [field.slice('data.'.length)] : []
  })
}

/** A filter: of our records, and what is left of ended ones. */
export function expired(now: Date) {
  return { v: { $in: [FORM, ENDED_FORM] }, expires: { $lte: now } }
}

/** So many at once. */
const BATCH = 1000

/** The TTL index does so by itself; this is for where it is missing. */
async function sweep(collection: Documents): Promise<number> {
  for (let removed = 0; ; ) {
    const filter = expired(new Date())
    const found = await collection.find(filter, { projection: { _id: 1 }, limit: BATCH }).toArray()
    if (found.length === 0) return removed
    const ids = found.map(({ _id }) => _id)
    removed += (await collection.deleteMany({ ...filter, _id: { $in: ids } })).deletedCount
  }
}
