import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { createClient } from 'redis'
import { connectionFound, infoIn } from '../../../src/cli/redis/diagnosis.ts'
import { idOf, newSecret } from '../../../src/ids.ts'
import { aSession } from '../../contract/records.ts'
import { RedisServer, type Settings, withoutRedis } from '../../support/redis/server.ts'
import { until } from '../../support/redis/topologies.ts'
import { assertFound, assertWell, diagnosed } from '../diagnosed.ts'
import { aCluster, aTimelessSession, redisAt } from '../places.ts'

const HOUR = 3_600_000

interface Right {
  readonly server: RedisServer
  readonly url: string
}

/** A server that is set up as it should be, but for some settings, with a session. */
async function aServer(t: TestContext, settings: Settings = {}): Promise<Right> {
  const server = await RedisServer.start({ appendonly: 'yes', ...settings })
  t.after(() => server.stop())
  const { store, url } = await redisAt(t, server)
  await aSession(store, { user_id: 'ada' })
  return { server, url }
}

async function aReplica(t: TestContext, { server }: Right): Promise<RedisServer> {
  const replica = await RedisServer.start({ replicaof: `${server.host} ${server.port}` })
  t.after(() => replica.stop())
  await until(async () => /connected_slaves:1/.test(await server.command('INFO replication')))
  await until(async () => /master_link_status:up/.test(await replica.command('INFO replication')))
  return replica
}

async function aClient(t: TestContext, url: string) {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  t.after(() => client.destroy())
  return client
}

suite('in Redis the doctor', { skip: withoutRedis }, () => {
  test('finds nothing wrong where all is right, and tells a replica from its primary', async t => {
    const right = await aServer(t)
    const replica = await aReplica(t, right)
    assertWell(await diagnosed(right.url))
    const findings = await diagnosed(`redis://127.0.0.1:${replica.port}`)
    assertFound(findings, 'connection', 'error', /leads to a replica/)
  })

  test('looks at all primaries of a cluster', async t => {
    const findings = await diagnosed(await aCluster(t), '--skip', 'durability')
    assertWell(findings, 'replicas')
    assertFound(findings, 'replicas', 'note', /3 of 3 primaries have no replica/)
  })

  test('finds that nothing answers', async () => {
    assertFound(await diagnosed('redis://127.0.0.1:1'), 'connection', 'error', /ECONNREFUSED/)
  })

  test('finds a server that is too old, or not ready', () => {
    const told = (...lines: string[]) => connectionFound([infoIn(lines.join('\r\n'))])
    assert.match(JSON.stringify(told('redis_version:6.0.16', 'role:master')), /lacks what the store needs/)
    assert.match(JSON.stringify(told('redis_version:7.0.0', 'loading:1')), /still loading/)
    assert.equal(told('redis_version:7.2.4', 'server_name:valkey', 'valkey_version:8.0.1'), 'Valkey 8.0.1')
  })

  test('finds a prefix without sessions beside the one that has them', async t => {
    const { url } = await aServer(t)
    const findings = await diagnosed(url, '--prefix', 'sesion:')
    assertFound(findings, 'names', 'warning', /under the prefix sesion:, but under session:/)
  })

  test('finds that there is no index by the user', async t => {
    const { url } = await aServer(t)
    assertFound(await diagnosed(url, '--field', 'user_id'), 'indexes', 'warning', /no index by user_id/)
  })

  test('finds an index that nobody has completed', async t => {
    const { server, url } = await aServer(t)
    const since = Date.now() - HOUR
    await (await aClient(t, url)).hSet('session:indexes', 'user_id', `${since} 0`)
    assertFound(await diagnosed(url), 'indexes', 'warning', /by user_id is not complete/)
    await server.command('DEL session:indexes')
    assertWell(await diagnosed(url), 'replicas')
  })

  test('finds a server that writes nothing to disk, or too seldom', async t => {
    const nothing = await aServer(t, { appendonly: 'no', save: '' })
    assertFound(await diagnosed(nothing.url), 'durability', 'error', /writes nothing to disk/)
    const snapshots = await aServer(t, { appendonly: 'no', save: '3600 1' })
    assertFound(await diagnosed(snapshots.url), 'durability', 'warning', /last snapshot/)
    const seldom = await aServer(t, { appendfsync: 'no' })
    assertFound(await diagnosed(seldom.url), 'durability', 'warning', /appendfsync is no/)
  })

  test('finds a server that drops sessions in use', async t => {
    const bounded = await aServer(t, { 'maxmemory-policy': 'allkeys-lru', maxmemory: '100mb' })
    assertFound(await diagnosed(bounded.url), 'eviction', 'error', /maxmemory-policy is allkeys-lru/)
    const unbounded = await aServer(t, { 'maxmemory-policy': 'volatile-ttl' })
    assertFound(await diagnosed(unbounded.url), 'eviction', 'warning', /maxmemory is 0/)
  })

  test('finds that there is no replica', async t => {
    const { url } = await aServer(t)
    assertFound(await diagnosed(url), 'replicas', 'note', /no replica/)
  })

  test('finds clocks that differ', async t => {
    const { url } = await aServer(t)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() - 5000 })
    assertFound(await diagnosed(url), 'clock', 'warning', /\d+\.\d s ahead/)
  })

  test('finds sessions that Redis will never remove, and those that have expired', async t => {
    const { server, url } = await aServer(t)
    const { store } = await redisAt(t, server)
    const { id } = await aSession(store)
    await server.command('PERSIST', `session:${id}`)
    assertFound(await diagnosed(url), 'expired', 'warning', /lost the time .*: 1/)
    const short = await aTimelessSession(server, store)
    while (Date.now() < short.expires.getTime() + 10) await new Promise(setImmediate)
    assertFound(await diagnosed(url), 'expired', 'warning', /^Expired sessions .*: 1/)
  })

  test('finds keys that are none of ours, and of an unknown version', async t => {
    const { url } = await aServer(t)
    const client = await aClient(t, url)
    await client.set('session:abc', '{}')
    await client.set(`session:${idOf(newSecret())}`, '{}')
    const head = Buffer.alloc(89, 3)
    head.writeDoubleLE(Date.now() + HOUR, 1)
    await client.hSet(`session:${idOf(newSecret())}`, '_', head)
    const findings = await diagnosed(url)
    assertFound(findings, 'records', 'warning', /^Keys in .* no sessions of this library: 2/)
    assertFound(findings, 'records', 'error', /^Keys in .* does not know: 1/)
  })
})
