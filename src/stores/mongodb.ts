import type { Change } from '../core/change.ts'
import {
  CommandError,
  ConfigurationError,
  IdTakenError,
  SessionTooLargeError,
  StoreUnavailableError,
} from '../core/errors.ts'
import { holds } from '../core/guard.ts'
import { applied } from '../core/operators.ts'
import type { Path } from '../core/paths.ts'
import { excerpt } from '../core/picture.ts'
import {
  fromStored,
  isStoredRecord,
  type SessionId,
  type SessionRecord,
  type Tombstone,
  toStored,
} from '../core/record.ts'
import { growthOf, sizeOf } from '../core/size.ts'
import type { Answer, Excerpt, Outcome, Store } from '../core/store.ts'
import { type Fields, isPlain } from '../core/values.ts'
import { mongoError, Sending } from './mongodb-errors.ts'
import {
  filterOf,
  forLifetime,
  inData,
  live,
  ofOurShape,
  projectionOf,
  standing,
  updateOf,
} from './mongodb-language.ts'
import { type ClientOptions, warnOfWaits } from './mongodb-timeouts.ts'

/** What the store asks of the driver's `Collection`, which comes connected from the app. */
export interface MongoDBCollection {
  readonly collectionName: string
  readonly writeConcern?: { readonly w?: unknown } | undefined
  readonly db?: { readonly client?: { readonly options?: ClientOptions } }
  findOne(filter: object, options?: object): Promise<object | null>
  find(filter: object, options: object): AsyncIterable<object>
  findOneAndUpdate(filter: object, update: object, options: object): Promise<object | null>
  insertOne(document: object): Promise<unknown>
  updateOne(filter: object, update: object): Promise<{ matchedCount: number }>
  deleteOne(filter: object): Promise<unknown>
  aggregate(pipeline: object[]): { toArray(): Promise<object[]> }
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

/** After so many tries, each of which others' writes have spoilt, a change is given up. */
const MOST_TRIES = 50

class MongoDBStore implements Store {
  readonly #collection: MongoDBCollection
  /** Whether the server has `$bsonSize`, once that has been asked: MongoDB before 4.4 has not, nor has all that speaks its protocol. */
  #measures: boolean | undefined

  constructor(collection: MongoDBCollection) {
    this.#collection = collection
  }

  async insert(record: SessionRecord): Promise<void> {
    const sending = new Sending()
    try {
      await this.#collection.insertOne(sending.part(toStored(record)))
    } catch (error) {
      if (codeOf(error) === DUPLICATE_KEY) throw new IdTakenError('The id is taken', { cause: error })
      throw mongoError(error, sending.outcome)
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
    let wanted = change
    let rev: number | undefined
    for (let tries = 1; ; tries++) {
      const filter = filterOf(id, wanted, new Date(), rev)
      if (rev === undefined) this.#makeRoom(filter, wanted)
      const sending = new Sending()
      try {
        const outcome = await this.#updateOnce(sending.part(filter), updateOf(wanted), answer)
        if (outcome) return outcome
      } catch (error) {
        const refused = mongoError(error, sending.outcome)
        throw refused instanceof CommandError ? await this.#explained(id, change, refused) : refused
      }
      const reason = await this.#reasonFor(id, change, tries)
      if (typeof reason === 'string') return reason
      wanted = forLifetime(change, reason.maxAge)
      // The revision may have gone by; meanwhile the general conditions may have come to hold.
      rev = tries % 2 === 1 ? reason.rev : undefined
    }
  }

  async #updateOnce(filter: object, update: object, answer?: Answer): Promise<Outcome | undefined> {
    if (!answer) {
      const { matchedCount } = await this.#collection.updateOne(filter, update)
      return matchedCount === 1 ? {} : undefined
    }
    const found = await this.#collection.findOneAndUpdate(filter, update, {
      projection: projectionOf(answer.paths),
      returnDocument: answer.when,
      includeResultMetadata: false,
    })
    if (!isPlain(found)) return undefined
    const { rev, fields } = excerptOf(found, answer.paths)
    return { rev: answer.when === 'before' ? rev + 1 : rev, fields }
  }

  /** Adds the condition that a change does not make the fields too large, by what it adds at most. */
  #makeRoom(filter: Record<string, unknown>, { maxSize, operations }: Change): void {
    if (maxSize === undefined || !this.#measures) return
    const growth = operations.reduce((sum, operation) => sum + growthOf(operation), 0)
    filter.$expr = { $lte: [{ $bsonSize: '$data' }, maxSize - growth] }
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const filter = { ...live(id, new Date()), ...(rev !== undefined && { rev }) }
    const update = {
      $set: { ...tombstone, expires: until },
      $unset: { data: '', created: '', absolute: '', maxAge: '', rev: '' },
    }
    const { matchedCount } = await this.#sent(filter, part => this.#collection.updateOne(part, update))
    return matchedCount === 1
  }

  async delete(id: SessionId): Promise<void> {
    await this.#sent({ _id: id }, part => this.#collection.deleteOne(part))
  }

  useTimeout(ms: number): void {
    const options = this.#collection.db?.client?.options
    if (options) warnOfWaits(options, ms)
  }

  /** The TTL index only reclaims space, so one that cannot be had is reported, and nothing else depends on it. */
  async ensureIndex(user?: Path): Promise<void> {
    this.#measures ??= await this.#canMeasure()
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

  /** `$facet` makes a document of nothing, whose size can be asked for even where no session is stored yet. */
  async #canMeasure(): Promise<boolean> {
    const pipeline = [{ $facet: { none: [{ $limit: 1 }] } }, { $project: { size: { $bsonSize: '$$ROOT' } } }]
    try {
      const [measured] = await this.#collection.aggregate(pipeline).toArray()
      return isPlain(measured) && typeof measured.size === 'number'
    } catch {
      return false
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

  async #sent<T>(filter: object, send: (filter: object) => Promise<T>): Promise<T> {
    const sending = new Sending()
    try {
      return await send(sending.part(filter))
    } catch (error) {
      throw mongoError(error, sending.outcome)
    }
  }

  /**
   * Why a change found nothing to apply to, as of now: each answer holds at the moment of this read, at which the change
   * might as well have come. The record, where it would be applied to that: then it is sent again.
   */
  async #reasonFor(id: SessionId, change: Change, tries: number): Promise<Refusal | SessionRecord> {
    const found = await this.load(id)
    if (!found) return 'absent'
    if ('ended' in found) return 'ended'
    if (!holds(change.guards, found.fields)) return 'refused'
    const size = sizeOf(applied(found.fields, change.operations))
    if (size > (change.maxSize ?? Infinity) && size > sizeOf(found.fields)) throw new SessionTooLargeError()
    if (tries < MOST_TRIES) return found
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

type Refusal = Exclude<Outcome, object>

const DUPLICATE_KEY = 11000
const NAMESPACE_NOT_FOUND = 26
const INDEX_OPTIONS_CONFLICT = 85
const INDEX_KEY_SPECS_CONFLICT = 86

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
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
