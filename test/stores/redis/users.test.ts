import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, type TestContext, test } from 'node:test'
import type { Store } from '../../../src/store/store.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aChange, aSession, inAnHour, inc, push, set, together } from '../../contract/records.ts'
import { FaultProxy } from '../../support/proxy.ts'
import { type Connected, ioredis6, kinds, nodeRedis6 } from '../../support/redis/clients.ts'
import { callsOf } from '../../support/redis/commands.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { startCluster, until } from '../../support/redis/topologies.ts'

/** Long enough ago for all processes to have followed a declaration. */
const LONG_AGO = Date.now() - 3_600_000

/** Of a session, milliseconds: it does not end meanwhile, however busy the machine is. */
const LIFE = 600_000

async function found(store: Store, user: unknown): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of store.find?.('user', user) ?? []) ids.push(id)
  return ids.sort()
}

describe('the sessions of a user in Redis', { skip: withoutRedis }, () => {
  let server: RedisServer
  let connected: Connected
  let prefix: string
  let prefixes = 0

  before(async () => {
    server = await RedisServer.start({ appendonly: 'yes' })
    connected = await nodeRedis6.single(server.port)
  })
  beforeEach(() => {
    prefix = `users${++prefixes}:`
  })
  after(async () => {
    await connected.close()
    await server.stop()
  })

  const aStore = () => redisStore({ client: connected.client, prefix })

  /** An index that was declared long ago, and has all sessions: what is found is found by it. */
  const indexed = async () => {
    await server.command('HSET', `${prefix}indexes`, 'user', `"${LONG_AGO} 1"`)
    return aStore()
  }

  test('are found by an index, without a look at those of others', async () => {
    const store = await indexed()
    const ada = await together(5, () => aSession(store, { user: 'ada' }))
    await together(50, index => aSession(store, { user: `visitor ${index}` }))
    const counts = await callsOf(server)
    assert.deepEqual(await found(store, 'ada'), ada.map(({ id }) => id).sort())
    const now = await callsOf(server)
    assert.equal(now.get('scan'), counts.get('scan'))
    const loads = (now.get('hgetall') ?? 0) - (counts.get('hgetall') ?? 0)
    assert.ok(loads <= 7, `${loads} sessions were looked at`)
  })

  test('are found though they became his by a change, or are another’s by now', async () => {
    const store = await indexed()
    const { id } = await aSession(store, {})
    assert.deepEqual(await store.update(id, aChange(set('user', 'ada'))), {})
    assert.deepEqual(await found(store, 'ada'), [id])
    await store.update(id, aChange(set('user', 'eve')))
    assert.deepEqual([await found(store, 'ada'), await found(store, 'eve')], [[], [id]])
    await store.update(id, { guards: [], operations: [{ op: '$rename', path: 'user', to: 'former' }] })
    assert.deepEqual(await found(store, 'eve'), [])
    await store.update(id, { guards: [], operations: [{ op: '$rename', path: 'former', to: 'user' }] })
    assert.deepEqual(await found(store, 'eve'), [id])
  })

  test('are found by any value that equals theirs', async () => {
    const store = await indexed()
    const [one] = await together(1, () => aSession(store, { user: 7 }))
    await aSession(store, { user: '7' })
    for (const value of [7, 7n]) assert.deepEqual(await found(store, value), [one?.id])
    const several = await aSession(store, { user: ['ada', 'eve'] })
    assert.deepEqual(await found(store, 'eve'), [several.id])
  })

  test('stay found for as long as they are extended, and leave the index when they can live no longer', async () => {
    const store = await indexed()
    const { id } = await aSession(
      store,
      { user: 'ada' },
      { expires: new Date(Date.now() + LIFE), maxAge: LIFE },
    )
    const [key = ''] = (await server.command('KEYS', `${prefix}user:*`)).split('\r\n').slice(2)
    const score = async () => Number((await server.command('ZSCORE', key, id)).split('\r\n')[1])
    const first = await score()
    assert.ok(first > Date.now() + 2 * LIFE && first <= Date.now() + 3 * LIFE)
    // Within what the entry stands for, nothing more is sent.
    const counts = await callsOf(server)
    await store.update(id, { ...aChange(inc('n')), expires: new Date(Date.now() + 1.5 * LIFE) })
    assert.equal((await callsOf(server)).get('zadd'), counts.get('zadd'))
    await store.update(id, { ...aChange(inc('n')), expires: inAnHour(), maxAge: 3_600_000 })
    assert.ok((await score()) > Date.now() + 2 * 3_600_000)
    assert.deepEqual(await found(store, 'ada'), [id])
    // Another of his sessions lets go of entries whose time has come, and of no others.
    await server.command('ZADD', key, String(Date.now() - 1), 'long-ago')
    await aSession(store, { user: 'ada' })
    assert.equal((await server.command('ZCARD', key)).trim(), ':2')
    assert.match(await server.command('PTTL', key), /^:[1-9]/)
  })

  test('are all found while an index is new, which those from before do not have', async t => {
    const old = aStore()
    const before = await aSession(old, { user: 'ada' })
    const store = aStore()
    t.after(() => store.close?.())
    assert.equal(await store.isIndexed?.('user'), false)
    await store.ensureIndex?.('user')
    assert.equal(await store.isIndexed?.('user'), true)
    // A process that does not know of it yet.
    const unaware = await aSession(old, { user: 'ada' })
    const aware = await aSession(store, { user: 'ada' })
    const all = [before, unaware, aware].map(({ id }) => id).sort()
    assert.deepEqual(await found(store, 'ada'), all)
    // Once all know of it, the next start of a process adds those from before.
    await server.command('HSET', `${prefix}indexes`, 'user', `"${LONG_AGO} 0"`)
    await store.ensureIndex?.('user')
    assert.match(await server.command('HGET', `${prefix}indexes`, 'user'), / 1\r\n$/)
    const counts = await callsOf(server)
    assert.deepEqual(await found(store, 'ada'), all)
    assert.equal((await callsOf(server)).get('scan'), counts.get('scan'))
  })

  test('are followed by a change that finds one replaced while it renews its index', async t => {
    const { client, close } = await ioredis6.single(server.port)
    t.after(close)
    const [store, other] = [redisStore({ client, prefix }), await indexed()]
    const redis = client as unknown as { hmgetBuffer(...args: unknown[]): Promise<unknown> }
    const look = redis.hmgetBuffer.bind(redis)
    for (const operation of [inc('n'), push('log', 1)]) {
      const brief = { maxAge: 1000, expires: new Date(Date.now() + 5000) }
      const { id } = await aSession(other, { user: 'ada', n: 0, log: [] }, brief)
      let looks = 0
      // A push is worked out here, so it has looked once already.
      redis.hmgetBuffer = async (...args) => {
        if (++looks === (operation.op === '$push' ? 2 : 1)) {
          await other.end(id, { ended: new Date(), next: 'who comes after it' }, inAnHour())
        }
        return look(...args)
      }
      const longer = { ...aChange(operation), expires: inAnHour(), maxAge: 3_600_000 }
      assert.equal(await store.update(id, longer), 'ended')
    }
  })

  test('are found by a new index in the end, though the store failed when that was to be completed', async t => {
    const proxy = await FaultProxy.to(server)
    const { client, close } = await nodeRedis6.single(proxy.port)
    const store = redisStore({ client, prefix })
    t.after(async () => {
      await store.close?.()
      await close()
      await proxy.close()
    })
    await aSession(aStore(), { user: 'ada' })
    const isComplete = async () => / 1\r\n$/.test(await server.command('HGET', `${prefix}indexes`, 'user'))
    let losses = 0
    // Old enough soon (after 15 s and the timeout), and not before answers are lost: on a busy machine that takes longer.
    for (let early = 200; ; early *= 2) {
      const since = Date.now() - 15_000 - 5000 + early
      await server.command('HSET', `${prefix}indexes`, 'user', `"${since} 0"`)
      await store.ensureIndex?.('user')
      losses = 0
      proxy.loseAnswers(() => ++losses <= 2)
      if (!(await isComplete())) break
      await proxy.heal()
    }
    // It tries again soon.
    store.useTimeout?.(200)
    await until(isComplete)
    assert.ok(losses > 2)
  })

  test('are found by each of two indexes in the end, which one store has for two kinds of session', async t => {
    const store = aStore()
    t.after(() => store.close?.())
    store.useTimeout?.(200)
    await aSession(store, { user: 'ada', account: 7 })
    const since = Date.now() - 14_000
    await server.command('HSET', `${prefix}indexes`, 'user', `"${since} 0"`, 'account', `"${since} 0"`)
    for (const path of ['user', 'account']) await store.ensureIndex?.(path)
    for (const path of ['user', 'account']) {
      await until(async () => / 1\r\n$/.test(await server.command('HGET', `${prefix}indexes`, path)))
    }
  })

  test('are all found whoever adds and ends them meanwhile', async () => {
    const store = await indexed()
    const others = await Promise.all(kinds.map(kind => kind.single(server.port)))
    const stores = others.map(({ client }) => redisStore({ client, prefix }))
    const sessions = await together(60, index =>
      aSession(stores[index % stores.length] as Store, index % 2 ? { user: 'ada' } : {}),
    )
    await together(60, async index => {
      const { id } = sessions[index] as { id: string }
      if (index % 2 === 0) await stores[index % stores.length]?.update(id, aChange(set('user', 'ada')))
      else if (index % 3 === 0)
        await stores[index % stores.length]?.end(id, { ended: new Date() }, inAnHour())
    })
    const living = sessions.filter((_, index) => index % 2 === 0 || index % 3 !== 0)
    assert.deepEqual(await found(store, 'ada'), living.map(({ id }) => id).sort())
    await Promise.all(others.map(({ close }) => close()))
  })
})

