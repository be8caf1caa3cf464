import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { BSON } from 'mongodb'
import { mongoStore, SessionTooLargeError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, type Handler, onEachStore, test } from '../support/frameworks.ts'
import { aCollection, withoutMongoDB, withoutRealMongoDB } from '../support/mongodb/collection.ts'
import { type Watched, watched } from '../support/watchedstore.ts'

const MOST = 10_000

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set({ name: 'Ada', n: 1, list: [] }).then(() => undefined),
  '/set': ctx => ctx.session.set('text', 'x'.repeat(Number(ctx.query.bytes))).then(() => undefined),
  '/push': ctx => ctx.session.push('list', 'x'.repeat(Number(ctx.query.bytes))).then(() => undefined),
  '/push-loaded': async ctx => {
    const session = await ctx.session()
    await session.push('list', 'x'.repeat(Number(ctx.query.bytes)))
  },
  '/push-unawaited': ctx => {
    ctx.session.push('list', 'x'.repeat(Number(ctx.query.bytes)))
  },
  '/both': ctx => ctx.session.inc('n').set('text', 'x'.repeat(Number(ctx.query.bytes))),
  '/size': async ctx => BSON.calculateObjectSize({ ...(await ctx.session()) }),
  '/read': async ctx => Object.keys(await ctx.session()),
  '/get': ctx => ctx.session.get('name'),
  '/unset': ctx => ctx.session.unset('n'),
  '/take': ctx => ctx.session.take('name'),
  '/pop': ctx => ctx.session.pop('list'),
  '/pull': ctx => ctx.session.pull('list', 'y'),
  '/touch': ctx => ctx.session.touch('30d'),
  '/regenerate': ctx => ctx.session.regenerate({ keep: true }).then(() => undefined),
  '/destroy': ctx => ctx.session.destroy(),
}

async function aVisit(t: TestContext, { store }: Pick<Watched, 'store'>, maxSize = MOST) {
  const running = await anApp(t, { store, maxSize }, routes)
  const ada = running.visitor()
  await ada.get('/begin')
  return { ...running, ada }
}

onEachStore('a value that is too large is refused, and the session stays as it was', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched)
  const before = await watched.records()
  for (const path of ['/set', '/push', '/push-loaded', '/push-unawaited', '/both']) {
    const { status, text, setCookies } = await ada.get(`${path}?bytes=${MOST}`)
    assert.equal(status, 413, path)
    assert.equal(text, 'The session would become too large')
    assert.deepEqual(setCookies, [])
    assert.deepEqual(await watched.records(), before)
  }
  // Nor is a session made that is too large from the start.
  for (const path of ['/set', '/push', '/push-loaded', '/push-unawaited', '/both']) {
    const { status, setCookies } = await visitor().get(`${path}?bytes=${MOST}`)
    assert.equal(status, 413, path)
    assert.deepEqual(setCookies, [])
  }
  assert.deepEqual(await watched.records(), before)
})

onEachStore('without an option a session may hold a mebibyte', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const ada = visitor()
  const room = 2 ** 20 - BSON.calculateObjectSize({ text: '' })
  assert.equal((await ada.get(`/set?bytes=${room + 1}`)).status, 413)
  assert.equal((await ada.get(`/set?bytes=${room}`)).status, 200)
  assert.equal((await ada.get('/size')).json, 2 ** 20)
})

