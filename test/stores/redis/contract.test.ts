import { after, before, describe } from 'node:test'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { storeContract } from '../../contract/index.ts'
import { type Connected, kinds } from '../../support/redis/clients.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { type Cluster, startCluster } from '../../support/redis/topologies.ts'

let prefixes = 0

/** Each test has keys of its own, so that it is alone on a server that all share. */
function contractOf(connect: () => Promise<Connected>): void {
  let connected: Connected[]
  before(async () => {
    connected = [await connect(), await connect()]
  })
  after(() => Promise.all(connected.map(one => one.close())))
  storeContract(async () => {
    const prefix = `test ${++prefixes}:`
    const clients = connected.values()
    return () => redisStore({ client: (clients.next().value as Connected).client, prefix })
  })
}

describe('one server', { skip: withoutRedis }, () => {
  let server: RedisServer
  before(async () => {
    server = await RedisServer.start()
  })
  after(() => server.stop())
  for (const kind of kinds) describe(kind.name, () => contractOf(() => kind.single(server.port)))
})

describe('a cluster', { skip: withoutRedis }, () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster()
  })
  after(() => cluster.stop())
  for (const kind of kinds) {
    describe(kind.name, () => contractOf(() => kind.cluster(cluster.servers.map(({ port }) => port))))
  }
})
