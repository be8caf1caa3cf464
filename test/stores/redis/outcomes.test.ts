import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { Store } from '../../../src/store/store.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import {
  aChange,
  aRecord,
  aSession,
  fieldsOf,
  inAnHour,
  inc,
  push,
  recordOf,
  set,
  unset,
} from '../../contract/records.ts'
import { ioredis6, type Kind, kinds, nodeRedis6 } from '../../support/redis/clients.ts'
import { callsOf } from '../../support/redis/commands.ts'
import { type RedisServer, version, withoutRedis } from '../../support/redis/server.ts'
import { aReplica, aServer, startCluster, until } from '../../support/redis/topologies.ts'
import { waitsAt } from '../../support/redis/waits.ts'

async function aStore(t: TestContext, kind: Kind, server: RedisServer, options: object = {}): Promise<Store> {
  const { client, close } = await kind.single(server.port)
  t.after(close)
  return redisStore({ client, ...options })
}

const one = { skip: withoutRedis }

/** The processes that write a server's data to its file. */
function saversOf({ pid }: RedisServer): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return children.trim().split(' ').filter(Boolean).map(Number)
}

/** Each that writes is refused, and has written nothing. */
async function allRefused(store: Store, id: string, kept: unknown): Promise<void> {
  const writes = [
    () => store.update(id, aChange(inc('n'))),
    () => store.update(id, aChange(inc('n'), push('log', 1)), { paths: ['log'], when: 'after' }),
    () => store.insert(aRecord()),
  ]
  for (const write of writes) {
    await assert.rejects(write(), (error: unknown) => {
      assert.ok(error instanceof StoreUnavailableError, String(error))
      assert.equal(error.outcome, 'none', String(error.cause))
      return true
    })
  }
  assert.deepEqual(await store.load(id), kept)
}

/** Does it again where a busy machine left it no time: the change was not made then. */
async function inTime<T>(act: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await act()
    } catch (error) {
      if (tries === 5 || !/no time left|too late/.test(String(error))) throw error
    }
  }
}

