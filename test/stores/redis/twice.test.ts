import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { Change } from '../../../src/language/change.ts'
import type { Answer, Outcome, Store } from '../../../src/store/store.ts'
import { change } from '../../../src/stores/redis/change.ts'
import { commandsOf } from '../../../src/stores/redis/client.ts'
import type { Step } from '../../../src/stores/redis/head.ts'
import { Program } from '../../../src/stores/redis/program.ts'
import { replyOf } from '../../../src/stores/redis/replies.ts'
import {
  DONE,
  insert,
  LATE,
  OVERTAKEN,
  REFUSED,
  REPEATED,
  type Script,
  SKEW,
} from '../../../src/stores/redis/scripts.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import {
  aChange,
  aRecord,
  aSession,
  fieldsOf,
  inAnHour,
  inc,
  push,
  set,
  together,
} from '../../contract/records.ts'
import { FaultProxy } from '../../support/proxy.ts'
import { type Connected, ioredis6, type Kind, kinds, nodeRedis6 } from '../../support/redis/clients.ts'
import { sentTwice } from '../../support/redis/commands.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { type Cluster, startCluster, until } from '../../support/redis/topologies.ts'

const after_ = (...paths: string[]) => ({ paths, when: 'after' }) as const

/** A way to servers, whose next answer may be lost together with its connection. */
interface Way {
  readonly proxies: readonly FaultProxy[]
  readonly connected: Connected
  /** Does it once the client is connected, and loses the first answer that comes. */
  losing<T>(ready: () => Promise<unknown>, act: () => Promise<T>): Promise<T>
}

async function wayTo(
  t: TestContext,
  servers: readonly RedisServer[],
  connect: (proxies: readonly FaultProxy[]) => Promise<Connected>,
): Promise<Way> {
  const proxies: FaultProxy[] = []
  for (const server of servers) proxies.push(await FaultProxy.to(server))
  const connected = await connect(proxies)
  t.after(async () => {
    await connected.close()
    for (const proxy of proxies) await proxy.close()
  })
  return {
    proxies,
    connected,
    async losing(ready, act) {
      await until(async () => ready().then(() => true))
      let isDue = true
      for (const proxy of proxies) {
        proxy.loseAnswers(() => {
          const isLost = isDue
          isDue = false
          return isLost
        })
      }
      const done = await act()
      assert.equal(isDue, false, 'no answer was lost')
      return done
    },
  }
}

function outcomeOf(update: Promise<Outcome>): Promise<Outcome | 'unknown'> {
  return update.catch((error: unknown) => {
    assert.ok(error instanceof StoreUnavailableError, String(error))
    assert.equal(error.outcome, 'unknown')
    return 'unknown'
  })
}

