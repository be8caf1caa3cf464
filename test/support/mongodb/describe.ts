import { MongoClient } from 'mongodb'
import { failFast } from './options.ts'

export interface ServerDescription {
  /** As the server says it, such as `5.0.0`. */
  version: string
  wireVersion: number
  /** Whether this is MongoDB itself: imitations do not say which commit they were built from. */
  real: boolean
  /** Whether it is a member of a replica set. */
  replicaSet: boolean
  /** Whether it is a `mongos`, the door of a sharded cluster. */
  sharded: boolean
}

/** Throws where no server answers at `uri`. */
export async function describeServer(uri: string): Promise<ServerDescription> {
  const client = new MongoClient(uri, failFast)
  try {
    const admin = client.db('admin')
    const build = await admin.command({ buildInfo: 1 })
    // The Java server knows no `hello`.
    const greeting = await admin.command({ isMaster: 1 })
    return {
      version: String(build.version),
      wireVersion: Number(greeting.maxWireVersion),
      real: typeof build.gitVersion === 'string',
      replicaSet: typeof greeting.setName === 'string',
      sharded: greeting.msg === 'isdbgrid',
    }
  } finally {
    await client.close()
  }
}
