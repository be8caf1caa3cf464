import { describeServer } from './describe.ts'
import { startJavaServer } from './java-server.ts'
import { startMongod } from './mongod.ts'

export interface TestServer {
  uri: string
  /** For people: which server, which version, which wire version. */
  name: string
  /** Whether this is MongoDB itself. */
  real: boolean
  replicaSet: boolean
  sharded: boolean
  stop(): Promise<void>
}

/**
 * The server of `MONGODB_URI`, else a mongod, else the Java imitation, else nothing.
 *
 * Throws where `MONGODB_URI` is set and nothing answers there: somebody asked for that server.
 */
export async function startMongoDB(): Promise<TestServer | undefined> {
  return (
    (await given()) ?? (await orSayWhyNot('mongod', mongod)) ?? (await orSayWhyNot('mongo-java-server', java))
  )
}

async function given(): Promise<TestServer | undefined> {
  const uri = process.env.MONGODB_URI
  if (!uri) return undefined
  try {
    return await described(uri, undefined, async () => undefined)
  } catch (error) {
    throw new Error(`Nothing answers at MONGODB_URI: ${messageOf(error)}`)
  }
}

async function mongod(): Promise<TestServer | undefined> {
  const server = await startMongod()
  return server && described(server.uri, undefined, server.stop)
}

async function java(): Promise<TestServer> {
  const server = await startJavaServer()
  return described(server.uri, `mongo-java-server ${server.version}`, server.stop)
}

async function described(
  uri: string,
  name: string | undefined,
  stop: () => Promise<void>,
): Promise<TestServer> {
  try {
    const { version, wireVersion, ...kind } = await describeServer(uri)
    const program = kind.sharded ? 'mongos' : 'mongod'
    const known = name ?? `${kind.real ? program : 'unknown server'} ${version}`
    return { uri, name: `${known} (wire version ${wireVersion})`, ...kind, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function orSayWhyNot(
  name: string,
  start: () => Promise<TestServer | undefined>,
): Promise<TestServer | undefined> {
  try {
    return await start()
  } catch (error) {
    console.error(`MongoDB for tests: no ${name}: ${messageOf(error)}`)
    return undefined
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
