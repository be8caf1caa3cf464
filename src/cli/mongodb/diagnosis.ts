import { inspect } from 'node:util'
import type { Document, MongoClient } from 'mongodb'
import { ENDED_FORM, FORM } from '../../store/record.ts'
import { waits } from '../../stores/mongodb/timeouts.ts'
import { clockFound, expiredFound, GRACE, recordFaults } from '../doctor/faults.ts'
import { type Check, type DoctorOptions, type Fault, orFine } from '../doctor/finding.ts'
import type { Target } from '../target.ts'
import { type ConnectedMongoDB, type Documents, expired } from './open.ts'

/** Milliseconds that a look at all documents may take. */
const PATIENCE = 10_000

/** The oldest version that measures `maxSize`. */
const MEASURING = [4, 4] as const

export function checksOfMongoDB(
  { driver, client, collection }: ConnectedMongoDB,
  { address, names }: Target,
  { field, timeout = 5000 }: DoctorOptions,
): Check[] {
  // Never connected: it tells what the driver makes of the address, without what this tool needs.
  const { options } = new driver.MongoClient(address)
  const greeting = once(() => greet(client))
  return [
    { name: 'connection', look: async () => connectionFound(await versionOf(client), await greeting()) },
    { name: 'names', look: () => namesFound(client, collection) },
    { name: 'indexes', look: async () => indexesFound(await indexesOf(collection), names.collection, field) },
    { name: 'durability', look: () => writeConcernFound(client, options) },
    { name: 'replicas', look: async () => replicasFound(await greeting()) },
    { name: 'waits', look: async () => waitsFound(options, timeout) },
    { name: 'clock', look: () => clockOf(client) },
    { name: 'expired', look: () => expiredIn(collection) },
    { name: 'records', look: () => recordsFound(collection, names.collection) },
  ]
}

type Options = MongoClient['options']

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined
  return () => {
    asked ??= ask()
    return asked
  }
}

/** Older servers, and what only speaks their protocol, know no `hello`. */
function greet(client: MongoClient): Promise<Document> {
  const admin = client.db('admin')
  return admin.command({ hello: 1 }).catch(() => admin.command({ isMaster: 1 }))
}

async function versionOf(client: MongoClient): Promise<string> {
  const { version } = await client.db('admin').command({ buildInfo: 1 })
  return String(version)
}

export function connectionFound(version: string, hello: Document): readonly Fault[] | string {
  const faults: Fault[] = []
  if (hello.isWritablePrimary !== true && hello.ismaster !== true) {
    faults.push({
      severity: 'error',
      message: 'The address leads to a secondary, which takes no changes',
      advice:
        'Name the replica set (replicaSet=…) and leave out directConnection, so that the driver finds the primary',
    })
  }
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < MEASURING[0] || (major === MEASURING[0] && minor < MEASURING[1])) {
    faults.push({
      severity: 'warning',
      message: `MongoDB ${version} cannot measure sessions, so that the option maxSize has no effect`,
      advice: `Use MongoDB ${MEASURING.join('.')} or newer`,
    })
  }
  return orFine(faults, `MongoDB ${version}`)
}

/** Those of ours, among others. */
const ours = { v: { $in: [FORM, ENDED_FORM] }, _id: { $type: 'string' as const } }

async function namesFound(client: MongoClient, collection: Documents): Promise<readonly Fault[] | string> {
  const { namespace, collectionName } = collection
  if (await collection.findOne(ours, { projection: { _id: 1 }, maxTimeMS: PATIENCE })) {
    return `There are sessions in ${namespace}`
  }
  const db = client.db()
  const all = await db.listCollections({}, { nameOnly: true }).toArray()
  const others: string[] = []
  for (const { name } of all) {
    if (name === collectionName || name.startsWith('system.')) continue
    const found = await db
      .collection(name)
      .findOne({ ...ours, rev: { $exists: true }, data: { $exists: true } } as Document, {
        projection: { _id: 1 },
        maxTimeMS: PATIENCE,
      })
      .catch(() => null)
    if (found) others.push(name)
  }
  if (others.length === 0) return `There are no sessions in ${namespace} yet`
  return [
    {
      severity: 'warning',
      message: `There are no sessions in ${namespace}, but in ${others.join(', ')}`,
      advice: 'Give --collection, or let the app use the collection that was meant',
    },
  ]
}

const NAMESPACE_NOT_FOUND = 26

function indexesOf(collection: Documents): Promise<Document[]> {
  return collection.indexes().catch(error => {
    if (error.code === NAMESPACE_NOT_FOUND) return []
    throw error
  })
}