/** What each client does with its default options, where it is known. */
function lossesOf(connect: (t: TestContext, kind: Kind) => Promise<Way>): void {
  for (const kind of kinds) {
    test(`five increments whose answers are lost are five: ${kind.name}`, async t => {
      const way = await connect(t, kind)
      const store = redisStore({ client: way.connected.client, prefix: prefix() })
      // The client may be slow to send again on a busy machine.
      store.useTimeout?.(60_000)
      await knownScripts(store)
      const { id } = await aSession(store, { n: 0, log: [] })
      const outcomes: (Outcome | 'unknown')[] = []
      for (let times = 0; times < 5; times++) {
        outcomes.push(
          await way.losing(
            () => store.load(id),
            () => outcomeOf(store.update(id, aChange(inc('n')))),
          ),
        )
      }
      const seen = times(store, id, 'n')
      await until(async () => (await seen()) >= 5)
      assert.deepEqual(await fieldsOf(store, id), { n: 5, log: [] })
      // Those that send again are told what they have done.
      assert.deepEqual(
        [...new Set(outcomes.map(one => JSON.stringify(one)))],
        [kind.isIoredis ? '{}' : '"unknown"'],
      )
    })

    test(`a change whose answer is lost is made once, whatever it is: ${kind.name}`, async t => {
      const way = await connect(t, kind)
      const store = redisStore({ client: way.connected.client, prefix: prefix() })
      // The client may be slow to send again on a busy machine.
      store.useTimeout?.(60_000)
      await knownScripts(store)
      const record = aRecord({ n: 0, log: [], prefs: { theme: 'dark' } })
      const ready = () => store.load(record.id)
      const inserted = await way.losing(ready, () => store.insert(record).then(() => 'done', outcome))
      await until(async () => (await store.load(record.id)) !== undefined)
      // These take one round trip. Of others the look before them is lost, which nobody repeats but the client.
      const changes = [aChange(inc('n')), aChange(set('prefs', { theme: 'light' }), inc('n'))]
      if (kind.isIoredis) changes.push(aChange(push('log', 1)))
      const answers: unknown[] = []
      for (const change of changes) {
        answers.push(
          await way.losing(ready, () => outcomeOf(store.update(record.id, change, after_('n', 'log')))),
        )
      }
      assert.deepEqual(await fieldsOf(store, record.id), {
        n: 2,
        log: kind.isIoredis ? [1] : [],
        prefs: { theme: 'light' },
      })
      const tombstone = { ended: new Date() }
      const ended = await way.losing(ready, () => store.end(record.id, tombstone, inAnHour()).catch(outcome))
      assert.deepEqual(await store.load(record.id), tombstone)
      if (!kind.isIoredis) {
        assert.deepEqual([inserted, ended], ['unknown', 'unknown'])
        return
      }
      assert.deepEqual([inserted, ended], ['done', true])
      assert.deepEqual(answers, [
        { rev: 2, fields: { n: 1, log: [] } },
        { rev: 3, fields: { n: 2, log: [] } },
        { rev: 4, fields: { n: 2, log: [1] } },
      ])
    })

    test(`a change that comes when its caller has given up is not made: ${kind.name}`, async t => {
      const way = await connect(t, kind)
      const store = redisStore({ client: way.connected.client, prefix: prefix() })
      await store.ensureIndex?.('user')
      const { id } = await aSession(store, { n: 0 })
      const kept = await aSession(store)
      store.useTimeout?.(150)
      for (const proxy of way.proxies) proxy.stall()
      const late = [aChange(inc('n')), aChange(inc('n'), push('log', 1))].map(change =>
        store.update(id, change),
      )
      const ended = store.end(id, { ended: new Date() }, inAnHour())
      const inserted = aRecord({ user: 'ada' })
      const insert = store.insert(inserted)
      const settled = Promise.allSettled([...late, ended, insert, store.delete(kept.id)])
      const deadline = performance.now() + 300
      await until(async () => performance.now() > deadline)
      for (const proxy of way.proxies) await proxy.heal()
      for (const one of await settled) {
        assert.equal(one.status, 'rejected')
        assert.ok(one.reason instanceof StoreUnavailableError)
      }
      assert.deepEqual(await fieldsOf(store, id), { n: 0 })
      assert.equal(await store.load(inserted.id), undefined)
      assert.deepEqual(await store.load(kept.id), kept)
    })
  }
}

/** A server that has just begun asks for the text of each script once; of a cluster, each. */
async function knownScripts(store: Store): Promise<void> {
  await together(40, async () => {
    const { id } = await aSession(store, { n: 0 })
    await store.update(id, aChange(inc('n')))
    await store.end(id, { ended: new Date() }, inAnHour())
  })
}

let prefixes = 0

function prefix(): string {
  return `twice ${++prefixes}:`
}

function times(store: Store, id: string, name: string): () => Promise<number> {
  return async () => Number((await fieldsOf(store, id))[name])
}

function outcome(error: unknown): string {
  assert.ok(error instanceof StoreUnavailableError, String(error))
  return error.outcome
}

