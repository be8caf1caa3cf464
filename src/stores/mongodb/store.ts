import {
  CommandError,
  IdTakenError,
  type SessionError,
  SessionTooLargeError,
  StoreUnavailableError,
} from '../../errors.ts'
import type { SessionId } from '../../ids.ts'
import { factoryOptions } from '../../language/calloptions.ts'
import type { Change } from '../../language/change.ts'
import { holds } from '../../language/guard.ts'
import { applied } from '../../language/operators.ts'
import type { Path } from '../../language/paths.ts'
import { growthOf, sizeOf } from '../../language/size.ts'
import type { Fields } from '../../language/values.ts'
import { givenBy, givenIn } from '../../store/encoding.ts'
import { type JoinableStore, joined, type Loaded, type Read, type Update } from '../../store/joining.ts'
import {
  ENDED_FORM,
  FORM,
  isEnded,
  otherLifetime,
  type SessionRecord,
  type Tombstone,
  toStored,
} from '../../store/record.ts'
import type { Answer, Applied, Outcome, Store } from '../../store/store.ts'
import { isCheap, type Verdict, verdictsOf } from './bulk.ts'
import type { MongoDBCollection, ReadOptions } from './collection.ts'
import { excerptOf, loadedOf, NO_REV, readOf, repairsOf } from './documents.ts'
import { assertUsable, clientOf, decoded } from './driver.ts'
import { encodingError, explained, isIdTaken, isOfConnection, mongoError, Sending } from './errors.ts'
import { findMany, findSessions } from './finding.ts'
import { canMeasure, ensureIndexes, hasIndexes } from './indexes.ts'
import {
  filterOf,
  live,
  matchedOrFailing,
  projectionOf,
  readable,
  unwritten,
  updateOf,
  withoutExtension,
} from './language.ts'
import { warnOfWaits } from './timeouts.ts'

export interface MongoDBStoreOptions {
  /** A collection of the official driver, version 6 or newer. */
  readonly collection: MongoDBCollection
}

/** Sessions in a MongoDB collection. Each session is one document, and each method is one command on it. */
export function mongoStore(options: MongoDBStoreOptions): Store & AsyncDisposable {
  const { collection } = factoryOptions('mongoStore', options, ['collection'])
  assertUsable(collection)
  return joined(new MongoDBStore(collection))
}

/** A change fails after this many attempts, if other writes came in between each time. */
const MAX_TRIES = 50

class MongoDBStore implements JoinableStore {
  readonly #collection: MongoDBCollection
  /** For every read: a secondary may not have an acknowledged write yet. */
  readonly #primary: ReadOptions
  /** Whether the server has `$bsonSize`; `undefined` until it has told. MongoDB before 4.4 and some compatible servers lack it. */
  #measures: boolean | undefined

  constructor(collection: MongoDBCollection) {
    this.#collection = collection
    this.#primary = collection.readPreference?.mode === 'primary' ? {} : { readPreference: 'primary' }
  }

  async insert(record: SessionRecord): Promise<void> {
    const sending = new Sending()
    try {
      await this.#collection.insertOne(sending.part(toStored(record)))
    } catch (error) {
      if (isIdTaken(error)) throw new IdTakenError('The id is taken', { cause: error })
      throw encodingError(error, givenIn(record.fields)) ?? mongoError(error, sending.outcome)
    }
  }

