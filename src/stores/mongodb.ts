import type { Change, Guard, Operation, PushModifiers } from '../core/change.ts'
import { CommandError, ConfigurationError, IdTakenError, StoreUnavailableError } from '../core/errors.ts'
import { holds } from '../core/guard.ts'
import { applied } from '../core/operators.ts'
import { type Path, partsOf } from '../core/paths.ts'
import { answerable, excerpt } from '../core/picture.ts'
import {
  fromStored,
  isStoredRecord,
  type SessionId,
  type SessionRecord,
  type Tombstone,
  toStored,
} from '../core/record.ts'
import type { Answer, Excerpt, Outcome, Store } from '../core/store.ts'
import { type Fields, isPlain } from '../core/values.ts'
import { mongoError } from './mongodb-errors.ts'

/** What the store asks of the driver's `Collection`, which comes connected from the app. */
export interface MongoDBCollection {
  readonly collectionName: string
  readonly writeConcern?: { readonly w?: unknown } | undefined
  findOne(filter: object, options?: object): Promise<object | null>
  find(filter: object, options: object): AsyncIterable<object>
  findOneAndUpdate(filter: object, update: object, options: object): Promise<object | null>
  insertOne(document: object): Promise<unknown>
  updateOne(filter: object, update: object): Promise<{ matchedCount: number }>
  deleteOne(filter: object): Promise<unknown>
  indexes(): Promise<object[]>
  createIndex(keys: { [path: string]: 1 }, options: object): Promise<string>
}

export interface MongoDBStoreOptions {
  /** A collection of the official driver, version 6 or newer. */
  readonly collection: MongoDBCollection
}

/** Sessions in a MongoDB collection, one document each; each method is one command on it. */
export function mongoStore({ collection }: MongoDBStoreOptions): Store {
  if (typeof collection?.findOneAndUpdate !== 'function') {
    throw new ConfigurationError(
      "collection is not a collection of MongoDB's driver: give client.db().collection('sessions')",
    )
  }
  if (collection.writeConcern?.w === 0) {
    throw new ConfigurationError(
      'collection has write concern w: 0, under which nothing is acknowledged; use majority',
    )
  }
  return new MongoDBStore(collection)
}

/** After so many tries, a server that refuses what we would apply is believed. */
const MOST_TRIES = 10

class MongoDBStore implements Store {
  readonly #collection: MongoDBCollection

  constructor(collection: MongoDBCollection) {
    this.#collection = collection
  }

  async insert(record: SessionRecord): Promise<void> {
    try {
      await this.#collection.insertOne(toStored(record))
    } catch (error) {
      if (codeOf(error) === DUPLICATE_KEY) throw new IdTakenError('The id is taken', { cause: error })
      throw mongoError(error, 'unknown')
    }
  }