describe('one server', { skip: withoutRedis }, () => {
  let server: RedisServer
  before(async () => {
    server = await RedisServer.start()
  })
  after(() => server.stop())
  const way = (t: TestContext, kind: Kind) =>
    wayTo(t, [server], ([proxy]) => kind.single((proxy as FaultProxy).port))
  lossesOf(way)

  /** Changes a session; after that, and before the client can send it again, another process replaces the session. */
  async function replacedMeanwhile(
    t: TestContext,
    kind: Kind,
    change: Change,
    answer?: Answer,
  ): Promise<Outcome | 'unknown'> {
    const { proxies, connected } = await way(t, kind)
    const [proxy] = proxies as [FaultProxy]
    const others = await kind.single(server.port)
    t.after(() => others.close())
    const same = prefix()
    const [store, other] = [connected, others].map(({ client }) => redisStore({ client, prefix: same }))
    assert.ok(store && other)
    await knownScripts(store)
    const { id } = await aSession(store, { n: 0, log: [] })
    const tombstone = { ended: new Date(), next: 'who comes after it' }
    const replace = async () => assert.ok(await other.end(id, tombstone, inAnHour()))
    const outcome = await sentTwice(proxy, server, () => outcomeOf(store.update(id, change, answer)), replace)
    assert.deepEqual(await store.load(id), tombstone)
    return outcome
  }

  for (const kind of kinds) {
    test(`a change is not denied that was made before its session was replaced: ${kind.name}`, async t => {
      assert.deepEqual(
        [
          await replacedMeanwhile(t, kind, aChange(inc('n'))),
          await replacedMeanwhile(t, kind, aChange(inc('n')), after_('n')),
        ],
        // Who sends it again is told; what it answered with is gone.
        [kind.isIoredis ? {} : 'unknown', 'unknown'],
      )
    })
  }

  test('an insert that was overtaken is not taken for the one that stored its session', async t => {
    const { client, close } = await nodeRedis6.single(server.port)
    t.after(close)
    const store = redisStore({ client, prefix: 'session:' })
    const { id } = await aSession(store, { n: 0 })
    const process = Buffer.from('overtook')
    const sent = async (number: number, script: Script, argument: (step: Step) => Buffer) => {
      const step = { process, number, until: Date.now() + 60_000 }
      const { reply } = await commandsOf(client).run(script, `session:${id}`, [argument(step)])
      return replyOf(reply, false).status
    }
    const changing = (step: Step) => new Program().argument(step, 1, {})
    const inserting = ({ process, number, until }: Step) => {
      const bytes = Buffer.alloc(32)
      bytes.set(process)
      for (const [index, value] of [number, until, until].entries()) bytes.writeDoubleLE(value, 8 + 8 * index)
      return bytes
    }
    assert.equal(await sent(2, change, changing), DONE)
    assert.equal(await sent(1, insert, inserting), OVERTAKEN)
    assert.equal(await sent(3, insert, inserting), REFUSED)
    assert.deepEqual(await fieldsOf(store, id), { n: 0 })
  })

  test('a session that is stored again stays when a copy of its earlier removal arrives late', async t => {
    const sent: Buffer[] = []
    const proxy = await FaultProxy.to(server, () => ({
      up(chunk) {
        sent.push(chunk)
        return chunk
      },
    }))
    const { client, close } = await ioredis6.single(proxy.port)
    t.after(async () => {
      await close()
      await proxy.close()
    })
    const store = redisStore({ client, prefix: prefix() })
    await knownScripts(store)
    await store.delete('nothing')
    const record = aRecord({ n: 0 })
    const tombstone = { ended: new Date() }
    const removals = [
      () => store.delete(record.id),
      () => store.end(record.id, tombstone, inAnHour(), 1),
      () => store.end(record.id, tombstone, inAnHour()),
    ]
    for (const remove of removals) {
      await store.insert(record)
      sent.length = 0
      await remove()
      const copy = Buffer.concat(sent)
      await store.delete(record.id)
      await store.insert(record)
      const socket = connect(server.port, server.host)
      socket.write(copy)
      await once(socket, 'data')
      socket.destroy()
      assert.deepEqual(await store.load(record.id), record)
      await store.delete(record.id)
    }
  })

  test('a step stays known until the last of its process would come too late', async t => {
    const { client, close } = await nodeRedis6.single(server.port)
    t.after(close)
    const store = redisStore({ client, prefix: 'session:' })
    const { id } = await aSession(store, { n: 0 })
    const counting = new Program()
    counting.calculate('$inc', 'n', { type: 16, value: 1 })
    const process = Buffer.from('process.')
    const step = async (number: number, until: number) => {
      const argument = counting.argument({ process, number, until }, 1, {})
      const { reply } = await commandsOf(client).run(change, `session:${id}`, [argument])
      return replyOf(reply, false).status
    }
    const [soon, later] = [Date.now() + 5000, Date.now() + 60_000]
    assert.deepEqual([await step(1, later), await step(2, soon)], [DONE, DONE])
    await until(async () => Date.now() > soon + SKEW)
    // Another process forgets what cannot come any more.
    await store.update(id, aChange(inc('n')))
    assert.deepEqual([await step(1, later), await step(2, soon)], [LATE, REPEATED])
    assert.deepEqual(await fieldsOf(store, id), { n: 3 })
  })
})

describe('a cluster', { skip: withoutRedis }, () => {
  let cluster: Cluster
  before(async () => {
    cluster = await startCluster()
  })
  after(() => cluster.stop())
  lossesOf((t, kind) =>
    wayTo(t, cluster.servers, proxies => {
      const ports = proxies.map(({ port }) => port)
      const map = Object.fromEntries(
        cluster.servers.map(({ host, port }, index) => [`${host}:${port}`, { host, port: ports[index] }]),
      )
      // While ioredis connects to a node anew, other nodes send it there again and again. By default it then gives up early.
      const patience = { retryDelayOnMoved: 20, maxRedirections: 1000 }
      return kind.cluster(ports, { natMap: map, nodeAddressMap: map, ...patience })
    }),
  )
})
