import type { BSONOptions } from './driver.ts'
import type { ClientOptions } from './timeouts.ts'

/** The read preference. Absent if the collection already reads from the primary, since the driver copies each one it gets. */
export interface ReadOptions {
  readonly readPreference?: 'primary'
}

interface Client {
  readonly options?: ClientOptions
}

/** The members of the driver's `Collection` that the store uses. The app connects it. */
export interface MongoDBCollection {
  readonly collectionName: string
  readonly readPreference?: { readonly mode?: unknown } | undefined
  readonly writeConcern?: { readonly w?: unknown } | undefined
  readonly bsonOptions?: BSONOptions
  readonly client?: Client | undefined
  readonly db?: { readonly client?: Client }
  readonly s?: { readonly db?: { readonly s?: { readonly client?: Client } } }
  findOne(filter: object, options?: object): Promise<object | null>
  find(filter: object, options: object): AsyncIterable<object> & { toArray(): Promise<object[]> }
  findOneAndUpdate(filter: object, update: object, options: object): Promise<object | null>
  insertOne(document: object): Promise<unknown>
  updateOne(filter: object, update: object): Promise<{ matchedCount: number }>
  bulkWrite(
    operations: { updateOne: { filter: object; update: object } }[],
    options: { ordered: false; ignoreUndefined: true; comment: undefined },
  ): Promise<{ matchedCount: number }>
  deleteOne(filter: object): Promise<unknown>
  aggregate(pipeline: object[], options: ReadOptions): { toArray(): Promise<object[]> }
  countDocuments(filter: object, options: ReadOptions): Promise<number>
  indexes(): Promise<object[]>
  createIndex(keys: { [path: string]: 1 }, options: object): Promise<string>
}
