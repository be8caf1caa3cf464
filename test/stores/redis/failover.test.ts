import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { SessionId } from '../../../src/ids.ts'
import type { SessionRecord } from '../../../src/store/record.ts'
import type { Store } from '../../../src/store/store.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aChange, aSession, inc, push, recordOf, set } from '../../contract/records.ts'
import { type Connected, type Kind, kinds } from '../../support/redis/clients.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'
import {
  type Cluster,
  startCluster,
  startMoving,
  startSentinel,
  until,
} from '../../support/redis/topologies.ts'

/** A primary that comes back empty would be an empty primary until it is told that it is none any more. */
const durable = { appendonly: 'yes' }

/** Visitors who change sessions at random until they are told to stop, and what they were told. */
class Crowd {
  readonly #store: Store
  readonly #ids: readonly SessionId[]
  readonly acknowledged = new Map<SessionId, number>()
  readonly #unknown = new Map<SessionId, number>()
  #isOver = false
  readonly #visitors: Promise<void>[]

  constructor(store: Store, ids: readonly SessionId[]) {
    this.#store = store
    this.#ids = ids
    this.#visitors = Array.from({ length: 8 }, (_, index) => this.#visit(index))
  }

  get total(): number {
    return [...this.acknowledged.values()].reduce((sum, one) => sum + one, 0)
  }

  /** Who waits for an answer may wait on. */
  leave(): void {
    this.#isOver = true
  }