test('sessions are found and counted on all nodes of a cluster, under whatever prefix', {
  skip: withoutRedis,
}, async t => {
  const cluster = await startCluster()
  t.after(() => cluster.stop())
  for (const kind of kinds) {
    // Of ioredis, a prefix of the client's own comes before ours.
    const options = kind === ioredis6 ? { redisOptions: {}, keyPrefix: 'app*:' } : {}
    const connected = await kind.cluster(
      cluster.servers.map(({ port }) => port),
      options,
    )
    t.after(() => connected.close())
    const store = redisStore({ client: connected.client, prefix: `${kind.name}[?]:` })
    const sessions = await together(20, index => aSession(store, { user: index % 2 ? 'ada' : 'eve' }))
    const ada = sessions.filter((_, index) => index % 2 === 1).map(({ id }) => id)
    assert.deepEqual(await found(store, 'ada'), ada.sort())
    assert.equal(await store.count?.(), 20)
  }
})

function warnings(t: TestContext): string[] {
  const all: string[] = []
  t.mock.method(process, 'emitWarning', (warning: string) => void all.push(warning))
  return all
}

test('settings of the server that would lose sessions are warned of', { skip: withoutRedis }, async t => {
  for (const kind of [nodeRedis6, ioredis6]) {
    const server = await RedisServer.start({ 'maxmemory-policy': 'allkeys-lru' })
    t.after(() => server.stop())
    const connected = await kind.single(server.port)
    t.after(() => connected.close())
    const told = warnings(t)
    const store = redisStore({ client: connected.client })
    await store.ensureIndex?.()
    assert.equal(told.length, 2)
    assert.match(told.join(), /maxmemory-policy allkeys-lru.*noeviction.*appendonly off/s)
    told.length = 0
    await server.command('CONFIG SET maxmemory-policy noeviction')
    await server.command('CONFIG SET appendonly yes')
    const now = Date.now
    await store.ensureIndex?.()
    assert.deepEqual(told, [])
    // A process whose clock is behind.
    const clock = t.mock.method(Date, 'now', () => now() - 5000)
    await store.ensureIndex?.()
    clock.mock.restore()
    assert.match(told.join(), /The clock of Redis is \d{4} ms ahead of this process's/)
  }
})

test('what cannot be a store’s client, prefix or number of replicas is refused', () => {
  const client = { evalshaBuffer() {}, options: {}, on() {} } as never
  for (const options of [
    { client: {} as never },
    { client: undefined as never },
    { client: { evalSha() {} } as never },
    { client: { ...(client as object), options: { dropBufferSupport: true } } as never },
    { client, prefix: '{sessions}:' },
    { client, prefix: 1 as never },
    { client, replicas: -1 },
    { client, replicas: 0.5 },
  ]) {
    assert.throws(() => redisStore(options), { code: 'SESSION_CONFIGURATION' })
  }
})
