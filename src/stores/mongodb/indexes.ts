import { inspect, isDeepStrictEqual } from 'node:util'
import { CommandError, ConfigurationError, type SessionError } from '../../errors.ts'
import type { Path } from '../../language/paths.ts'
import { type Fields, isPlain } from '../../language/values.ts'
import type { MongoDBCollection, ReadOptions } from './collection.ts'
import { codeOf, isOfConnection, mongoError } from './errors.ts'
import { inData } from './language.ts'

const NAMESPACE_NOT_FOUND = 26
const INDEX_OPTIONS_CONFLICT = 85
const INDEX_KEY_SPECS_CONFLICT = 86

/** An index on one field. */
interface Index {
  readonly field: string
  readonly options: Fields
  /** What goes wrong without it, or with another in its place. */
  readonly loss: string
  /** Whether an index on the same field does what this one is for. */
  isServedBy(existing: Fields): boolean
  /** Whether an index on the same field does harm, even beside this one. */
  isHarmedBy(existing: Fields): boolean
}

/** Only reclaims space: nothing else depends on it. */
const byExpiry: Index = {
  field: 'expires',
  options: { expireAfterSeconds: 0 },
  loss: 'ended sessions are not removed as they should be',
  isServedBy: ({ expireAfterSeconds, partialFilterExpression }) =>
    expireAfterSeconds === 0 && partialFilterExpression === undefined,
  isHarmedBy: ({ unique }) => unique === true,
}

/**
 * Leaves out sessions that have no user. Not by `sparse`, which the Stable API does not have. An equality to another value
 * than null implies the filter, so that `find` uses the index.
 */
function byUser(user: Path): Index {
  const field = inData(user)
  const filter = { [field]: { $exists: true } }
  return {
    field,
    options: { partialFilterExpression: filter },
    loss: 'find() and endAll() have to look at every session, or a user cannot have several',
    isServedBy: ({ key: _key, name: _name, v: _v, ns: _ns, background: _background, ...rest }) =>
      isDeepStrictEqual(rest, {}) || isDeepStrictEqual(rest, { partialFilterExpression: filter }),
    isHarmedBy: ({ unique, expireAfterSeconds }) => unique === true || expireAfterSeconds !== undefined,
  }
}

/** Each index is made whatever becomes of the other; then what went wrong is told. */
export async function ensureIndexes(collection: MongoDBCollection, user?: Path): Promise<void> {
  const existing = (await collection.indexes().catch(noneYet)).filter(isPlain)
  const failures: SessionError[] = []
  for (const index of user === undefined ? [byExpiry] : [byExpiry, byUser(user)]) {
    const failure = await ensure(collection, index, existing)
    if (failure) failures.push(failure)
    // The other would wait as long for a server that is not there.
    if (isOfConnection(failure?.cause)) break
  }
  // These stay until somebody does something; others may have gone by the next time.
  const faults = failures.filter(failure => failure instanceof ConfigurationError)
  const [failure = failures[0]] = faults
  if (faults.length > 1) throw new ConfigurationError(faults.map(({ message }) => message).join('. '))
  if (failure) throw failure
}

/** Whether there are such indexes; those that somebody has made by hand, with whatever options, will do. */
export async function hasIndexes(collection: MongoDBCollection, user?: Path): Promise<boolean> {
  const existing = (await collection.indexes().catch(noneYet)).filter(isPlain)
  const isThere = (field: string) => existing.some(({ key }) => isOnly(key, field))
  return isThere(byExpiry.field) && (user === undefined || isThere(inData(user)))
}

/** What kept the index from being there; nothing if it is. */
async function ensure(
  collection: MongoDBCollection,
  index: Index,
  existing: readonly Fields[],
): Promise<SessionError | undefined> {
  const { field, options } = index
  const onField = existing.filter(({ key }) => isOnly(key, field))
  const harmful = onField.find(index.isHarmedBy)
  if (harmful) return conflictOf(collection, index, harmful)
  if (onField.some(index.isServedBy)) return undefined
  // The server would take another beside it, and this one would go on doing what it does.
  if (index === byExpiry && onField[0]) return conflictOf(collection, index, onField[0])
  try {
    await collection.createIndex({ [field]: 1 }, options)
    return undefined
  } catch (error) {
    const code = codeOf(error)
    if (code === INDEX_OPTIONS_CONFLICT || code === INDEX_KEY_SPECS_CONFLICT) {
      const sameName = existing.find(({ name }) => name === `${field}_1`)
      return conflictOf(collection, index, sameName ?? onField[0], error)
    }
    const failure = mongoError(error, 'unknown')
    return failure instanceof CommandError ? refusalOf(collection, index, error) : failure
  }
}

/** Refusals of a stage, an expression or a command that the server does not have. */
const unsupported = new Set<unknown>([59, 115, 168, 238, 303, 304, 323, 40324])

/**
 * Whether the server has `$bsonSize`, which it says by an answer or by refusing the question; `undefined` if it failed otherwise,
 * which may pass. `$facet` makes a document of nothing, whose size can be asked for even where no session is stored yet.
 * @throws {StoreUnavailableError} where the server could not be asked.
 */
export async function canMeasure(
  collection: MongoDBCollection,
  options: ReadOptions,
): Promise<boolean | undefined> {
  const pipeline = [{ $facet: { none: [{ $limit: 1 }] } }, { $project: { size: { $bsonSize: '$$ROOT' } } }]
  try {
    const [measured] = await collection.aggregate(pipeline, options).toArray()
    return isPlain(measured) && typeof measured.size === 'number'
  } catch (error) {
    const failure = mongoError(error, 'none')
    if (!(failure instanceof CommandError)) throw failure
    const isRefusal = unsupported.has(codeOf(error)) || /\$bsonSize\b/.test((error as Error).message)
    return isRefusal ? false : undefined
  }
}

function noneYet(error: unknown): object[] {
  if (codeOf(error) === NAMESPACE_NOT_FOUND) return []
  throw mongoError(error, 'none')
}

function isOnly(key: unknown, field: string): boolean {
  return isPlain(key) && Object.keys(key).length === 1 && field in key
}

function conflictOf(
  { collectionName }: MongoDBCollection,
  { field, options, loss }: Index,
  inTheWay: Fields | undefined,
  cause?: unknown,
): ConfigurationError {
  const name = typeof inTheWay?.name === 'string' ? ` (${inTheWay.name})` : ''
  const fault =
    inTheWay && !isOnly(inTheWay.key, field)
      ? `an index on ${inOneLine(inTheWay.key)} with the name that the index on ${field} needs`
      : `an index on ${field} with other options than ${inOneLine(options)}`
  return new ConfigurationError(
    `The collection ${collectionName} has ${fault}${name}: ${loss}; drop that index, then call ensureIndex() again`,
    cause === undefined ? {} : { cause },
  )
}

function inOneLine(value: unknown): string {
  return inspect(value, { depth: null, breakLength: Number.POSITIVE_INFINITY })
}

function refusalOf(
  { collectionName }: MongoDBCollection,
  { field, loss }: Index,
  cause: unknown,
): ConfigurationError {
  return new ConfigurationError(
    `MongoDB refuses an index on ${field} of the collection ${collectionName} (code ${String(codeOf(cause))}): ${loss}`,
    { cause },
  )
}