for (const kind of [nodeRedis6, ioredis6]) {
  test(`a server that has forgotten the scripts is sent them again: ${kind.name}`, one, async t => {
    const server = await aServer(t)
    const store = await aStore(t, kind, server)
    const { id } = await aSession(store, { n: 0 })
    for (let times = 1; times <= 3; times++) {
      await server.command('SCRIPT FLUSH')
      assert.deepEqual(await store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' }), {
        rev: times + 1,
        fields: { n: times },
      })
    }
  })

  test(
    `where memory is full nothing is written, and reading and ending go on: ${kind.name}`,
    one,
    async t => {
      const server = await aServer(t)
      const store = await aStore(t, kind, server)
      const record = await aSession(store, { n: 0 })
      const others = [await aSession(store), await aSession(store)]
      await server.command('CONFIG SET maxmemory 1')
      await allRefused(store, record.id, record)
      assert.equal(await store.end(others[0]?.id ?? '', { ended: new Date() }, inAnHour()), true)
      await store.delete(others[1]?.id ?? '')
      assert.ok('ended' in ((await store.load(others[0]?.id ?? '')) ?? {}))
      await server.command('CONFIG SET maxmemory 0')
      assert.deepEqual(await store.update(record.id, aChange(inc('n'))), {})
    },
  )

  test(`a replica writes nothing, and is no place for sessions: ${kind.name}`, one, async t => {
    const primary = await aServer(t)
    const replica = await aServer(t, { replicaof: `${primary.host} ${primary.port}` })
    const record = await aSession(await aStore(t, kind, primary), { n: 0 })
    const store = await aStore(t, kind, replica)
    await until(async () => (await store.load(record.id)) !== undefined)
    await allRefused(store, record.id, record)
    await assert.rejects(async () => store.ensureIndex?.(), /connected to a replica/)
  })

  test(`while a script of somebody's runs for long, nothing is written: ${kind.name}`, one, async t => {
    const server = await aServer(t, { 'lua-time-limit': '20' })
    const store = await aStore(t, kind, server)
    const record = await aSession(store, { n: 0 })
    const { id } = record
    await store.update(id, aChange(set('n', 0)))
    // A reply would come when it is over.
    void server.command('EVAL', '"while\\x20true\\x20do\\x20end"', '0').catch(() => {})
    await until(async () => (await server.command('GET x')).startsWith('-BUSY'))
    await assert.rejects(store.update(id, aChange(inc('n'))), isRefused)
    await assert.rejects(store.load(id), isRefused)
    await server.command('SCRIPT KILL')
    await until(async () => (await server.command('GET x')).startsWith('$'))
    assert.deepEqual(await fieldsOf(store, id), { n: 0 })
  })

  test(`a primary without the replicas that it needs writes nothing: ${kind.name}`, one, async t => {
    const server = await aServer(t)
    const store = await aStore(t, kind, server)
    const record = await aSession(store, { n: 0 })
    await server.command('CONFIG SET min-replicas-to-write 1')
    await allRefused(store, record.id, record)
  })

  test(`a server that cannot save its data writes nothing: ${kind.name}`, one, async t => {
    const server = await aServer(t)
    const store = await aStore(t, kind, server)
    const record = await aSession(store, { n: 0 })
    for (const line of ['save "3600\\x201"', 'rdb-key-save-delay 10000000']) {
      assert.match(await server.command(`CONFIG SET ${line}`), /^\+OK/)
    }
    await server.command('BGSAVE')
    await until(async () => saversOf(server).length > 0)
    for (const pid of saversOf(server)) process.kill(pid, 'SIGKILL')
    await until(async () => /rdb_last_bgsave_status:err/.test(await server.command('INFO persistence')))
    await allRefused(store, record.id, record)
    await server.command('CONFIG SET stop-writes-on-bgsave-error no')
    assert.deepEqual(await store.update(record.id, aChange(inc('n'))), {})
  })

  test(`a server that is still reading its file makes a change once or not: ${kind.name}`, one, async t => {
    const server = await aServer(t, { appendonly: 'yes' })
    const store = await aStore(t, kind, server)
    const { id } = await aSession(store, { n: 0 })
    for (let count = 0; count < 1000; count++) await aSession(store, { n: count })
    await server.kill()
    // Microseconds for each command in the file; it answers others once in 1024 of them.
    const restarted = server.restart({ 'key-load-delay': '500' })
    await until(async () => (await server.command('GET x')).startsWith('-LOADING'))
    let isDone = false
    while (!isDone) {
      await store.update(id, aChange(inc('n'))).then(
        () => {
          isDone = true
        },
        error => assert.equal(error.outcome, 'none', String(error.cause)),
      )
    }
    await restarted
    assert.equal((await fieldsOf(store, id)).n, 1)
  })

  test(
    `a change that replicas do not confirm in time may be lost, and says so: ${kind.name}`,
    one,
    async t => {
      const primary = await aServer(t)
      const replica = await aReplica(t, primary)
      const { port, waits } = await waitsAt(t, primary)
      const { client, close } = await kind.single(port)
      t.after(close)
      const store = redisStore({ client, replicas: 1 })
      const { id } = await aSession(store, { n: 0 })
      // The server knows each script from here on.
      await store.end((await aSession(store)).id, { ended: new Date() }, inAnHour())
      assert.deepEqual(await store.update(id, aChange(inc('n'))), {})
      assert.deepEqual(await store.update(id, aChange(push('log', 1))), {})
      const copy = await aStore(t, kind, replica)
      assert.deepEqual(await fieldsOf(copy, id), { n: 1, log: [1] })
      store.useTimeout?.(300)
      replica.pause()
      t.after(() => replica.resume())
      let waited = 0
      for (const write of [
        () => store.update(id, aChange(inc('n'))),
        () => store.update(id, aChange(push('log', 2))),
        () => store.insert(aRecord()),
        () => store.end(id, { ended: new Date() }, inAnHour()),
      ]) {
        const act = () => {
          waits()
          return write()
        }
        await assert.rejects(inTime<unknown>(act), (error: unknown) => {
          assert.ok(error instanceof StoreUnavailableError)
          assert.equal(error.outcome, 'unknown')
          return true
        })
        const [ms = 0, ...others] = waits()
        assert.ok(ms > 0 && others.length === 0)
        waited += ms
      }
      assert.ok(waited <= 4 * 300, `waits of ${waited} ms`)
      // What writes nothing waits for no replica.
      assert.equal(await inTime(() => store.update(id, aChange(inc('n')))), 'ended')
    },
  )
}

