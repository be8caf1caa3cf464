import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { Store } from '../../../src/store/store.ts'
import { commandsOf } from '../../../src/stores/redis/client.ts'
import { addMember } from '../../../src/stores/redis/scripts.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aChange, aRecord, aSession, fieldsOf, guarded, inAnHour, inc, set } from '../../contract/records.ts'
import { FaultProxy } from '../../support/proxy.ts'
import { type Connected, ioredis6, kinds } from '../../support/redis/clients.ts'
import { callsOf, sentTwice } from '../../support/redis/commands.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { aReplica, aServer, startCluster, until } from '../../support/redis/topologies.ts'
import { waitsAt } from '../../support/redis/waits.ts'

// What a change is said to have come to, where its reply is an error or its connection is lost.

const one = { skip: withoutRedis }

async function aProxy(t: TestContext, server: RedisServer): Promise<FaultProxy> {
  const proxy = await FaultProxy.to(server)
  t.after(() => proxy.close())
  return proxy
}

async function closing(t: TestContext, connecting: Promise<Connected>): Promise<Connected['client']> {
  const { client, close } = await connecting
  t.after(close)
  return client
}

/** What becomes of it, in a word where it fails. */
function told(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    outcome => outcome ?? 'done',
    (error: unknown) => {
      assert.ok(error instanceof StoreUnavailableError, String(error))
      return error.outcome
    },
  )
}

/** The server knows each script from here on. */
async function knownScripts(store: Store): Promise<void> {
  const { id } = await aSession(store, { n: 0 })
  await store.update(id, aChange(inc('n')))
  await store.end(id, { ended: new Date() }, inAnHour())
  await store.delete(id)
}

for (const kind of kinds) {
  test(`a change is not denied because waiting for replicas was refused: ${kind.name}`, one, async t => {
    const primary = await aServer(t)
    const replica = await aReplica(t, primary)
    const store = redisStore({ client: await closing(t, kind.single(primary.port)), replicas: 1 })
    const plain = redisStore({ client: await closing(t, kind.single(primary.port)) })
    const { id } = await aSession(store, { n: 0 })
    await store.update(id, aChange(inc('n')))
    replica.pause()
    const waiting = told(store.update(id, aChange(inc('n'))))
    let waits: string | undefined
    await until(async () => {
      waits = /^(?:.*\n)?.*?id=(\d+) .* cmd=wait /m.exec(await primary.command('CLIENT LIST'))?.[1]
      return waits !== undefined
    })
    await primary.command(`CLIENT UNBLOCK ${waits} ERROR`)
    assert.equal(await waiting, 'unknown')
    replica.resume()
    await primary.command('ACL SETUSER default -wait')
    assert.equal(await told(store.update(id, aChange(inc('n')))), 'unknown')
    assert.deepEqual(await fieldsOf(plain, id), { n: 3 })
    // What only a change can be refused for is as sure as ever.
    await primary.command('CONFIG SET maxmemory 1')
    assert.equal(await told(store.update(id, aChange(inc('n')))), 'none')
    assert.deepEqual(await fieldsOf(plain, id), { n: 3 })
  })
}

for (const kind of kinds) {
  test(
    `replicas are not waited for twice by a change whose script is forgotten: ${kind.name}`,
    one,
    async t => {
      const primary = await aServer(t)
      const replica = await aReplica(t, primary)
      const { port, waits } = await waitsAt(t, primary)
      const store = redisStore({ client: await closing(t, kind.single(port)), replicas: 1 })
      const { id } = await aSession(store, { n: 0 })
      await store.update(id, aChange(inc('n')))
      replica.pause()
      const timeout = 500
      store.useTimeout?.(timeout)
      assert.equal(await told(store.update(id, aChange(inc('n')))), 'unknown')
      await primary.command('SCRIPT FLUSH')
      waits()
      assert.equal(await told(store.update(id, aChange(inc('n')))), 'unknown')
      const [first = 0, second = 0, ...others] = waits()
      assert.ok(first > 0 && second > 0 && others.length === 0)
      assert.ok(first + second <= timeout, `waits of ${first} and ${second} ms`)
    },
  )
}