  async load(id: SessionId): Promise<SessionRecord | Tombstone | undefined> {
    const found = await this.#find(standing(id, new Date()))
    if (isTombstone(found)) return tombstoneOf(found)
    return isStoredRecord(found) ? fromStored(found) : undefined
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Excerpt | Tombstone | undefined> {
    const projection = { ...projectionOf(paths), ended: 1, next: 1 }
    // The projection leaves out what would tell a record of ours from another document, so the filter decides.
    const filter = { ...standing(id, new Date()), $or: [ofOurShape, { ended: { $type: 'date' } }] }
    const found = await this.#find(filter, { projection })
    if (isTombstone(found)) return tombstoneOf(found)
    return isPlain(found) ? excerptOf(found, paths) : undefined
  }

  async update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome> {
    const update = updateOf(change)
    for (let tries = 1; ; tries++) {
      const filter = { ...filterOf(id, change, new Date()), ...ofOurShape }
      try {
        if (!answer) {
          const { matchedCount } = await this.#collection.updateOne(filter, update)
          if (matchedCount === 1) return {}
        } else {
          const found = await this.#collection.findOneAndUpdate(filter, update, {
            projection: projectionOf(answer.paths),
            returnDocument: answer.when,
            includeResultMetadata: false,
          })
          if (isPlain(found)) {
            const { rev, fields } = excerptOf(found, answer.paths)
            return { rev: answer.when === 'before' ? rev + 1 : rev, fields }
          }
        }
      } catch (error) {
        const refused = mongoError(error, 'unknown')
        throw refused instanceof CommandError ? await this.#explained(id, change, refused) : refused
      }
      const reason = await this.#reasonFor(id, change, tries)
      if (reason) return reason
    }
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const filter = { ...live(id, new Date()), ...ofOurShape, ...(rev !== undefined && { rev }) }
    const update = {
      $set: { ...tombstone, expires: until },
      $unset: { data: '', created: '', absolute: '', maxAge: '', rev: '' },
    }
    const { matchedCount } = await this.#sent(this.#collection.updateOne(filter, update))
    return matchedCount === 1
  }

  async delete(id: SessionId): Promise<void> {
    await this.#sent(this.#collection.deleteOne({ _id: id }))
  }

  /** The TTL index only reclaims space, so one that cannot be had is reported, and nothing else depends on it. */
  async ensureIndex(user?: Path): Promise<void> {
    try {
      // First, so that a conflict about the other does not keep users from being found.
      if (user !== undefined) await this.#collection.createIndex({ [inData(user)]: 1 }, { sparse: true })
      const indexes = await this.#collection.indexes().catch(noneYet)
      const existing = indexes.filter(isPlain).find(index => isOnExpires(index.key))
      if (existing && existing.expireAfterSeconds !== 0) throw conflict(this.#collection)
      if (!existing) await this.#collection.createIndex({ expires: 1 }, { expireAfterSeconds: 0 })
    } catch (error) {
      if (error instanceof ConfigurationError) throw error
      const code = codeOf(error)
      throw code === INDEX_OPTIONS_CONFLICT || code === INDEX_KEY_SPECS_CONFLICT
        ? conflict(this.#collection, error)
        : mongoError(error, 'unknown')
    }
  }

  async *find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    const now = new Date()
    const filter = {
      [inData(path)]: { $eq: value },
      expires: { $gt: now },
      absolute: { $not: { $lte: now } },
      ended: null,
    }
    try {
      for await (const found of this.#collection.find(filter, { readPreference: 'primary' })) {
        if (isStoredRecord(found)) yield fromStored(found)
      }
    } catch (error) {
      throw mongoError(error, 'none')
    }
  }

  async #find(filter: object, options: object = {}): Promise<object | null> {
    try {
      // A secondary may not know yet of a session that has been acknowledged.
      return await this.#collection.findOne(filter, { ...options, readPreference: 'primary' })
    } catch (error) {
      throw mongoError(error, 'none')
    }
  }

  async #sent<T>(call: Promise<T>): Promise<T> {
    try {
      return await call
    } catch (error) {
      throw mongoError(error, 'unknown')
    }
  }

  /**
   * Why a change found nothing to apply to, as of now: each answer holds at the moment of this read, at which the change
   * might as well have come. Undefined where it would be applied now: then it is sent again.
   */
  async #reasonFor(id: SessionId, change: Change, tries: number): Promise<Outcome | undefined> {
    const found = await this.load(id)
    if (!found) return 'absent'
    if ('ended' in found) return 'ended'
    if (!holds(change.guards, found.fields)) return 'refused'
    applied(found.fields, change.operations)
    if (tries < MOST_TRIES) return undefined
    if (change.guards.length > 0) return 'refused'
    throw new StoreUnavailableError('MongoDB keeps passing over a session that it has', 'none')
  }

  /** MongoDB's own message quotes stored values; ours names the path and the reason, as every store does. */
  async #explained(id: SessionId, change: Change, refused: CommandError): Promise<CommandError> {
    try {
      const found = await this.load(id)
      if (found && !('ended' in found)) applied(found.fields, change.operations)
    } catch (error) {
      if (error instanceof CommandError) {
        return new CommandError(error.message, error.path, { cause: refused.cause })
      }
    }
    return refused
  }
}

const DUPLICATE_KEY = 11000
const NAMESPACE_NOT_FOUND = 26
const INDEX_OPTIONS_CONFLICT = 85
const INDEX_KEY_SPECS_CONFLICT = 86

function codeOf(error: unknown): unknown {
  return isError(error) ? error.code : undefined
}

function isError(error: unknown): error is Error & { code?: unknown } {
  return error instanceof Error
}

function noneYet(error: unknown): object[] {
  if (codeOf(error) === NAMESPACE_NOT_FOUND) return []
  throw error
}

function isOnExpires(key: unknown): boolean {
  return isPlain(key) && Object.keys(key).length === 1 && 'expires' in key
}

function conflict({ collectionName }: MongoDBCollection, cause?: unknown): ConfigurationError {
  return Object.assign(
    new ConfigurationError(
      `The collection ${collectionName} has an index on expires with other options than { expireAfterSeconds: 0 }: ` +
        'ended sessions are not removed as they should be; drop that index, then call ensureIndex() again',
    ),
    cause === undefined ? {} : { cause },
  )
}