for (const kind of kinds) {
  test(
    `what no replica knows to be gone is not said to be, however often it is asked for: ${kind.name}`,
    one,
    async t => {
      const primary = await aServer(t)
      const replica = await aReplica(t, primary)
      const store = await aStore(t, kind, primary, { replicas: 1 })
      const copy = await aStore(t, kind, replica)
      const ended = await aSession(store)
      const deleted = await aSession(store)
      const other = await aSession(store)
      // The server knows each script from here on.
      await store.end(other.id, { ended: new Date() }, inAnHour())
      await store.delete(other.id)
      await primary.command('HSET', 'session:foreign', 'a', '1')
      await primary.command('SET', 'session:text', '1')
      store.useTimeout?.(300)
      const end = (id: string) => store.end(id, { ended: new Date() }, inAnHour())
      const acts = [() => end(ended.id), () => store.delete(deleted.id), () => end(deleted.id)]
      replica.pause()
      t.after(() => replica.resume())
      for (const memory of ['0', '1']) {
        await primary.command('CONFIG SET maxmemory', memory)
        for (const act of acts) {
          await assert.rejects(act(), { outcome: 'unknown' })
        }
      }
      // These are no sessions, and nothing of them is written.
      assert.deepEqual([await end('foreign'), await end('text')], [false, false])
      replica.resume()
      store.useTimeout?.(5000)
      assert.deepEqual([await end(ended.id), await end(deleted.id)], [false, false])
      await store.delete(deleted.id)
      assert.ok('ended' in ((await copy.load(ended.id)) ?? {}))
      assert.equal(await copy.load(deleted.id), undefined)
      assert.match(await primary.command('HGET', 'session:foreign', 'a'), /1/)
    },
  )
}

for (const kind of [nodeRedis6, ioredis6]) {
  test(`a change of very many fields is made whole: ${kind.name}`, one, async t => {
    const server = await aServer(t)
    const store = await aStore(t, kind, server)
    store.useTimeout?.(60_000)
    const names = Array.from({ length: 66_000 }, (_, index) => `f${index}`)
    const { id } = await aSession(store, { n: 0, log: [] })
    const all = Object.fromEntries(names.map(name => [name, 1]))
    assert.deepEqual(await store.update(id, aChange(inc('n'), ...names.map(name => set(name, 1)))), {})
    assert.deepEqual(await fieldsOf(store, id), { n: 1, log: [], ...all })
    const [paths, few] = [names.slice(0, 9000), Object.fromEntries(Object.entries(all).slice(0, 9000))]
    assert.deepEqual(await store.update(id, aChange(inc('n')), { paths, when: 'after' }), {
      rev: 3,
      fields: few,
    })
    if (kind.isIoredis) {
      // It reads by a script.
      const { client, close } = await kind.single(server.port, { scaleReads: 'slave' })
      t.after(close)
      assert.deepEqual(await redisStore({ client }).read(id, paths), { rev: 3, fields: few })
    }
    assert.deepEqual(await store.update(id, aChange(inc('n'), ...names.map(unset))), {})
    assert.deepEqual(await fieldsOf(store, id), { n: 3, log: [] })
    // Not by the server alone.
    assert.deepEqual(await store.update(id, aChange(push('log', 1), ...names.map(name => set(name, 1)))), {})
    assert.deepEqual(await fieldsOf(store, id), { n: 3, log: [1], ...all })
  })

  test(
    `a change in whose middle a right is missing may be made in part, and says so: ${kind.name}`,
    one,
    async t => {
      const server = await aServer(t)
      const store = await aStore(t, kind, server)
      const { id } = await aSession(store, { n: 0, a: 1 })
      await server.command('ACL SETUSER default -hdel')
      await assert.rejects(store.update(id, aChange(inc('n'), unset('a'))), { outcome: 'unknown' })
      await server.command('ACL SETUSER default -evalsha')
      await assert.rejects(store.update(id, aChange(inc('n'))), { outcome: 'none' })
    },
  )
}

