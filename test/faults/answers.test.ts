import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Document, MongoClientOptions } from 'mongodb'
import { StoreUnavailableError } from '../../src/index.ts'
import type { Handler } from '../support/app.ts'
import { aFaultyApp, eventually, type FaultyApp, signedIn, TOLERANCE } from '../support/faultyapp.ts'
import { Random } from '../support/linearizability/random.ts'
import { commandsOf, theClient, withoutMongoDB, withoutReplicaSet } from '../support/mongodb/collection.ts'
import { type Alter, altering } from '../support/mongodb/wire.ts'
import { repeatedly } from '../support/repeatedly.ts'

const skip = withoutMongoDB

/** What became of a change, as the app tells its visitors here. */
type Told = { readonly done: true } | { readonly outcome: StoreUnavailableError['outcome'] }

/** A route that says what is known of its change. */
function telling(act: Handler): Handler {
  return async (ctx, next): Promise<Told> => {
    try {
      await act(ctx, next)
      return { done: true }
    } catch (error) {
      if (error instanceof StoreUnavailableError) return { outcome: error.outcome }
      throw error
    }
  }
}

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set('n', 0),
  '/inc': telling(ctx => ctx.session.inc('n')),
  '/inc-unasked': telling(async ctx => {
    await ctx.session.inc('n').then(() => undefined)
  }),
  '/push': telling(ctx => ctx.session.push('list', 'x')),
  '/set': telling(ctx => ctx.session.set('last', 'x')),
  '/end': telling(ctx => ctx.session.destroy()),
}

/** For a driver that has to connect again in time, however busy the machine is. */
const patient: MongoClientOptions = {
  serverSelectionTimeoutMS: TOLERANCE,
  connectTimeoutMS: TOLERANCE,
  waitQueueTimeoutMS: TOLERANCE,
}

async function fieldsIn({ collection }: FaultyApp): Promise<Document> {
  const [document] = await collection.find().toArray()
  return (document as Document | undefined)?.data ?? assert.fail('there is no session')
}

test('a connection that dies while nobody uses it costs nobody a change', { skip }, async t => {
  const app = await aFaultyApp(t, { routes, timeout: TOLERANCE, client: patient })
  const ada = await signedIn(app, '/begin')
  for (let time = 1; time <= 3; time++) {
    const noticed = once(app.client, 'connectionClosed')
    await app.proxy.cut()
    // The oldest drivers say nothing of it until they look for a connection; they know before other requests are answered.
    await Promise.race([noticed, ada.get('/plain').then(() => ada.get('/plain'))])
    assert.deepEqual((await ada.get('/inc')).json, { done: true })
    assert.equal((await fieldsIn(app)).n, time)
  }
})

test('of 300 increments over a line that is cut now and then, each that was acknowledged is there, and none twice', {
  skip,
}, async t => {
  const seed = Date.now() % 1_000_000
  const random = new Random(seed)
  const app = await aFaultyApp(t, { routes })
  const ada = await signedIn(app, '/begin')
  let answers = 0
  // Some are lost whatever the random numbers are.
  app.proxy.loseAnswers(() => ++answers % 40 === 0 || random.chance(0.03))
  const told: Told[] = []
  const clients = Array.from({ length: 10 }, async () => {
    for (let time = 0; time < 30; time++) told.push((await ada.get('/inc')).json as Told)
  })
  await Promise.all(clients)
  await app.proxy.heal()
  const done = told.filter(one => 'done' in one).length
  const unknown = told.filter(one => 'outcome' in one && one.outcome === 'unknown').length
  assert.ok(done > 0 && unknown > 0, `seed ${seed}: ${done} done, ${unknown} unknown`)
  const { n } = await fieldsIn(app)
  assert.ok(done <= n && n <= done + unknown, `seed ${seed}: ${n} with ${done} done, ${unknown} unknown`)
})

for (const [path, applied] of [
  ['/inc', (fields: Document) => fields.n === 1],
  ['/push', (fields: Document) => fields.list?.length === 1],
  ['/set', (fields: Document) => fields.last === 'x'],
  ['/end', (fields: Document | undefined) => fields === undefined],
] as const) {
  test(`a change whose answer is lost may have been made, says so, and is made once at most: ${path}`, {
    skip,
  }, async t => {
    const app = await aFaultyApp(t, { routes })
    const ada = await signedIn(app, '/begin')
    const sent = commandsOf(t, app.client, app.collection)
    app.proxy.cutAnswersAfter(0)
    const { json, setCookies } = await ada.get(path)
    assert.deepEqual(json, { outcome: 'unknown' })
    assert.deepEqual(setCookies, [])
    const writes = sent.names().filter(name => name === 'update' || name === 'findAndModify')
    assert.equal(writes.length, 1)
    // The server may still be at it: the proxy cuts when its answer comes.
    const document = await eventually(
      () => app.collection.findOne() as Promise<Document | null>,
      found => applied(found?.data),
    )
    assert.ok(document)
    await app.proxy.heal()
    const read = await eventually(
      () => ada.get('/read'),
      ({ status }) => status === 200,
    )
    assert.equal(path === '/end', Object.keys(read.json as object).length === 0)
  })
}

test('half an answer is no answer', { skip }, async t => {
  for (const bytes of [1, 15, 20, 40]) {
    const app = await aFaultyApp(t, { routes, timeout: TOLERANCE })
    const ada = await signedIn(app, '/begin')
    app.proxy.cutAnswersAfter(bytes)
    assert.deepEqual((await ada.get('/inc')).json, { outcome: 'unknown' })
    await app.proxy.heal()
    const { json } = await eventually(
      () => ada.get('/read'),
      ({ status }) => status === 200,
    )
    assert.deepEqual(json, { n: 1 })
  }
})

