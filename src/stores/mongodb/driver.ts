import { ConfigurationError } from '../../errors.ts'
import { type Fields, isBSON, isPlain } from '../../language/values.ts'
import type { MongoDBCollection } from './collection.ts'
import type { ClientOptions } from './timeouts.ts'

/** Of the driver: they decide as what stored values come back. */
export interface BSONOptions {
  readonly raw?: unknown
  readonly promoteValues?: unknown
  readonly promoteLongs?: unknown
  readonly promoteBuffers?: unknown
  readonly useBigInt64?: unknown
  readonly fieldsAsRaw?: unknown
}

/** What they have to be. */
const required = {
  raw: false,
  promoteValues: true,
  promoteLongs: true,
  promoteBuffers: false,
  useBigInt64: false,
}

const OLDEST = 6

/** The client, as far as the driver tells of it: older versions have no `db`, and one that is too old not even `client`. */
export function clientOf(collection: MongoDBCollection): { readonly options?: ClientOptions } | undefined {
  if ('db' in collection) return collection.db?.client
  return collection.client ?? collection.s?.db?.s?.client
}

/**
 * Refuses what is no collection, and one that does not acknowledge, or whose answers are not what this store reads. What it does
 * not tell is not judged.
 * @throws {ConfigurationError}
 */
export function assertUsable(collection: MongoDBCollection): void {
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
  const version = versionOf(clientOf(collection)?.options?.metadata)
  if (version !== undefined && Number.parseInt(version, 10) < OLDEST) {
    throw new ConfigurationError(`collection is of version ${version} of the mongodb driver: ${tooOld}`)
  }
  const { bsonOptions = {} } = collection
  const wrong = Object.entries(required).flatMap(([name, value]) =>
    (bsonOptions[name as keyof BSONOptions] ?? value) === value ? [] : `${name}: ${!value}`,
  )
  if (Object.keys(bsonOptions.fieldsAsRaw ?? {}).length > 0) wrong.push('fieldsAsRaw')
  if (wrong.length > 0) throw unreadable(`collection has ${wrong.join(', ')}`)
}

/**
 * A document as the driver gives it: of ours, numbers are numbers.
 * @throws {ConfigurationError} for what no driver gives that is set up as it has to be, since a session would pass for none.
 */
export function decoded(document: object | null): Fields | undefined {
  if (document === null) return undefined
  if (!isPlain(document) || isUnpromoted(document.v) || isUnpromoted(document.rev)) {
    throw unreadable('collection has options (raw, promoteValues)')
  }
  if ('lastErrorObject' in document) {
    throw new ConfigurationError(`collection answers as older versions of the mongodb driver do: ${tooOld}`)
  }
  return document
}

const tooOld = `version ${OLDEST} or newer is needed`

function unreadable(what: string): ConfigurationError {
  return new ConfigurationError(
    `${what}, under which sessions would not be read as they were written: leave these options of the mongodb driver out, or ` +
      'give sessions a collection, or a client, without them',
  )
}

/** Newer drivers give a promise of it. */
function versionOf(metadata: unknown): string | undefined {
  const driver = isPlain(metadata) ? metadata.driver : undefined
  return isPlain(driver) && typeof driver.version === 'string' ? driver.version : undefined
}

function isUnpromoted(value: unknown): boolean {
  return isBSON(value) && (value._bsontype === 'Int32' || value._bsontype === 'Double')
}
