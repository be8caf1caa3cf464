import { startMongoDB } from './server.ts'

export interface GlobalMongoDB {
  found: boolean
  /** What the processes of the tests need to know. */
  env: Record<string, string>
  stop(): Promise<void>
}

/** Starts the one server of a test run and says loudly what it is, or that there is none. */
export async function startGlobalMongoDB(): Promise<GlobalMongoDB> {
  const server = await startMongoDB()
  if (server === undefined) {
    console.error(NONE)
    return { found: false, env: {}, stop: async () => undefined }
  }
  console.log(`MongoDB for tests: ${server.name} at ${hostsOf(server.uri)}`)
  return {
    found: true,
    env: {
      MONGODB_URI: server.uri,
      TEST_MONGODB_NAME: server.name,
      TEST_MONGODB_REAL: String(server.real),
      TEST_MONGODB_REPLICA_SET: String(server.replicaSet),
      TEST_MONGODB_SHARDED: String(server.sharded),
    },
    stop: server.stop,
  }
}

const line = '!'.repeat(80)
const NONE = `
${line}
!!! NO MONGODB SERVER: the tests that need one are SKIPPED.
!!! Set MONGODB_URI, or let mongodb-memory-server download a mongod,
!!! or install a JDK (17 or newer) and Maven for mongo-java-server.
${line}
`

/** Never the user and password of a connection string. */
function hostsOf(uri: string): string {
  return uri.replace(/^[^:]+:\/\/(?:[^@/]*@)?/, '').replace(/[/?].*$/, '')
}