  async stop(): Promise<void> {
    this.leave()
    await Promise.all(this.#visitors)
  }

  /** Nothing that was acknowledged is lost, and nothing was made twice. */
  async assertKept(store = this.#store): Promise<void> {
    for (const id of this.#ids) {
      const acknowledged = this.acknowledged.get(id) ?? 0
      const { fields } = await recordOf(store, id)
      const possible = (this.acknowledged.get(id) ?? 0) + (this.#unknown.get(id) ?? 0)
      const told = `${String(fields.n)} of ${acknowledged} acknowledged and ${possible} possible`
      assert.ok(Number(fields.n) >= acknowledged && Number(fields.n) <= possible, told)
      assert.equal((fields.log as unknown[]).length, fields.n, 'a change was made in part')
    }
  }

  async #visit(visitor: number): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      const id = this.#ids[(visitor * 7 + turn) % this.#ids.length] as SessionId
      this.#addUnknown(id, 1)
      try {
        assert.ok(typeof (await this.#store.update(id, aChange(inc('n'), push('log', 1)))) === 'object')
        this.acknowledged.set(id, 1 + (this.acknowledged.get(id) ?? 0))
        this.#addUnknown(id, -1)
      } catch (error) {
        assert.ok(error instanceof StoreUnavailableError, String(error))
        if (error.outcome === 'none') this.#addUnknown(id, -1)
        await delay(10)
      }
    }
  }

  #addUnknown(id: SessionId, count: number): void {
    this.#unknown.set(id, count + (this.#unknown.get(id) ?? 0))
  }
}

/** Kills a server while visitors are busy, and brings it back once another has taken over, as it is told to. `again` connects as a new process does. */
async function kept(
  t: TestContext,
  connected: Connected,
  victim: RedisServer,
  takeOver: () => Promise<unknown>,
  tookOver: () => Promise<boolean>,
  again?: () => Promise<Connected>,
): Promise<void> {
  t.after(() => connected.close())
  const store = redisStore({ client: connected.client, replicas: 1 })
  store.useTimeout?.(1000)
  const ids: SessionId[] = []
  while (ids.length < 12) {
    const record = await aSession(store, { n: 0, log: [] }).catch(() => undefined)
    if (record) ids.push(record.id)
  }
  const crowd = new Crowd(store, ids)
  t.after(() => crowd.stop())
  await until(async () => crowd.total > 100)
  await victim.kill()
  await takeOver()
  await until(tookOver)
  await victim.restart()
  if (again) {
    crowd.leave()
    const other = await again()
    t.after(() => other.close())
    return crowd.assertKept(redisStore({ client: other.client, replicas: 1 }))
  }
  const before = crowd.total
  await until(async () => crowd.total > before + 100)
  await crowd.stop()
  await crowd.assertKept()
}

describe('with a replica that has to confirm, a failover loses nothing acknowledged and makes nothing twice', {
  skip: withoutRedis,
}, () => {
  for (const kind of kinds) {
    test(`by a sentinel: ${kind.name}`, async t => {
      const topology = await startSentinel(durable)
      t.after(() => topology.stop())
      const { primary, replica, sentinel } = topology
      await kept(
        t,
        await kind.sentinel(topology),
        primary,
        () => until(async () => /^\+OK/.test(await sentinel.command('SENTINEL FAILOVER sessions'))),
        async () => (await sentinel.command('INFO sentinel')).includes(`address=127.0.0.1:${replica.port}`),
        kind.followsSentinels ? undefined : () => kind.sentinel(topology),
      )
    })

    test(`in a cluster: ${kind.name}`, async t => {
      const cluster = await startCluster(true, durable)
      t.after(() => cluster.stop())
      const [primary] = cluster.primaries
      const [replica] = cluster.replicas
      const connected = await kind.cluster(cluster.servers.map(({ port }) => port))
      await kept(
        t,
        connected,
        primary as RedisServer,
        async () => replica?.command('CLUSTER FAILOVER TAKEOVER'),
        async () => /role:master/.test((await replica?.command('INFO replication')) ?? ''),
      )
    })
  }
})

describe('changes follow a session to another node of a cluster, where replicas have to confirm as well', {
  skip: withoutRedis,
}, () => {
  for (const kind of kinds) {
    test(`after a planned failover: ${kind.name}`, async t => {
      const cluster = await startCluster(true)
      t.after(() => cluster.stop())
      const [replica] = cluster.replicas
      const { store, sessions } = await inCluster(t, kind, cluster)
      await replica?.command('CLUSTER FAILOVER TAKEOVER')
      await until(async () => /role:master/.test((await replica?.command('INFO replication')) ?? ''))
      for (const { id } of sessions) {
        await until(async () => typeof (await store.update(id, aChange(set('is', 'there')))) === 'object')
        assert.equal((await recordOf(store, id)).fields.is, 'there')
      }
    })

    test(`while its slot moves nothing is done, and then all is: ${kind.name}`, async t => {
      const cluster = await startCluster(true)
      t.after(() => cluster.stop())
      const { store, sessions } = await inCluster(t, kind, cluster)
      const [{ id }] = sessions as [SessionRecord]
      const moving = await startMoving(cluster, `session:${id}`)
      await assert.rejects(store.update(id, aChange(inc('n'))), { outcome: 'none' })
      await moving.finish()
      assert.deepEqual(await store.update(id, aChange(inc('n'))), {})
      assert.equal((await recordOf(store, id)).fields.n, 1)
    })
  }
})

/** Sessions on all nodes of a cluster, each with a replica that has to confirm. */
async function inCluster(
  t: TestContext,
  kind: Kind,
  cluster: Cluster,
): Promise<{ store: Store; sessions: SessionRecord[] }> {
  const connected = await kind.cluster(cluster.servers.map(({ port }) => port))
  t.after(() => connected.close())
  const store = redisStore({ client: connected.client, replicas: 1 })
  const sessions: SessionRecord[] = []
  for (let count = 0; count < 12; count++) sessions.push(await aSession(store, { n: 0 }))
  return { store, sessions }
}

test('what was acknowledged survives the end of a server that appends it to its file', {
  skip: withoutRedis,
}, async t => {
  const server = await RedisServer.start({ appendonly: 'yes', appendfsync: 'always' })
  t.after(() => server.stop())
  for (const kind of kinds) {
    const connected = await kind.single(server.port)
    t.after(() => connected.close())
    const store = redisStore({ client: connected.client, prefix: `${kind.name}:` })
    store.useTimeout?.(1000)
    const ids = [(await aSession(store, { n: 0, log: [] })).id, (await aSession(store, { n: 0, log: [] })).id]
    const crowd = new Crowd(store, ids)
    t.after(() => crowd.stop())
    for (let times = 0; times < 2; times++) {
      const before = crowd.total
      await until(async () => crowd.total > before + 50)
      await server.kill()
      await server.restart()
    }
    const before = crowd.total
    await until(async () => crowd.total > before + 50)
    await crowd.stop()
    await crowd.assertKept()
  }
})