for (const kind of kinds.filter(({ isIoredis }) => !isIoredis)) {
  test(
    `a change is not denied because the queue has no place for the waiting: ${kind.name}`,
    one,
    async t => {
      const server = await aServer(t)
      const proxy = await aProxy(t, server)
      const client = await closing(t, kind.single(proxy.port, { commandsQueueMaxLength: 20 }))
      const store = redisStore({ client, replicas: 1 })
      const plain = redisStore({ client: await closing(t, kind.single(server.port)) })
      await knownScripts(plain)
      const { id } = await aSession(plain, { n: 0 })
      await store.ensureIndex?.()
      proxy.mute()
      const before = Array.from({ length: 19 }, () => store.load(id))
      const outcome = told(store.update(id, aChange(inc('n'))))
      await until(async () => (await fieldsOf(plain, id)).n === 1)
      await proxy.heal()
      await Promise.all(before)
      assert.equal(await outcome, 'unknown')
    },
  )

  test(`a sentinel's client that has sent a change twice is sure of nothing: ${kind.name}`, one, async t => {
    const server = await aServer(t)
    const proxy = await aProxy(t, server)
    const sentinel = await RedisServer.start({}, 'redis-sentinel')
    t.after(() => sentinel.stop())
    await sentinel.command('SENTINEL MONITOR', 'sessions', server.host, String(proxy.port), '1')
    await sentinel.command('SENTINEL SET sessions down-after-milliseconds', '60000')
    const toSentinel = await aProxy(t, sentinel)
    const client = await closing(
      t,
      kind.sentinel({ sentinel: toSentinel, name: 'sessions' } as never, {
        nodeClientOptions: { socket: { reconnectStrategy: 5 } },
        scanInterval: 0,
      }),
    )
    const store = redisStore({ client })
    await knownScripts(store)
    const { id } = await aSession(store, { n: 0 })
    // It hears of the server later than the server is back.
    toSentinel.slowDown(50)
    const forbid = async () => void (await server.command('ACL SETUSER default -evalsha'))
    const outcome = await sentTwice(proxy, server, () => told(store.update(id, aChange(inc('n')))), forbid)
    await server.command('ACL SETUSER default +evalsha')
    const plain = redisStore({ client: await closing(t, kind.single(server.port)) })
    assert.deepEqual([outcome, await fieldsOf(plain, id)], ['unknown', { n: 1 }])
  })
}

test(
  'a cluster whose nodes connect again by themselves is not sure of what they sent twice',
  one,
  async t => {
    const cluster = await startCluster()
    t.after(() => cluster.stop())
    const proxies: FaultProxy[] = []
    for (const server of cluster.servers) proxies.push(await aProxy(t, server))
    const natMap = Object.fromEntries(
      cluster.servers.map(({ host, port }, index) => [
        `${host}:${port}`,
        { host, port: proxies[index]?.port },
      ]),
    )
    const options = { natMap, clusterNodeRetryStrategy: () => 20 }
    const mine = await ioredis6.cluster(
      proxies.map(({ port }) => port),
      options,
    )
    t.after(mine.close)
    const others = ioredis6.cluster(cluster.servers.map(({ port }) => port))
    const store = redisStore({ client: mine.client })
    const other = redisStore({ client: await closing(t, others) })
    for (let count = 0; count < 30; count++) await knownScripts(store)
    const { id } = await aSession(store, { n: 0 })
    for (const proxy of proxies) proxy.mute()
    const outcome = told(store.update(id, aChange(inc('n'))))
    await until(async () => (await fieldsOf(other, id)).n === 1)
    for (const server of cluster.servers) await server.command('ACL SETUSER default -evalsha')
    for (const proxy of proxies) {
      await proxy.cut()
      await proxy.heal()
    }
    assert.equal(await outcome, 'unknown')
  },
)

