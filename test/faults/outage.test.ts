import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { type MongoDBCollection, StoreUnavailableError } from '../../src/index.ts'
import { anApp } from '../support/app.ts'
import { aFaultyApp, eventually, signedIn, TIMEOUT, TOLERANCE } from '../support/faultyapp.ts'
import { median } from '../support/median.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import { proxied } from '../support/mongodb/proxy.ts'
import type { Answer, Visitor } from '../support/visitor.ts'

const skip = withoutMongoDB

/** Milliseconds between two requests of a visitor who is answered with 503. */
const RELOAD = 500

interface Timed {
  readonly answer: Answer
  readonly ms: number
}

async function timing(asked: Promise<Answer>): Promise<Timed> {
  const begun = performance.now()
  return { answer: await asked, ms: performance.now() - begun }
}

function assertUnavailable({ status, text, headers, setCookies }: Answer): void {
  assert.equal(status, 503)
  assert.equal(text, 'Service Unavailable')
  assert.match(headers['retry-after'] ?? '', /^\d+$/)
  assert.deepEqual(setCookies, [])
}

/** Asks until the store is known to be down, which takes no request longer than the timeout. */
async function knownToBeDown(visitor: Visitor): Promise<void> {
  await Promise.all(
    Array.from({ length: 3 }, async () => {
      const { answer, ms } = await timing(visitor.get('/read'))
      assertUnavailable(answer)
      assert.ok(ms < TIMEOUT + TOLERANCE, `${ms} ms`)
    }),
  )
}

test('an app whose store is down when it starts serves, and has sessions once the store is there', {
  skip,
}, async t => {
  const collection = aCollection(t)
  const { proxy, uri } = await proxied(process.env.MONGODB_URI ?? '')
  await proxy.refuse()
  t.after(() => proxy.close())
  const clients: MongoClient[] = []
  t.after(() => Promise.all(clients.map(client => client.close())))
  const { visitor, sessions } = await anApp(t, { timeout: TIMEOUT }, async ctx =>
    ctx.path === '/plain' ? 'plain' : await ctx.session.inc('n'),
  )
  sessions.collection = async () => {
    const client = new MongoClient(uri, { serverSelectionTimeoutMS: 300, connectTimeoutMS: 300 })
    clients.push(client)
    await client.connect()
    return client.db(collection.dbName).collection(collection.collectionName) as MongoDBCollection
  }
  await assert.rejects(sessions.ensureIndex(), StoreUnavailableError)
  for (let time = 0; time < 5; time++) {
    assertUnavailable((await timing(visitor().get('/count'))).answer)
    assert.equal((await visitor().get('/plain')).status, 200)
  }
  await proxy.heal()
  const { json } = await eventually(
    () => visitor().get('/count'),
    ({ status }) => status === 200,
  )
  assert.deepEqual(json, { n: 1 })
  await sessions.ensureIndex()
})

test('a store that dies leaves no cookie and no half of a change', { skip }, async t => {
  const app = await aFaultyApp(t, {
    timeout: TOLERANCE,
    routes: {
      '/two': async ctx => {
        await ctx.session.set('first', true)
        await app.proxy.refuse()
        await ctx.session.set('second', true).inc('n')
      },
    },
  })
  const ada = await signedIn(app)
  const before = ada.jar.get('sid')
  assertUnavailable(await ada.get('/two'))
  const [error] = app.errors
  assert.ok(error instanceof StoreUnavailableError)
  const stranger = app.visitor()
  assertUnavailable(await stranger.get('/write'))
  assert.equal(stranger.jar.size, 0)
  await app.proxy.heal()
  const { json } = await eventually(
    () => ada.get('/read'),
    ({ status }) => status === 200,
  )
  assert.deepEqual(json, { name: 'Ada', first: true })
  assert.equal(ada.jar.get('sid'), before)
  assert.equal(await app.collection.countDocuments(), 1)
})

/** Milliseconds that this process has had, as it never sleeps from now on: what the machine gives to other programs does not count. */
function ownTime(t: TestContext): () => number {
  let next: NodeJS.Immediate
  const turn = () => {
    next = setImmediate(turn)
  }
  turn()
  t.after(() => clearImmediate(next))
  return () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
}

