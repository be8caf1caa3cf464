import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../ports.ts'
import { RedisServer, type Settings, version } from './server.ts'

/** A server of the test's own. */
export async function aServer(t: TestContext, settings: Settings = {}): Promise<RedisServer> {
  const server = await RedisServer.start(settings)
  t.after(() => server.stop())
  return server
}

/** A replica that has all its primary has. */
export async function aReplica(t: TestContext, { host, port }: RedisServer): Promise<RedisServer> {
  const replica = await aServer(t, { replicaof: `${host} ${port}` })
  await until(async () => /master_link_status:up/.test(await replica.command('INFO replication')))
  return replica
}

/** Servers that are started and stopped together. */
export interface Topology {
  readonly servers: readonly RedisServer[]
  stop(): Promise<void>
}

export interface Sentinel extends Topology {
  readonly primary: RedisServer
  readonly replica: RedisServer
  readonly sentinel: RedisServer
  /** What the sentinel calls the primary. */
  readonly name: string
}

export interface Cluster extends Topology {
  readonly primaries: readonly RedisServer[]
  readonly replicas: readonly RedisServer[]
}

/** A primary with a replica, and a sentinel that makes the one the other when it is told to: on a busy machine a server may be slow. */
export async function startSentinel(settings: Settings = {}): Promise<Sentinel> {
  const primary = await RedisServer.start(settings)
  const replica = await RedisServer.start({ ...settings, replicaof: `${primary.host} ${primary.port}` })
  const sentinel = await RedisServer.start({}, 'redis-sentinel')
  await until(async () => /master_link_status:up/.test(await replica.command('INFO replication')))
  await sentinel.command('SENTINEL MONITOR', 'sessions', primary.host, String(primary.port), '1')
  await sentinel.command('SENTINEL SET sessions down-after-milliseconds', '60000')
  await sentinel.command('SENTINEL SET sessions failover-timeout', '60000')
  await until(async () =>
    new RegExp(`:${replica.port}|slaves=1`).test(await sentinel.command('INFO sentinel')),
  )
  const servers = [primary, replica, sentinel]
  return { primary, replica, sentinel, name: 'sessions', servers, stop: () => stopAll(servers) }
}

const SLOTS = 16_384

/** Three primaries, and a replica of each where that is asked for, which takes over when it is told to. */
export async function startCluster(hasReplicas = false, settings: Settings = {}): Promise<Cluster> {
  const count = hasReplicas ? 6 : 3
  const servers: RedisServer[] = []
  for (let index = 0; index < count; index++) {
    servers.push(
      await RedisServer.start({
        'cluster-enabled': 'yes',
        'cluster-node-timeout': '60000',
        ...(!version.startsWith('6.') && { 'cluster-port': String(await freePort()) }),
        ...settings,
      }),
    )
  }
  const primaries = servers.slice(0, 3)
  const replicas = servers.slice(3)
  for (const [index, server] of primaries.entries()) {
    const [first = 0, last = 0] = [index, index + 1].map(part => Math.round((part * SLOTS) / 3))
    const slots = Array.from({ length: last - first }, (_, slot) => String(first + slot))
    await server.command('CLUSTER ADDSLOTS', ...slots)
    await server.command('CLUSTER SET-CONFIG-EPOCH', String(index + 1))
  }
  const [first] = servers
  for (const other of servers.slice(1)) {
    const bus = /^.*@(\d+) myself/m.exec(await other.command('CLUSTER NODES'))?.[1] ?? ''
    await first?.command('CLUSTER MEET', other.host, String(other.port), bus)
  }
  for (const server of servers) {
    await until(async () => (await server.command('CLUSTER NODES')).trim().split('\n').length >= count + 1)
  }
  for (const [index, replica] of replicas.entries()) {
    const id = idIn(await (primaries[index] as RedisServer).command('CLUSTER MYID'))
    await until(async () => (await replica.command('CLUSTER REPLICATE', id)).startsWith('+OK'))
  }
  for (const server of servers) {
    await until(async () => /cluster_state:ok/.test(await server.command('CLUSTER INFO')))
  }
  for (const replica of replicas) {
    await until(async () => /master_link_status:up/.test(await replica.command('INFO replication')))
  }
  return { servers, primaries, replicas, stop: () => stopAll(servers) }
}

/** The second line: before it is its length. */
function idIn(reply: string): string {
  return reply.split('\r\n')[1] ?? ''
}

/** Takes a key to another node, as it is while its slot moves there. `finish` gives that node the slot. */
export async function startMoving({ primaries }: Cluster, key: string): Promise<{ finish(): Promise<void> }> {
  const slot = numberIn(await (primaries[0] as RedisServer).command('CLUSTER KEYSLOT', key))
  const has = await Promise.all(primaries.map(node => node.command('CLUSTER COUNTKEYSINSLOT', String(slot))))
  const source = primaries[has.findIndex(reply => numberIn(reply) > 0)] as RedisServer
  const target = primaries.find(node => node !== source) as RedisServer
  const to = idIn(await target.command('CLUSTER MYID'))
  await target.command(`CLUSTER SETSLOT ${slot} IMPORTING`, idIn(await source.command('CLUSTER MYID')))
  await source.command(`CLUSTER SETSLOT ${slot} MIGRATING`, to)
  await source.command('MIGRATE', target.host, String(target.port), key, '0 5000')
  return {
    async finish() {
      for (const node of [target, source]) await node.command(`CLUSTER SETSLOT ${slot} NODE`, to)
    },
  }
}

function numberIn(reply: string): number {
  return Number(reply.slice(1))
}

async function stopAll(servers: readonly RedisServer[]): Promise<void> {
  for (const server of servers) await server.stop()
}

export async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isSo().catch(() => false)); tries++) {
    if (tries === 3000) throw new Error('It never comes to be so')
    await delay(10)
  }
}