/** A visitor who fills a session until it is refused, and what they can do then. */
async function fillsIt(t: TestContext, watched: Watched): Promise<void> {
  const { ada, sessions } = await aVisit(t, watched)
  await sessions.ensureIndex()
  let pushed = 0
  while ((await ada.get('/push?bytes=1000')).status === 200) assert.ok(++pushed < 100, 'nothing is refused')
  assert.equal(pushed, 9)
  const full = await watched.records()
  for (const path of ['/push', '/push-loaded', '/push-unawaited', '/set', '/both']) {
    assert.equal((await ada.get(`${path}?bytes=1000`)).status, 413, path)
  }
  assert.deepEqual(await watched.records(), full)

  // To the byte.
  const size = (await ada.get('/size')).json as number
  const room = MOST - size - BSON.calculateObjectSize({ text: '' }) + BSON.calculateObjectSize({})
  assert.equal((await ada.get(`/set?bytes=${room + 1}`)).status, 413)
  assert.equal((await ada.get(`/set?bytes=${room}`)).status, 200)
  assert.equal((await ada.get('/size')).json, MOST)

  // What makes it no larger always works.
  for (const path of ['/read', '/get', '/touch', '/unset', '/take', '/pull', '/regenerate']) {
    assert.equal((await ada.get(path)).status, 200, path)
  }
  assert.equal((await ada.get('/set?bytes=10')).status, 200)
  assert.equal((await ada.get('/pop')).status, 200)
  assert.equal((await ada.get('/push?bytes=1000')).status, 200)
  const { status } = await ada.get('/destroy')
  assert.equal(status, 200)
  assert.deepEqual(await watched.records(), [])
}

test('a session is filled to the byte and no further, and can always be emptied (memory)', async t => {
  await fillsIt(t, watched(memoryStore()))
})

test('a session is filled to the byte and no further, and can always be emptied (MongoDB)', {
  skip: withoutRealMongoDB,
}, async t => {
  await fillsIt(t, watched(mongoStore({ collection: aCollection(t) })))
})

test('MongoDB measures inside the change: many who fill a session at once never pass its limit', {
  skip: withoutRealMongoDB,
}, async t => {
  const { ada, sessions } = await aVisitOnMongoDB(t)
  await sessions.ensureIndex()
  const answers = await Promise.all(Array.from({ length: 100 }, () => ada.twin().get('/push?bytes=1000')))
  for (const { status } of answers) assert.ok([200, 413, 503].includes(status), String(status))
  assert.ok(((await ada.get('/size')).json as number) <= MOST)
})

async function aVisitOnMongoDB(t: TestContext) {
  const running = await anApp(t, { maxSize: MOST }, routes)
  const collection = aCollection(t)
  running.sessions.collection = collection
  const ada = running.visitor()
  await ada.get('/begin')
  return { ...running, collection, ada }
}

test('where MongoDB is not known to measure, each value is held to the limit by itself', {
  skip: withoutMongoDB,
}, async t => {
  const { ada, collection } = await aVisitOnMongoDB(t)
  for (let times = 0; times < 12; times++) assert.equal((await ada.get('/push?bytes=1000')).status, 200)
  const before = await collection.findOne()
  for (const path of ['/set', '/push', '/push-loaded', '/push-unawaited', '/both']) {
    assert.equal((await ada.get(`${path}?bytes=${MOST}`)).status, 413, path)
  }
  assert.deepEqual(await collection.findOne(), before)
  for (const path of ['/read', '/get', '/touch', '/unset', '/take', '/pop', '/regenerate', '/destroy']) {
    assert.equal((await ada.get(path)).status, 200, path)
  }
})

onEachStore('what a job writes to a session is held to the same limit', async (t, watched) => {
  const { sessions } = await aVisit(t, watched)
  const [record] = await watched.records()
  const opened = sessions.open(record?.id ?? '')
  await assert.rejects(Promise.resolve(opened.set('text', 'x'.repeat(MOST))), SessionTooLargeError)
  await opened.set('text', 'x'.repeat(100))
  assert.deepEqual(
    (await watched.records()).map(({ fields }) => Object.keys(fields).sort()),
    [['list', 'n', 'name', 'text']],
  )
})

onEachStore('the cookie is as long for a large session as for a small one', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, routes)
  const [small, large] = [visitor(), visitor()]
  const [one] = (await small.get('/set?bytes=1')).setCookies
  const [other] = (await large.get('/set?bytes=100000')).setCookies
  assert.equal(one?.length, other?.length)
  assert.ok((one?.length ?? Infinity) < 300)
})