for (const kind of kinds.filter(({ isIoredis }) => isIoredis)) {
  const aWay = async (t: TestContext, replicas = 0) => {
    const server = await aServer(t)
    if (replicas > 0) await aReplica(t, server)
    const proxy = await aProxy(t, server)
    const store = redisStore({ client: await closing(t, kind.single(proxy.port)), replicas })
    // The client may be slow to send again on a busy machine.
    store.useTimeout?.(60_000)
    await knownScripts(store)
    return { server, store, twice: <T>(act: () => Promise<T>) => sentTwice(proxy, server, act) }
  }

  // So that the connection by which it came again waits for the replicas that have it.
  for (const replicas of [0, 1]) {
    const often = replicas > 0 ? 'writes twice' : 'writes once'
    test(
      `a change that comes again where ${replicas} replicas must have it ${often}: ${kind.name}`,
      one,
      async t => {
        const { server, store, twice } = await aWay(t, replicas)
        const record = aRecord({ n: 0 })
        const calls = async (name: string) => (await callsOf(server)).get(name) ?? 0
        // Each with what it writes of when its key expires.
        const acts: readonly (readonly [act: () => Promise<unknown>, expiries: number])[] = [
          [() => store.insert(record), 1],
          [() => store.update(record.id, aChange(inc('n'))), 0],
          [() => store.end(record.id, { ended: new Date() }, inAnHour()), 1],
        ]
        for (const [act, expiries] of acts) {
          const before = [await calls('hset'), await calls('pexpireat')] as const
          assert.notEqual(await told(twice(act)), 'unknown')
          const after = [await calls('hset'), await calls('pexpireat')]
          assert.deepEqual(after, [before[0] + 1, before[1] + expiries + replicas])
        }
        const before = await calls('hset')
        assert.equal(await told(twice(() => store.delete(record.id))), 'done')
        assert.equal(await calls('hset'), before + replicas)
        assert.equal(await store.load(record.id), undefined)
      },
    )
  }

  test(
    `what was refused, and may still arrive once more, is not said to be refused: ${kind.name}`,
    one,
    async t => {
      const { store, twice } = await aWay(t)
      const { id } = await aSession(store, { n: 0, text: 'x'.repeat(500) })
      const poor = guarded({ path: 'n', comparator: '>=', arg: 5 }, inc('paid'))
      const large = { ...aChange(set('more', 'y'.repeat(200))), maxSize: 600 }
      for (const change of [poor, large]) {
        assert.equal(await told(twice(() => store.update(id, change))), 'unknown')
      }
      await store.ensureIndex?.('user')
      const short = await aSession(
        store,
        { n: 0, user: 'ada' },
        { maxAge: 1000, expires: new Date(Date.now() + 60_000) },
      )
      const longer = { ...aChange(inc('n')), maxAge: 3_600_000, expires: inAnHour() }
      assert.equal(await told(twice(() => store.update(short.id, longer))), 'unknown')
      // Without a loss all is as sure as ever.
      assert.equal(await store.update(id, poor), 'refused')
      assert.deepEqual(await store.update(short.id, longer), {})
      assert.equal((await fieldsOf(store, short.id)).n, 1)
    },
  )
}

test('an entry of an index is written each time that it is added', one, async t => {
  // A ping would be counted too.
  const primary = await aServer(t, { 'repl-ping-replica-period': '3600' })
  await aReplica(t, primary)
  const commands = commandsOf(await closing(t, ioredis6.single(primary.port)))
  const written = async () =>
    Number(/master_repl_offset:(\d+)/.exec(await primary.command('INFO replication'))?.[1])
  const add = () => commands.run(addMember, 'session:user:ada', ['an id', String(inAnHour().getTime())])
  await add()
  const before = await written()
  await add()
  assert.ok((await written()) > before)
})