/** A record, or a tombstone, whose time has not come. The TTL index removes the others, some time later. */
function standing(id: SessionId, now: Date): object {
  return { _id: id, expires: { $gt: now }, absolute: { $not: { $lte: now } } }
}

function live(id: SessionId, now: Date): object {
  return { ...standing(id, now), ended: null }
}

/** Nothing is written to what is not a record of ours, just as it is not loaded. */
const ofOurShape = {
  created: { $type: 'date' },
  maxAge: { $type: 'number' },
  rev: { $type: 'number' },
  data: { $type: 'object', $not: { $type: 'array' } },
}

function isTombstone(found: object | null): found is Tombstone {
  return isPlain(found) && found.ended instanceof Date
}

function tombstoneOf({ ended, next }: Tombstone): Tombstone {
  return { ended, ...(typeof next === 'string' && { next }) }
}

/** A projection gives more than its paths where an array or a scalar is on the way. */
function excerptOf({ rev, data }: Fields, paths: readonly Path[]): Excerpt {
  return { rev: Number(rev), fields: isPlain(data) ? excerpt(data, paths) : {} }
}

/** Fields live in `data`, so no path can name anything else. */
function inData(path: Path): string {
  return `data.${path}`
}

function projectionOf(paths: readonly Path[]): Record<string, unknown> {
  const projection: Record<string, unknown> = { _id: 0, rev: 1 }
  for (const path of answerable(paths)) projection[inData(path)] = 1
  return projection
}

/** The filter under which a change may be applied: the session lives, the guards hold, the array elements exist. */
export function filterOf(id: SessionId, { guards, operations }: Change, now: Date): object {
  const conditions = [...guards.map(conditionOf), ...operations.flatMap(elementsExist)]
  return conditions.length === 0 ? live(id, now) : { ...live(id, now), $and: conditions }
}

const queryOperators = {
  '=': '$eq',
  '!=': '$ne',
  '<': '$lt',
  '<=': '$lte',
  '>': '$gt',
  '>=': '$gte',
  in: '$in',
  exists: '$exists',
} as const

function conditionOf({ path, comparator, arg }: Guard): object {
  return { [inData(path)]: { [queryOperators[comparator]]: arg } }
}

/** MongoDB would fill an array with nulls up to the element that a path names; these refuse it. */
function elementsExist(operation: Operation): object[] {
  if (!creates(operation)) return []
  const parts = partsOf(operation.path)
  return parts.flatMap((part, at) => {
    if (at === 0 || !/^\d+$/.test(part)) return []
    const array = inData(parts.slice(0, at).join('.'))
    const element = `${array}.${part}`
    return [{ $or: [{ [array]: { $not: { $type: 'array' } } }, { [element]: { $exists: true } }] }]
  })
}

function creates({ op }: Operation): boolean {
  return op !== '$unset' && op !== '$rename' && op !== '$pop' && op !== '$pull' && op !== '$pullAll'
}

/** The change as MongoDB's update document. */
export function updateOf({ operations, expires, maxAge }: Change): Record<string, Fields> {
  const update: Record<string, Fields> = { $inc: { rev: 1 } }
  for (const operation of operations) {
    const { op } = operation
    update[op] = { ...update[op], [inData(operation.path)]: argumentOf(operation) }
  }
  const lifetime = { ...(expires && { expires }), ...(maxAge !== undefined && { maxAge }) }
  if (Object.keys(lifetime).length > 0) update.$set = { ...update.$set, ...lifetime }
  return update
}

function argumentOf(operation: Operation): unknown {
  switch (operation.op) {
    case '$set':
    case '$inc':
    case '$mul':
    case '$min':
    case '$max':
    case '$pop':
    case '$pullAll':
      return operation.arg
    case '$unset':
      return ''
    case '$rename':
      return inData(operation.to)
    case '$currentDate':
      return true
    // Always in $each: an object that a visitor sent is an element, never a modifier.
    case '$push':
      return pushArgument(operation.arg, operation.modifiers)
    case '$addToSet':
      return { $each: operation.arg }
    case '$pull':
      return { [queryOperators[operation.comparator]]: operation.arg }
  }
}

function pushArgument(each: readonly unknown[], { slice, sort, position }: PushModifiers): object {
  return {
    $each: each,
    ...(position !== undefined && { $position: position }),
    ...(sort !== undefined && { $sort: sort }),
    ...(slice !== undefined && { $slice: slice }),
  }
}
