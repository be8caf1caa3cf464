import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type MongoDBCollection, type Store, StoreUnavailableError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { AppProcess } from '../chaos/app.ts'
import { Client, type Reply } from '../chaos/client.ts'
import { anApp } from '../support/app.ts'
import { eventually } from '../support/faultyapp.ts'
import { gate } from '../support/gate.ts'
import { theClient, withoutMongoDB } from '../support/mongodb/collection.ts'
import { repeatedly } from '../support/repeatedly.ts'
import { altered, watched } from '../support/watchedstore.ts'

const skip = withoutMongoDB

interface Processes {
  readonly apps: readonly AppProcess[]
  /** What the one session that the test has holds. */
  fields(): Promise<{ n?: number; log?: string[] }>
}

/** So many processes of the app, each of which can be ended, on one collection. */
async function someProcesses(t: TestContext, count: number): Promise<Processes> {
  const collection = `ending_${randomUUID()}`
  const place = { store: 'mongodb', uri: process.env.MONGODB_URI ?? '', collection } as const
  const sessions = theClient().db('chaos').collection(collection)
  t.after(() => sessions.drop())
  const apps = await Promise.all(
    Array.from({ length: count }, () => AppProcess.on(place, { timeout: 30_000 })),
  )
  t.after(() => Promise.all(apps.map(app => app.close())))
  await Promise.all(apps.map(app => app.start(0)))
  return { apps, fields: async () => (await sessions.findOne({ 'data.visitor': 'it' }))?.data }
}

/** Clients who share the cookie of one session, which has been begun. */
async function someClients(t: TestContext, { apps }: Processes, count: number): Promise<Client[]> {
  const clients = Array.from({ length: count }, () => new Client())
  t.after(() => {
    for (const client of clients) client.leave()
  })
  const [first] = clients
  await first?.ask(`${apps[0]?.origin}/begin?label=it`)
  for (const client of clients) client.cookie = first?.cookie
  return clients
}

test('a process that is told to end under load first does what it has begun', { skip }, async t => {
  const processes = await someProcesses(t, 2)
  const [leaving, staying] = processes.apps as [AppProcess, AppProcess]
  const clients = await someClients(t, processes, 20)
  const replies = new Map<string, Reply>()
  const stops = clients.map((client, index) =>
    repeatedly(t, async time => {
      const token = `t${index}-${time}`
      const path = time % 2 === 0 ? '/push' : '/unawaited'
      // A balancer that finds nobody at one process goes to the other.
      const reply = await client.ask(`${leaving.origin}${path}?token=${token}`)
      replies.set(token, reply)
      if (reply.status === 0) await client.ask(`${staying.origin}/count`)
    }),
  )
  await eventually(
    () => delay(10, replies.size),
    size => size > 100,
  )
  await leaving.stop('SIGTERM')
  await Promise.all(stops.map(stop => stop()))
  const log = new Set((await processes.fields()).log)
  for (const [token, { fate, status }] of replies) {
    // Who comes too late, over a connection that is still open, is told so.
    assert.ok(fate !== 'unknown' || status === 0, `${token}: ${status}`)
    if (fate === 'acknowledged') assert.ok(log.has(token), `${token} is lost`)
    if (fate === 'refused') assert.ok(!log.has(token), `${token} is there`)
  }
  assert.ok([...replies.values()].some(({ status }) => status === 0))
})

test('a process that is killed after a change was acknowledged, and before it answered, has made it', {
  skip,
}, async t => {
  const processes = await someProcesses(t, 2)
  const [dying, other] = processes.apps as [AppProcess, AppProcess]
  const [ada] = (await someClients(t, processes, 1)) as [Client]
  const { fate } = await ada.ask(`${dying.origin}/die`)
  assert.equal(fate, 'unknown')
  assert.equal((await processes.fields()).n, 1)
  // Who asks again asks for another.
  assert.equal((await ada.ask(`${other.origin}/count`)).fate, 'acknowledged')
  assert.equal((await processes.fields()).n, 2)
})

test('processes that are killed while they write lose nothing that they acknowledged', { skip }, async t => {
  const processes = await someProcesses(t, 2)
  const clients = await someClients(t, processes, 10)
  const fates = { acknowledged: 0, unknown: 0, refused: 0 }
  const stops = clients.map((client, index) =>
    repeatedly(t, async time => {
      const app = processes.apps[(index + time) % 2] as AppProcess
      fates[(await client.ask(`${app.origin}/count`)).fate]++
    }),
  )
  for (let kill = 0; kill < 3; kill++) {
    const app = processes.apps[kill % 2] as AppProcess
    await app.stop('SIGKILL')
    await app.start(0)
  }
  await Promise.all(stops.map(stop => stop()))
  const { n = 0 } = await processes.fields()
  const { acknowledged, unknown } = fates
  assert.ok(acknowledged > 0 && unknown > 0, JSON.stringify(fates))
  assert.ok(acknowledged <= n && n <= acknowledged + unknown, `${n}: ${JSON.stringify(fates)}`)
})

