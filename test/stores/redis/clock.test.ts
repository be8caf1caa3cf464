import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { Outcome, Store } from '../../../src/store/store.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aChange, aSession, fieldsOf, inc } from '../../contract/records.ts'
import { FaultProxy } from '../../support/proxy.ts'
import { ioredis6, type Kind, nodeRedis6 } from '../../support/redis/clients.ts'
import { callsOf } from '../../support/redis/commands.ts'
import { type RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { aServer, until } from '../../support/redis/topologies.ts'

// The server begins no change after its caller gave up. It decides that by its own clock, which the store knows from replies.

const one = { skip: withoutRedis }
const TIMEOUT = 1000

interface Way {
  readonly server: RedisServer
  readonly proxy: FaultProxy
  readonly store: Store
  readonly id: string
}

/** A store that has not asked the server yet, and a session. The server knows the scripts. */
async function aWay(t: TestContext, kind = ioredis6): Promise<Way> {
  const server = await aServer(t)
  const proxy = await FaultProxy.to(server)
  const { client, close } = await kind.single(proxy.port)
  t.after(async () => {
    await close()
    await proxy.close()
  })
  const other = redisStore({ client })
  const { id } = await aSession(other, { n: 0 })
  await other.update(id, aChange(inc('n')))
  const store = redisStore({ client })
  store.useTimeout?.(TIMEOUT)
  return { server, proxy, store, id }
}

/** The store asks for the server's clock, and reads the reply when a change would have no time left by it. */
async function askedLate({ server, proxy, store }: Way): Promise<void> {
  const scripts = async () => (await callsOf(server)).get('evalsha') ?? 0
  const before = await scripts()
  proxy.mute()
  const asked = store.isIndexed?.('user')
  await until(async () => (await scripts()) > before)
  await passed(1.5 * TIMEOUT)
  await proxy.heal()
  await asked
}

/** What a change is told after a reply that was read late. On a busy machine one may be too late indeed, hardly each of a few. */
async function changedAfter(t: TestContext, kind: Kind, isFirst: boolean): Promise<Outcome> {
  for (let tries = 1; ; tries++) {
    const way = await aWay(t, kind)
    if (!isFirst) await way.store.isIndexed?.('user')
    await askedLate(way)
    try {
      return await way.store.update(way.id, aChange(inc('n')))
    } catch (error) {
      if (tries === 5) throw error
    }
  }
}

async function passed(ms: number): Promise<void> {
  const end = performance.now() + ms
  await until(async () => performance.now() > end)
}

for (const kind of [nodeRedis6, ioredis6]) {
  test(`a change is not too late because an earlier reply was read late: ${kind.name}`, one, async t => {
    assert.deepEqual(await changedAfter(t, kind, false), {})
  })

  test(`a change is not too late because the first reply was read late: ${kind.name}`, one, async t => {
    assert.deepEqual(await changedAfter(t, kind, true), {})
  })
}

for (const isReadLate of [false, true]) {
  const how = isReadLate ? 'and a reply is read late' : 'and a reply is read at once'
  test(`no change is made too late where this process's clock is put forward ${how}`, one, async t => {
    const way = await aWay(t)
    const { proxy, store, id } = way
    await store.isIndexed?.('user')
    const { now } = Date
    t.mock.method(Date, 'now', () => now() + 10_000)
    if (isReadLate) await askedLate(way)
    else await store.isIndexed?.('user')
    proxy.stall()
    const late = assert.rejects(store.update(id, aChange(inc('n'))), StoreUnavailableError)
    await passed(1.5 * TIMEOUT)
    await proxy.heal()
    await late
    t.mock.restoreAll()
    assert.equal((await fieldsOf(store, id)).n, 1)
  })
}