/** Alters the answer to each change, once `begun` says so. */
function toChanges(begun: () => boolean, answer: (original: Document) => Document): Alter {
  return (original, { findAndModify, update, insert }) =>
    begun() && (findAndModify ?? update ?? insert) !== undefined ? answer(original) : undefined
}

const notConfirmed = { code: 64, codeName: 'WriteConcernFailed', errmsg: 'waiting for replication timed out' }

test('what the server did and the others did not confirm is no success, and is not done again', {
  skip,
}, async t => {
  let fails = false
  const alter = toChanges(
    () => fails,
    original => ({ ...original, writeConcernError: notConfirmed }),
  )
  const app = await aFaultyApp(t, { routes, timeout: TOLERANCE, tap: altering(alter) })
  const ada = await signedIn(app, '/begin')
  fails = true
  for (let time = 1; time <= 3; time++) {
    assert.deepEqual((await ada.get('/inc')).json, { outcome: 'unknown' })
    assert.equal((await fieldsIn(app)).n, time)
  }
  assert.deepEqual((await ada.get('/inc-unasked')).json, { outcome: 'unknown' })
  assert.equal((await fieldsIn(app)).n, 4)
  const stranger = app.visitor()
  const { status, setCookies } = await stranger.get('/write')
  assert.equal(status, 503)
  assert.deepEqual(setCookies, [])
  // Reading goes on: the server is there. Only if it was slow to say so, the app does not ask it for a while.
  const { json } = await eventually(
    () => ada.get('/read'),
    ({ status }) => status === 200,
  )
  assert.deepEqual(json, { n: 4 })
})

const refusals: [what: string, refusal: Document, outcome: string][] = [
  ['is no primary any more', { code: 10107, codeName: 'NotWritablePrimary' }, 'unknown'],
  ['is going down', { code: 91, codeName: 'ShutdownInProgress' }, 'unknown'],
  [
    'says that nothing was written',
    { code: 91, codeName: 'ShutdownInProgress', errorLabels: ['NoWritesPerformed'] },
    'none',
  ],
  [
    'no longer knows what came of a repeated write',
    { code: 217, codeName: 'IncompleteTransactionHistory' },
    'unknown',
  ],
  ['has a full disk', { code: 14031, codeName: 'OutOfDiskSpace' }, 'unknown'],
  ['lets the app do nothing', { code: 13, codeName: 'Unauthorized' }, 'unknown'],
]

for (const [what, refusal, outcome] of refusals) {
  test(`a server that ${what} makes sessions unavailable, and is no error of the app’s`, {
    skip,
  }, async t => {
    let fails = false
    const alter = toChanges(
      () => fails,
      () => ({ ok: 0, errmsg: 'no', ...refusal }),
    )
    const app = await aFaultyApp(t, { routes, tap: altering(alter) })
    const ada = await signedIn(app, '/begin')
    fails = true
    assert.deepEqual((await ada.get('/inc')).json, { outcome })
    fails = false
    const { json } = await eventually(
      () => ada.get('/inc'),
      ({ json }) => 'done' in (json as Told),
    )
    assert.deepEqual(json, { done: true })
  })
}

/** What a primary says of itself and the test server does not. The driver then tries a write once more. */
const primary: Alter = (original, command) =>
  'isMaster' in command || 'ismaster' in command || 'hello' in command
    ? { ...original, setName: 'rs', hosts: [], secondary: false, logicalSessionTimeoutMinutes: 30 }
    : undefined

test('a write that the driver tries once more in vain may have been made the first time', {
  skip: skip || (!withoutReplicaSet && 'only on a server that is alone, which this one says of itself'),
}, async t => {
  const app = await aFaultyApp(t, { routes, tap: altering(primary) })
  const ada = await signedIn(app, '/begin')
  await ada.get('/inc')
  const sent = commandsOf(t, app.client, app.collection)
  app.proxy.loseAnswers(() => {
    app.proxy.refuse()
    return true
  })
  const { json } = await ada.get('/inc')
  // What the driver throws is that no server could be selected, which by itself would say that nothing was sent.
  const [error] = sent.all
  assert.ok(error?.command.txnNumber, 'the driver did not take the server for a primary')
  assert.deepEqual(json, { outcome: 'unknown' })
  assert.equal((await fieldsIn(app)).n, 2)
})

test('when the primary steps down, what was acknowledged is there afterwards', {
  skip: withoutReplicaSet,
}, async t => {
  const app = await aFaultyApp(t, { routes, client: { directConnection: false } })
  const ada = await signedIn(app, '/begin')
  let done = 0
  let unknown = 0
  const stops = Array.from({ length: 10 }, () =>
    repeatedly(t, async () => {
      const told = (await ada.get('/inc')).json as Told
      if ('done' in told) done++
      else if (told.outcome === 'unknown') unknown++
    }),
  )
  await theClient().db('admin').command({ replSetStepDown: 2, force: true })
  const before = done
  await eventually(
    async () => done,
    now => now > before + 100,
  )
  await Promise.all(stops.map(stop => stop()))
  const { n } = await fieldsIn(app)
  assert.ok(done <= n && n <= done + unknown, `${n} with ${done} done, ${unknown} unknown`)
})
