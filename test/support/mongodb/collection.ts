import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { after, type TestContext } from 'node:test'
import { type Collection, type CommandStartedEvent, type Document, MongoClient } from 'mongodb'
import { clientOptions } from './options.ts'

const uri = process.env.MONGODB_URI
const driver = createRequire(import.meta.url)('mongodb/package.json') as { version: string }

/** For the `skip` option of a test or suite that needs a server: why it is skipped, or `false`. */
export const withoutMongoDB: string | false = uri
  ? false
  : 'no MongoDB server: MONGODB_URI is not set (test/run.ts starts a server and sets it)'

/** The same for what only MongoDB itself does; `run.ts` knows which server it is. */
export const withoutRealMongoDB: string | false =
  withoutMongoDB ||
  (process.env.TEST_MONGODB_REAL === 'false' &&
    `only on a real mongod, not on ${process.env.TEST_MONGODB_NAME}`)

/** The same for where the driver's events are listened to: the first drivers of version 6 fail with what they copy or call then. */
export const withoutSoundEvents: string | false =
  withoutMongoDB || (/^6\.0\./.test(driver.version) && 'not with driver 6.0, whose events can fail commands')

/** The same for what a server that is alone does not do. */
export const withoutReplicaSet: string | false =
  withoutMongoDB ||
  (process.env.TEST_MONGODB_REPLICA_SET !== 'true' &&
    `only on a replica set, and ${process.env.TEST_MONGODB_NAME} is alone: give one as MONGODB_URI`)

/** The same for what only a sharded cluster does. */
export const withoutShards: string | false =
  withoutMongoDB ||
  (process.env.TEST_MONGODB_SHARDED !== 'true' &&
    `only on a sharded cluster, and ${process.env.TEST_MONGODB_NAME} is none: give a mongos as MONGODB_URI`)

if (withoutMongoDB) console.error(`!!! ${withoutMongoDB}`)

let client: MongoClient | undefined

/** The one client of a test file, which has a process of its own; closed after the file's tests. */
export function theClient(): MongoClient {
  if (!uri) throw new Error(String(withoutMongoDB))
  client ??= new MongoClient(uri, { ...clientOptions, monitorCommands: true })
  return client
}

after(() => client?.close())

const dropping = new Set<string>()

/** A collection no other test has, which the end of the test drops. */
export function aCollection<T extends Document = Document>(t: TestContext): Collection<T> {
  const name = `${t.name.replace(/\W+/g, '_').slice(0, 40)}_${randomUUID().slice(0, 8)}`
  const collection = theClient().db('tests').collection<T>(name)
  t.after(async () => {
    dropping.add(name)
    await collection.drop().catch(ignoreMissing)
  })
  return collection
}

/** Of a collection the test never wrote to. The driver knows it by the code, and the Java server sends none. */
function ignoreMissing(error: Error): void {
  if (error.message !== 'ns not found') throw error
}

export interface SentCommand {
  name: string
  /** What the command is about: a collection's name mostly. */
  target: unknown
  command: Document
}

export interface SentCommands {
  readonly all: readonly SentCommand[]
  /** The names of all of them, in the order they were sent. */
  names(): string[]
  /** Forgets those sent so far. */
  clear(): void
}

const BESIDES_THE_POINT = new Set(['hello', 'isMaster', 'ismaster', 'ping', 'endSessions', 'killCursors'])

/** What the client sends from here on until the test ends, about one collection or about any. */
export function commandsOf(
  t: TestContext,
  sender: MongoClient,
  collection?: { collectionName: string },
): SentCommands {
  const all: SentCommand[] = []
  const listen = ({ commandName: name, command }: CommandStartedEvent) => {
    const target: unknown = name === 'getMore' ? command.collection : command[name]
    if (BESIDES_THE_POINT.has(name) || (name === 'drop' && dropping.has(String(target)))) return
    if (collection && target !== collection.collectionName) return
    all.push({ name, target, command })
  }
  sender.on('commandStarted', listen)
  t.after(() => {
    sender.off('commandStarted', listen)
  })
  return {
    all,
    names: () => all.map(({ name }) => name),
    clear: () => {
      all.length = 0
    },
  }
}