  async load(id: SessionId): Promise<Loaded> {
    return loadedOf(await this.#find(readable(id, new Date())))
  }

  loadMany(ids: readonly SessionId[]): Promise<PromiseSettledResult<Loaded>[]> {
    const filter = readable({ $in: ids }, new Date())
    return findMany(this.#collection, ids, filter, this.#primary, loadedOf, id => this.load(id))
  }

  async read(id: SessionId, paths: readonly Path[]): Promise<Read> {
    const projection = { ...projectionOf(paths), v: 1, ended: 1, next: 1 }
    return readOf(await this.#find(readable(id, new Date()), { ...this.#primary, projection }), paths)
  }

  readMany(ids: readonly SessionId[], paths: readonly Path[]): Promise<PromiseSettledResult<Read>[]> {
    const projection = { ...projectionOf(paths), _id: 1, v: 1, ended: 1, next: 1 }
    return findMany(
      this.#collection,
      ids,
      readable({ $in: ids }, new Date()),
      { ...this.#primary, projection },
      found => readOf(found, paths),
      id => this.read(id, paths),
    )
  }

  update(id: SessionId, change: Change, answer?: Answer): Promise<Outcome> {
    return this.#change({ id, change, answer }, 1)
  }

  /** `tries`: which attempt comes first, counted from 1. From the second on, it first reads why the one before did not match. */
  async #change({ id, change, answer }: Update, tries: number): Promise<Outcome> {
    let wanted = change
    let other: ReturnType<typeof otherLifetime>
    for (let rev: number | undefined; ; tries++) {
      if (tries > 1) {
        const reason = await this.#reasonFor(id, change, tries)
        if (typeof reason === 'string') return reason
        other = otherLifetime(change, reason.maxAge)
        wanted = other ? withoutExtension(change) : change
        // Alternately by revision, which another write may have moved, and by the full conditions, which may hold by now.
        rev = tries % 2 === 0 ? reason.rev : undefined
      }
      const filter = filterOf(id, wanted, new Date(), rev)
      if (rev === undefined) this.#makeRoom(filter, wanted)
      const sending = new Sending()
      try {
        const outcome = await this.#updateOnce(sending.part(filter), updateOf(wanted), answer)
        if (outcome) return { ...outcome, ...other }
      } catch (error) {
        const failure = encodingError(error, givenBy(change)) ?? mongoError(error, sending.outcome)
        if (!(failure instanceof CommandError)) throw failure
        const { found, isRepaired } = await this.#repaired(id).catch(() => unread)
        if (!isRepaired) throw explained(failure, found, change)
      }
    }
  }

  /**
   * A bulk write returns no fields, so a change with an answer cannot join. Nor can one with guards: a guard that does not hold is
   * common, and would be an error in the server's log.
   */
  isJoinable({ change, answer }: Update): boolean {
    return !answer && change.guards.length === 0 && isCheap(change)
  }

  async updateMany(updates: readonly Update[]): Promise<PromiseSettledResult<Outcome>[]> {
    const now = new Date()
    const statements = updates.map(({ id, change }) => {
      const filter = filterOf(id, change, now)
      this.#makeRoom(filter, change)
      return { updateOne: { filter: matchedOrFailing(id, filter), update: updateOf(change) } }
    })
    const sending = new Sending()
    // `sending` notices that the driver sends a command when the driver encodes its options. It encodes the statements earlier,
    // before it has a connection. An undefined comment is left out: servers before 4.4 do not know comments.
    const bulk = this.#collection.bulkWrite(
      statements,
      sending.part({ ordered: false, ignoreUndefined: true, comment: undefined }),
    )
    const ids = updates.map(({ id }) => id)
    const verdicts = await verdictsOf(ids, bulk, sending, missing => this.loadMany(missing))
    return Promise.allSettled(
      updates.map((update, index) => {
        const verdict = verdicts[index] as Verdict
        if (verdict === 'applied') return {}
        return verdict === 'not applied' ? this.#change(update, 2) : Promise.reject(verdict)
      }),
    )
  }

  async #updateOnce(filter: object, update: object, answer?: Answer): Promise<Applied | undefined> {
    if (!answer) {
      const { matchedCount } = await this.#collection.updateOne(filter, update)
      return matchedCount === 1 ? {} : undefined
    }
    const options = {
      projection: projectionOf(answer.paths),
      returnDocument: answer.when,
      includeResultMetadata: false,
    }
    const found = decoded(await this.#collection.findOneAndUpdate(filter, update, options))
    if (!found) return undefined
    const { rev, fields } = excerptOf(found, answer.paths)
    return { rev: answer.when === 'before' ? rev + 1 : rev, fields }
  }

  /** Adds the condition that the fields have room for the most that the change can add. */
  #makeRoom(filter: Record<string, unknown>, { maxSize, operations }: Change): void {
    if (maxSize === undefined || !this.#measures) return
    const growth = operations.reduce((sum, operation) => sum + growthOf(operation), 0)
    filter.$expr = { $lte: [{ $bsonSize: '$data' }, maxSize - growth] }
  }

  async end(id: SessionId, tombstone: Tombstone, until: Date, rev?: number): Promise<boolean> {
    const filter = { ...live(id, new Date()), ...(rev !== undefined && { rev }) }
    const update = {
      $set: { v: ENDED_FORM, ...tombstone, expires: until },
      $unset: { data: '', created: '', absolute: '', maxAge: '', rev: '' },
    }
    const { matchedCount } = await this.#sent(filter, part => this.#collection.updateOne(part, update))
    if (matchedCount === 0 && rev === NO_REV) await this.#repaired(id)
    return matchedCount === 1
  }

  async delete(id: SessionId): Promise<void> {
    await this.#sent({ _id: id }, part => this.#collection.deleteOne(part))
  }

  useTimeout(ms: number): void {
    const client = clientOf(this.#collection)
    if (client) warnOfWaits(client, ms)
  }

  async ensureIndex(user?: Path): Promise<void> {
    const untold = await this.#learn().catch((error: SessionError) => error)
    if (untold && isOfConnection(untold.cause)) throw untold
    await ensureIndexes(this.#collection, user)
    if (untold) throw untold
    // What failed before may work now. It is no failure of the indexes.
    await this.#learn()
  }

  async isIndexed(user?: Path): Promise<boolean> {
    return hasIndexes(this.#collection, user)
  }

  async count(): Promise<number> {
    try {
      return await this.#collection.countDocuments({ v: FORM, expires: { $gt: new Date() } }, this.#primary)
    } catch (error) {
      throw mongoError(error, 'none')
    }
  }

  /** Asks again each time until the server has answered. */
  async #learn(): Promise<void> {
    this.#measures ??= await canMeasure(this.#collection, this.#primary)
  }

  find(path: Path, value: unknown): AsyncGenerator<SessionRecord> {
    return findSessions(this.#collection, path, value, this.#primary)
  }

  async #find(filter: object, options: object = this.#primary): Promise<Fields | undefined> {
    try {
      return decoded(await this.#collection.findOne(filter, options))
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
   * Why a change matched no record. The reason holds at the moment of this read, as if the change had come then. If the change
   * would apply to the record as it is now, the result is the record, and the change is sent again.
   */
  async #reasonFor(
    id: SessionId,
    change: Change,
    tries: number,
  ): Promise<Exclude<Outcome, object> | SessionRecord> {
    const { found } = await this.#repaired(id)
    if (!found) return 'absent'
    if (isEnded(found)) return 'ended'
    if (change.rev !== undefined && change.rev !== found.rev) return 'refused'
    if (!holds(change.guards, found.fields)) return 'refused'
    const size = sizeOf(applied(found.fields, change.operations))
    if (size > (change.maxSize ?? Infinity) && size > sizeOf(found.fields)) throw new SessionTooLargeError()
    if (tries <= MAX_TRIES) return found
    throw new StoreUnavailableError('MongoDB keeps passing over a session that it has', 'none')
  }

  /** Loads a session that is to be changed. If it was edited by hand so that it cannot be changed, repairs it. */
  async #repaired(id: SessionId): Promise<{ readonly found: Loaded; readonly isRepaired: boolean }> {
    const document = await this.#find(readable(id, new Date()))
    const found = loadedOf(document)
    if (!document || !found || isEnded(found)) return { found, isRepaired: false }
    const repairs = repairsOf(document, found)
    if (!repairs) return { found, isRepaired: false }
    const filter = unwritten(id, document.rev, new Date())
    await this.#sent(filter, part => this.#collection.updateOne(part, { $set: repairs }))
    return { found, isRepaired: true }
  }
}

const unread = { found: undefined, isRepaired: false } as const