function isRefused(error: unknown): boolean {
  assert.ok(error instanceof StoreUnavailableError, String(error))
  assert.equal(error.outcome, 'none')
  return true
}

test('where a part of a cluster is away its sessions are not written', one, async t => {
  const cluster = await startCluster()
  t.after(() => cluster.stop())
  const { client, close } = await nodeRedis6.cluster(cluster.servers.map(({ port }) => port))
  t.after(close)
  const store = redisStore({ client })
  const { id } = await aSession(store, { n: 0 })
  const [first, second, third] = cluster.primaries as [RedisServer, RedisServer, RedisServer]
  const keys = await Promise.all([first, second, third].map(server => server.command('KEYS', 'session:*')))
  const owner = keys.findIndex(reply => reply.includes(id))
  const others = [first, second, third].filter((_, index) => index !== owner)
  // Not before: on a busy machine a node may be slow, and would be away too.
  for (const server of cluster.servers) {
    assert.match(await server.command('CONFIG SET cluster-node-timeout 1000'), /^\+OK/)
  }
  await others[0]?.kill()
  await until(async () =>
    /cluster_state:fail/.test(await (cluster.primaries[owner] as RedisServer).command('CLUSTER INFO')),
  )
  await assert.rejects(store.update(id, aChange(inc('n'))), isRefused)
})

test('no command is newer than Redis 6.2', one, async t => {
  const server = await aServer(t)
  for (const kind of kinds) {
    const store = await aStore(t, kind, server, { prefix: `${kind.name}:`, replicas: 0 })
    await store.ensureIndex?.('user')
    const { id } = await aSession(store, { user: 'ada', n: 0 })
    await store.update(id, { ...aChange(inc('n')), expires: new Date(Date.now() + 1e8), maxAge: 1e8 })
    await store.update(id, aChange(push('log', 1)))
    await store.update(id, aChange(set('user', 'eve')))
    await recordOf(store, id)
    await store.read(id, ['n'])
    for await (const _ of store.find?.('user', 'eve') ?? []);
    await store.count?.()
    await store.end(id, { ended: new Date() }, inAnHour())
    await store.delete(id)
  }
  // What clients send by themselves when they connect is theirs, and so is what this test asks.
  const theirs = [
    'hello',
    'client|setname',
    'client|setinfo',
    'client|maint_notifications',
    'ping',
    'command|docs',
    'client|id',
    'client|tracking',
  ]
  const used = [...(await callsOf(server)).keys()].filter(name => !theirs.includes(name))
  const expected = [
    ...[
      'eval',
      'evalsha',
      'hmget',
      'hgetall',
      'scan',
      'info',
      'time',
      'hget',
      'hset',
      'hsetnx',
      'hdel',
      'hexists',
      'hstrlen',
    ],
    ...['exists', 'del', 'unlink', 'pexpireat', 'zadd', 'zremrangebyscore', 'zrevrange', 'zscan'],
  ]
  assert.deepEqual(
    used.filter(name => !expected.includes(name)),
    [],
  )
  // A server that cannot tell is of that version itself.
  if (version.startsWith('6.')) return
  for (const name of [...expected, 'wait']) {
    const docs = await server.command('COMMAND DOCS', name)
    const [, since = ''] = /since\r\n\$\d+\r\n([\d.]+)/.exec(docs) ?? []
    assert.ok(
      since !== '' && since.localeCompare('6.3', undefined, { numeric: true }) < 0,
      `${name} ${since}`,
    )
  }
})
