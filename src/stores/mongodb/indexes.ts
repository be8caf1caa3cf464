import { ConfigurationError } from '../../core/errors.ts'
import type { Path } from '../../core/paths.ts'
import { isPlain } from '../../core/values.ts'
import type { MongoDBCollection } from './collection.ts'
import { codeOf, mongoError } from './errors.ts'
import { inData } from './language.ts'

const NAMESPACE_NOT_FOUND = 26
const INDEX_OPTIONS_CONFLICT = 85
const INDEX_KEY_SPECS_CONFLICT = 86

/** The TTL index only reclaims space, so one that cannot be had is reported, and nothing else depends on it. */
export async function ensureIndexes(collection: MongoDBCollection, user?: Path): Promise<void> {
  try {
    // First, so that a conflict about the other does not keep users from being found.
    if (user !== undefined) await collection.createIndex({ [inData(user)]: 1 }, { sparse: true })
    const indexes = await collection.indexes().catch(noneYet)
    const existing = indexes.filter(isPlain).find(index => isOnExpires(index.key))
    if (existing && existing.expireAfterSeconds !== 0) throw conflict(collection)
    if (!existing) await collection.createIndex({ expires: 1 }, { expireAfterSeconds: 0 })
  } catch (error) {
    if (error instanceof ConfigurationError) throw error
    const code = codeOf(error)
    throw code === INDEX_OPTIONS_CONFLICT || code === INDEX_KEY_SPECS_CONFLICT
      ? conflict(collection, error)
      : mongoError(error, 'unknown')
  }
}

/** `$facet` makes a document of nothing, whose size can be asked for even where no session is stored yet. */
export async function canMeasure(collection: MongoDBCollection): Promise<boolean> {
  const pipeline = [{ $facet: { none: [{ $limit: 1 }] } }, { $project: { size: { $bsonSize: '$$ROOT' } } }]
  try {
    const [measured] = await collection.aggregate(pipeline).toArray()
    return isPlain(measured) && typeof measured.size === 'number'
  } catch {
    return false
  }
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