test('once the store is known to be down, requests are answered at once', { skip }, async t => {
  const app = await aFaultyApp(t)
  const ada = await signedIn(app)
  await app.proxy.refuse()
  await knownToBeDown(ada)
  let now = 0
  await eventually(
    async () => {
      now = performance.now()
      assertUnavailable(await ada.get('/read'))
      return app.errors.at(-1)
    },
    error => /is down/.test(String(error)),
  )
  app.errors.length = 0
  // By a clock that stands still, none of the requests is the one that asks whether the store is back.
  const clock = t.mock.method(performance, 'now', () => now)
  const spent = ownTime(t)
  const times: number[] = []
  const plain: number[] = []
  for (let time = 0; time < 100; time++) {
    const begun = spent()
    await ada.get('/plain')
    const between = spent()
    assertUnavailable(await ada.get(time % 2 ? '/read' : '/count'))
    plain.push(between - begun)
    times.push(spent() - between)
  }
  clock.mock.restore()
  // On a slow machine, a route that does nothing tells what 5 ms are, asked in turns.
  assert.ok(median(times) < Math.max(5, 3 * median(plain)), `${median(times)} ms, plain ${median(plain)} ms`)
  const refused = app.errors.filter(
    error => error instanceof StoreUnavailableError && /is down/.test(error.message),
  )
  assert.ok(refused.length > 90, `${refused.length}`)
  for (const error of refused) assert.equal((error as StoreUnavailableError).outcome, 'none')
})

test('jobs and admin pages too are answered at once while the store is down', { skip }, async t => {
  const app = await aFaultyApp(t, { user: 'name' })
  const ada = await signedIn(app)
  const [{ _id } = assert.fail()] = await app.collection.find().toArray()
  await app.proxy.refuse()
  await knownToBeDown(ada)
  // The one that asks whether the store is back, and waits.
  assertUnavailable(await ada.get('/read'))
  const { sessions } = app
  const begun = performance.now()
  for (const ask of [
    () => sessions.end(_id),
    () => sessions.endAll('Ada'),
    () => sessions.open(_id).get('name'),
    () => sessions.open(_id).set('name', 'Eve'),
  ]) {
    await assert.rejects(
      async () => ask(),
      (error: StoreUnavailableError) => error.outcome === 'none',
    )
  }
  // One of them may have been the one that asks whether the store is back.
  assert.ok(performance.now() - begun < TIMEOUT + TOLERANCE)
  await app.proxy.heal()
  const { json } = await eventually(
    () => ada.get('/read'),
    ({ status }) => status === 200,
  )
  assert.deepEqual(json, { name: 'Ada' })
})

test('other routes serve as ever while the store is down, and make no call', { skip }, async t => {
  const app = await aFaultyApp(t)
  const ada = await signedIn(app)
  const quiet = await timesOf(() => ada.get('/plain'))
  await app.proxy.refuse()
  const waiting = Array.from({ length: 200 }, () => app.visitor().get('/write'))
  const besides = await timesOf(() => ada.get('/plain'))
  for (const asked of waiting) assertUnavailable(await asked)
  // bench/outage.ts measures; here it is enough that nobody waits for the store.
  assert.ok(median(besides) < Math.max(10 * median(quiet), 50), `${median(quiet)}, ${median(besides)} ms`)
})

async function timesOf(ask: () => Promise<Answer>): Promise<number[]> {
  const times: number[] = []
  for (let time = 0; time < 50; time++) {
    const { answer, ms } = await timing(ask())
    assert.equal(answer.status, 200)
    times.push(ms)
  }
  return times
}

for (const [how, fail] of [
  ['refuses', (app: Faults) => app.proxy.refuse()],
  ['does not answer', async (app: Faults) => app.proxy.mute()],
  ['hangs', async (app: Faults) => app.proxy.stall()],
] as const) {
  test(`of 200 visitors who wait for a store that ${how}, the first is served within a second of its return, and soon all`, {
    skip,
  }, async t => {
    const app = await aFaultyApp(t)
    const visitors: Visitor[] = []
    while (visitors.length < 200) visitors.push(await signedIn(app))
    const cookies = visitors.map(({ jar }) => jar.get('sid'))
    await fail(app)
    // They go on asking, as pages that reload themselves do.
    let returned = Number.POSITIVE_INFINITY
    const served = visitors.map(async visitor => {
      for (;;) {
        const answer = await visitor.get('/count')
        if (answer.status === 200) return performance.now()
        assertUnavailable(answer)
        await delay(RELOAD)
      }
    })
    await knownToBeDown(visitors[0] as Visitor)
    await delay(3 * TIMEOUT)
    returned = performance.now()
    await app.proxy.heal()
    const first = (await Promise.race(served)) - returned
    assert.ok(first < 1000 + TOLERANCE, `the first after ${first} ms`)
    await Promise.all(served)
    assert.deepEqual(
      visitors.map(({ jar }) => jar.get('sid')),
      cookies,
    )
    for (const visitor of visitors) {
      const reader = app.patient.visitor().withCookiesOf(visitor)
      const { name, n } = (await reader.get('/read')).json as { name: string; n: number }
      assert.equal(name, 'Ada')
      assert.ok(n >= 1)
    }
  })
}

type Faults = Awaited<ReturnType<typeof aFaultyApp>>