test('10,000 changes of one session by four processes are all made, and others are served meanwhile', {
  skip,
}, async t => {
  const processes = await someProcesses(t, 4)
  const clients = await someClients(t, processes, 40)
  const other = new Client()
  t.after(() => other.leave())
  const stop = repeatedly(t, async () => {
    const { status } = await other.ask(`${processes.apps[0]?.origin}/count`)
    assert.equal(status, 200)
  })
  await Promise.all(
    clients.map(async (client, index) => {
      for (let time = 0; time < 250; time++) {
        const { fate } = await client.ask(`${processes.apps[index % 4]?.origin}/count`)
        assert.equal(fate, 'acknowledged')
      }
    }),
  )
  await stop()
  assert.equal((await processes.fields()).n, 10_000)
})

/** The memory store, which tells when it is let go of. */
function closable(): { store: Store; closed: () => number } {
  let closed = 0
  const store = Object.assign(memoryStore(), {
    close: async () => {
      closed++
    },
  })
  return { store, closed: () => closed }
}

test('close() lets a request that is between two changes make both', async t => {
  const { store, closed } = closable()
  const begun = gate()
  const second = gate()
  const { visitor, sessions } = await anApp(t, { store }, async ctx => {
    await ctx.session.set('first', 1)
    begun.open()
    await second.opened
    await ctx.session.set('second', 2)
    return { ...(await ctx.session()) }
  })
  const asked = visitor().get('/')
  await begun.opened
  const closing = sessions.close()
  assert.equal(closed(), 0)
  second.open()
  const { status, json } = await asked
  assert.equal(status, 200)
  assert.deepEqual(json, { first: 1, second: 2 })
  await closing
  assert.equal(closed(), 1)
})

test('once closed, sessions are unavailable, other routes are not, and another store opens them', async t => {
  const { store, closed } = closable()
  const { visitor, sessions, errors } = await anApp(t, { store }, async ctx =>
    ctx.path === '/plain' ? 'plain' : await ctx.session.inc('n'),
  )
  const ada = visitor()
  await ada.get('/')
  const cookie = ada.jar.get('sid')
  await Promise.all([sessions.close(), sessions.close()])
  await sessions.close()
  assert.equal(closed(), 1)
  const { status, headers, setCookies } = await ada.get('/')
  assert.equal(status, 503)
  assert.match(headers['retry-after'] ?? '', /^\d+$/)
  assert.deepEqual(setCookies, [])
  assert.equal(ada.jar.get('sid'), cookie)
  const [error] = errors
  assert.ok(error instanceof StoreUnavailableError)
  assert.equal(error.message, 'The sessions have been closed')
  assert.equal(error.outcome, 'none')
  assert.equal((await ada.get('/plain')).status, 200)
  sessions.store = memoryStore()
  assert.deepEqual((await ada.get('/')).json, { n: 1 })
})

test('close() waits no longer than the timeout for a request or a store that never comes', async t => {
  const begun = gate()
  const { visitor, sessions } = await anApp(t, { store: memoryStore(), timeout: 100 }, async ctx => {
    await ctx.session.set('a', 1)
    begun.open()
    await new Promise(() => {})
  })
  visitor()
    .get('/')
    .catch(() => {})
  await begun.opened
  await sessions.close()
  sessions.store = new Promise<Store>(() => {})
  await sessions.close()
  sessions.collection = () => new Promise<MongoDBCollection>(() => {})
  await sessions.close()
})

test('a store that comes only after close() is closed all the same', async t => {
  const { store, closed } = closable()
  const coming = gate()
  const { sessions } = await anApp(t, { timeout: 20 }, () => 'plain')
  sessions.store = coming.opened.then(() => store)
  await sessions.close()
  assert.equal(closed(), 0)
  coming.open()
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(closed(), 1)
})

test('close() waits for calls that no request is waiting for', async t => {
  const { store } = watched(memoryStore())
  const held = gate()
  const slow = altered(store, name => (name === 'delete' ? held.opened : undefined))
  const { sessions } = await anApp(t, { store: slow }, () => 'plain')
  let isClosed = false
  const ended = sessions.end('a'.repeat(64))
  const closing = sessions.close().then(() => {
    isClosed = true
  })
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(isClosed, false)
  held.open()
  await ended
  await closing
})

test('a store that is set while another is being closed is neither closed nor refused', async t => {
  const former = closable()
  const next = closable()
  const begun = gate()
  const go = gate()
  const { visitor, sessions } = await anApp(t, { store: former.store }, async ctx => {
    if (ctx.path === '/inc') return ctx.session.inc('n')
    await ctx.session.set('a', 1)
    begun.open()
    await go.opened
    return 'done'
  })
  const asked = visitor().get('/')
  await begun.opened
  const closing = sessions.close()
  sessions.store = next.store
  go.open()
  await Promise.all([asked, closing])
  assert.deepEqual([former.closed(), next.closed()], [1, 0])
  assert.deepEqual((await visitor().get('/inc')).json, { n: 1 })
  await sessions.close()
  assert.deepEqual([former.closed(), next.closed()], [1, 1])
})

test('looking at the store connects nothing', async t => {
  const { sessions, visitor } = await anApp(t, {}, ctx => ctx.session.inc('n'))
  assert.equal(sessions.store, undefined)
  let connections = 0
  sessions.collection = async () => {
    connections++
    throw new Error('away')
  }
  assert.equal(sessions.store, undefined)
  assert.equal(typeof sessions.collection, 'function')
  assert.equal(connections, 0)
  assert.equal((await visitor().get('/')).status, 503)
  assert.equal(connections, 1)
  assert.equal(sessions.store, undefined)
  assert.equal(connections, 1)
})
