import type { BSONOptions } from './driver.ts'
import type { ClientOptions } from './timeouts.ts'

/** Where a read goes: none where the collection has it by itself, since the driver makes a new preference of each that it is given. */
export interface ReadOptions {
  readonly readPreference?: 'primary'
}

interface Client {
  readonly options?: ClientOptions
}

/** What the store asks of the driver's `Collection`, which comes connected from the app. */
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
