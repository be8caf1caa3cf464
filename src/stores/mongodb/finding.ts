import type { SessionId } from '../../ids.ts'
import type { Path } from '../../language/paths.ts'
import { type Fields, isPlain } from '../../language/values.ts'
import { FORM, isEnded, type SessionRecord } from '../../store/record.ts'
import type { MongoDBCollection, ReadOptions } from './collection.ts'
import { loadedOf } from './documents.ts'
import { decoded } from './driver.ts'
import { encodingError, isOfConnection, isOfDriver, mongoError } from './errors.ts'
import { inData } from './language.ts'

/** The sessions whose field at `path` is `value`. */
export async function* findSessions(
  collection: MongoDBCollection,
  path: Path,
  value: unknown,
  options: ReadOptions,
): AsyncGenerator<SessionRecord> {
  const filter = { [inData(path)]: { $eq: value }, v: FORM, expires: { $gt: new Date() } }
  try {
    for await (const answered of found(collection, filter, options)) {
      const document = decoded(answered)
      // In a list that somebody has put in their place, no field is the session's.
      if (document && 'data' in document && !isPlain(document.data)) continue
      const loaded = loadedOf(document)
      if (loaded && !isEnded(loaded)) yield loaded
    }
  } catch (error) {
    throw encodingError(error, [[path, value]]) ?? mongoError(error, 'none')
  }
}

/** What `of` makes of each session's document; `alone` asks for one of them anew. */
export async function findMany<T>(
  collection: MongoDBCollection,
  ids: readonly SessionId[],
  filter: object,
  options: object,
  of: (found: Fields | undefined) => T,
  alone: (id: SessionId) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  try {
    const documents = (await collection.find(filter, options).toArray()).map(decoded)
    const byId = new Map(documents.map(document => [document?._id, document]))
    return ids.map(id => ({ status: 'fulfilled', value: of(byId.get(id)) }))
  } catch (error) {
    // One that cannot be decoded, or that is where the server cannot reach it, must not be the others' concern.
    if (!isOfConnection(error)) return Promise.allSettled(ids.map(alone))
    return ids.map(() => ({ status: 'rejected', reason: mongoError(error, 'none') }))
  }
}

/**
 * The documents that a filter finds. Those among which one cannot be decoded are read one by one, and that one without its
 * fields: whoever ends all sessions of a user must come by it.
 */
async function* found(
  collection: MongoDBCollection,
  filter: object,
  options: object,
): AsyncGenerator<object> {
  const seen = new Set<string>()
  try {
    for await (const document of collection.find(filter, options)) {
      seen.add(nameOf(document))
      yield document
    }
    return
  } catch (error) {
    if (isOfDriver(error)) throw error
  }
  for await (const document of collection.find(filter, { ...options, projection: { _id: 1 } })) {
    if (seen.has(nameOf(document))) continue
    const one = { ...filter, ...document }
    const read = await collection.findOne(one, options).catch(error => {
      if (isOfDriver(error)) throw error
      return collection.findOne(one, { ...options, projection: { data: 0 } })
    })
    if (read) yield read
  }
}

/** An id of ours is a text; what somebody else has stored may be under anything. */
function nameOf(document: object): string {
  return String('_id' in document && document._id)
}