function indexesFound(
  indexes: readonly Document[],
  collection: string,
  field: string | undefined,
): readonly Fault[] | string {
  const on = (path: string) =>
    indexes.filter(({ key }) => Object.keys(key).length === 1 && Object.hasOwn(key, path))
  const faults: Fault[] = []
  const [byExpiry] = on('expires')
  if (!byExpiry) {
    faults.push({
      severity: 'warning',
      message: `The collection ${collection} has no TTL index on expires, so expired sessions pile up`,
      advice: 'Call await sessions.ensureIndex() each time the app starts',
    })
  } else if (byExpiry.expireAfterSeconds !== 0) {
    faults.push({
      severity: 'warning',
      message: `The index ${byExpiry.name} on expires has expireAfterSeconds ${inspect(byExpiry.expireAfterSeconds)} and not 0, so sessions are not removed when they expire`,
      advice: `Drop the index ${byExpiry.name}, then call await sessions.ensureIndex()`,
    })
  }
  if (field !== undefined && on(`data.${field}`).length === 0) {
    faults.push({
      severity: 'warning',
      message: `The collection ${collection} has no index on data.${field}, so find() and endAll() look at every session`,
      advice: `Give Session the option user: '${field}', and call await sessions.ensureIndex() each time the app starts`,
    })
  }
  return orFine(faults, 'The indexes are there')
}

async function writeConcernFound(
  client: MongoClient,
  { writeConcern, retryWrites }: Options,
): Promise<readonly Fault[] | string> {
  const faults: Fault[] = []
  const given: unknown = writeConcern?.w
  // Who may not ask is not told of it.
  const server = await client
    .db('admin')
    .command({ getDefaultRWConcern: 1 })
    .catch(() => undefined)
  const w = given ?? server?.defaultWriteConcern?.w
  const where = given === undefined ? "The cluster's default write concern" : "The address's write concern"
  if (w === 0) {
    faults.push({
      severity: 'error',
      message: `${where} is w: 0, under which nothing is acknowledged. The library refuses such a collection`,
      advice: 'Remove w=0, or set w=majority',
    })
  } else if (typeof w === 'number') {
    faults.push({
      severity: 'warning',
      message: `${where} is w: ${w}. A failover can undo changes that were acknowledged, the end of a session among them`,
      advice: 'Set w=majority',
    })
  }
  if (writeConcern?.journal === false) {
    faults.push({
      severity: 'warning',
      message: 'The address has journal=false. A crash of the server can undo what was acknowledged',
      advice: 'Remove journal=false',
    })
  }
  if (retryWrites === false) {
    faults.push({
      severity: 'warning',
      message:
        'The address has retryWrites=false, so each failover answers requests with 503 that could have gone on',
      advice: 'Remove retryWrites=false',
    })
  }
  return orFine(faults, 'No change is acknowledged too early')
}

function replicasFound(hello: Document): readonly Fault[] | string {
  if (hello.msg === 'isdbgrid') return 'A sharded cluster'
  if (typeof hello.setName === 'string') return `The replica set ${hello.setName}`
  return [
    {
      severity: 'note',
      message:
        'This is a single server. While it is away requests that use their session are answered with 503, and what its disk loses is lost',
      advice: 'Use a replica set if that is too little',
    },
  ]
}

function waitsFound(options: Options, timeout: number): readonly Fault[] | string {
  const long = waits.filter(name => !(options[name] > 0 && options[name] <= timeout))
  if (long.length === 0) return 'The driver waits no longer than the app'
  const told = long.map(name => `${name} (${options[name] > 0 ? `${options[name]} ms` : 'no limit'})`)
  return [
    {
      severity: 'warning',
      message: `By this address the driver waits longer than the app's timeout of ${timeout} ms: ${told.join(', ')}. It may make a change whose request was answered with 503 long ago`,
      advice: `Add ${long.map(name => `${name}=${timeout}`).join('&')} to the address. If the app gives these to MongoClient, check those, and give --skip waits`,
    },
  ]
}

async function clockOf(client: MongoClient): Promise<readonly Fault[] | string> {
  const before = Date.now()
  const { localTime } = await greet(client)
  if (!(localTime instanceof Date)) throw new Error('the server does not tell its time')
  return clockFound(
    localTime.getTime(),
    before,
    Date.now(),
    'The apps decide when a session has expired, and the server when it is removed',
  )
}

async function expiredIn(collection: Documents): Promise<readonly Fault[] | string> {
  const filter = expired(new Date(Date.now() - GRACE))
  const count = await collection.countDocuments(filter, { maxTimeMS: PATIENCE })
  const oldest = await collection.findOne<{ expires: Date }>(filter, {
    sort: { expires: 1 },
    projection: { expires: 1 },
    maxTimeMS: PATIENCE,
  })
  return expiredFound(count, oldest?.expires, 'Call await sessions.ensureIndex(), which makes the TTL index.')
}

async function recordsFound(collection: Documents, name: string): Promise<readonly Fault[] | string> {
  const count = (filter: Document) => collection.countDocuments(filter, { maxTimeMS: PATIENCE })
  const others = await count({ $or: [{ v: { $exists: false } }, { v: { $not: { $type: 'number' } } }] })
  const unknown = await count({ v: { $type: 'number', $nin: [FORM, ENDED_FORM] } })
  const broken = await count({
    v: FORM,
    $or: [
      { expires: { $not: { $type: 'date' } } },
      { data: { $not: { $type: 'object' } } },
      { rev: { $not: { $type: 'number' } } },
      { _id: { $not: { $type: 'string' } } },
    ],
  })
  return orFine(
    recordFaults({ others, unknown, broken }, 'Documents', `the collection ${name}`),
    'All records are ours',
  )
}
