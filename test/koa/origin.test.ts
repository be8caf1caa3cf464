import assert from 'node:assert/strict'
import { test } from 'node:test'
import Koa from 'koa'
import convert from 'koa-convert'
import { ObjectId } from 'mongodb'
import Session, { InvalidCSRFTokenError, type LoadedSession } from '../../src/index.ts'
import { anApp, answering, KEY, listening } from '../support/app.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import { onEachStore } from '../support/watchedstore.ts'

const MONTH = 30.4375 * 24 * 60 * 60 * 1000
const DAY = 24 * 60 * 60 * 1000

interface Stored {
  _id: string
  expires: Date
  data: Record<string, unknown>
}

/** Milliseconds from now until the cookie of a `Set-Cookie` line ends. */
function lifeOf(line: string | undefined): number {
  return Date.parse(/expires=([^;]+)/i.exec(line ?? '')?.[1] ?? '') - Date.now()
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 10_000, `${actual} is not about ${expected}`)
}

test('the usage of 1.0.0 works as its README has it', { skip: withoutMongoDB }, async t => {
  const collection = aCollection<Stored>(t)
  const app = new Koa()
  app.keys = [KEY]
  const MongoDBSession = Session(app, { maxAge: '1 month' })
  const user = new ObjectId()
  app.use(
    convert(function* (this: Koa.Context) {
      const session: LoadedSession = yield this.session()
      yield session.unset('user_id')
      yield session.set('user_id', user).then(session.update)
      this.body = String(session.user_id)
    }),
  )
  const { visitor } = await listening(t, app)
  MongoDBSession.collection = collection
  const indexed = MongoDBSession.ensureIndex()

  const ada = visitor()
  const first = await ada.get('/')
  assert.equal(first.status, 200)
  assert.equal(first.text, user.toHexString())
  near(lifeOf(first.setCookies[0]), MONTH)
  const again = await ada.get('/')
  assert.equal(again.text, user.toHexString())
  const stored = await collection.find().toArray()
  assert.equal(stored.length, 1)
  assert.deepEqual(stored[0]?.data, { user_id: user })
  await indexed
})

onEachStore('a cookie has the name given as `key`', async (t, { store }) => {
  const { visitor } = await anApp(t, { store, key: 'basket' }, ctx => ctx.session.set('a', 1))
  const { setCookies } = await visitor().get('/')
  assert.match(setCookies[0] ?? '', /^basket=/)
})

onEachStore('a session lives for 14 days where nothing else is said', async (t, { store, records }) => {
  const { visitor } = await anApp(t, { store }, ctx => ctx.session.set('a', 1))
  const { setCookies } = await visitor().get('/')
  near(lifeOf(setCookies[0]), 14 * DAY)
  const [record] = await records()
  near((record?.expires.getTime() ?? 0) - Date.now(), 14 * DAY)
})

onEachStore('a session is grabbed with ctx.session().then(session => …)', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('message', 'hello'),
      '/read': ctx => ctx.session().then(session => session.message),
    },
  )
  const ada = visitor()
  await ada.get('/write')
  assert.equal((await ada.get('/read')).json, 'hello')
})

onEachStore('touch().then(session => …) gives the session a new end of life', async (t, watched) => {
  const { store, records } = watched
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('a', 1),
      '/touch': async ctx => {
        const session = await ctx.session()
        return session.touch().then(touched => [touched === session, touched.expires])
      },
    },
  )
  const ada = visitor()
  await ada.get('/write')
  const soon = new Date(Date.now() + 60_000)
  const [before] = await records()
  await store.update(before?.id ?? '', { guards: [], operations: [], expires: soon })

  const [same, expires] = (await ada.get('/touch')).json as [boolean, string]
  assert.ok(same)
  near(Date.parse(expires) - Date.now(), 14 * DAY)
  const [after] = await records()
  assert.equal(after?.expires.toISOString(), expires)
})

onEachStore('a command with .then(session.update) brings the session up to date', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, async ctx => {
    const session = await ctx.session()
    const updated = await session.set('message', 'hello').then(session.update)
    assert.equal(session.message, 'hello')
    assert.equal(updated, session)
    return session.message
  })
  assert.equal((await visitor().get('/')).json, 'hello')
})

onEachStore('update() reads what another request has written', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('n', 1),
      '/other': ctx => ctx.session.set('n', 2),
      '/read': async ctx => {
        const session = await ctx.session()
        const before = session.n
        await ada.twin().get('/other')
        const unaware = session.n
        return session.update().then(updated => [before, unaware, updated.n])
      },
    },
  )
  const ada = visitor()
  await ada.get('/write')
  assert.deepEqual((await ada.get('/read')).json, [1, 1, 2])
})

onEachStore('destroy().then(…) ends the session without creating a new one', async (t, watched) => {
  const { store, records } = watched
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('a', 1),
      '/destroy': async ctx => {
        const session = await ctx.session()
        return session.destroy().then(() => 'gone')
      },
      '/read': async ctx => ({ ...(await ctx.session()) }),
    },
  )
  const ada = visitor()
  await ada.get('/write')
  const { json, setCookies } = await ada.get('/destroy')
  assert.equal(json, 'gone')
  assert.equal(setCookies.length, 1)
  assert.match(setCookies[0] ?? '', /^sid=; .*expires=Thu, 01 Jan 1970/)
  assert.deepEqual(await records(), [])
  assert.deepEqual((await ada.get('/read')).json, {})
})

onEachStore('regenerate().then(session => …) gives a brand-new session', async (t, watched) => {
  const { store, records } = watched
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('a', 1),
      '/regenerate': async ctx => {
        const session = await ctx.session()
        const old = session.id
        return session.regenerate().then(fresh => ({ old, id: fresh.id, fields: { ...fresh } }))
      },
    },
  )
  const ada = visitor()
  await ada.get('/write')
  const cookie = ada.jar.get('sid')
  const { old, id, fields } = (await ada.get('/regenerate')).json as Record<string, unknown>
  assert.notEqual(id, old)
  assert.deepEqual(fields, {})
  assert.notEqual(ada.jar.get('sid'), cookie)
  assert.deepEqual(
    (await records()).map(record => record.id),
    [id],
  )
})

onEachStore('a CSRF token is made at once and asserted at once', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/form': async ctx => {
        const session = await ctx.session()
        const csrf = session.createCSRF()
        session.assertCSRF(csrf)
        assert.throws(() => session.assertCSRF(`${csrf}x`), InvalidCSRFTokenError)
        return csrf
      },
      '/submit': async ctx => {
        const session = await ctx.session()
        session.assertCSRF(ctx.get('x-csrf-token'))
      },
    },
  )
  const ada = visitor()
  const csrf = (await ada.get('/form')).json as string
  assert.equal((await ada.get('/submit', { 'x-csrf-token': csrf })).status, 200)
  assert.equal((await ada.get('/submit', { 'x-csrf-token': 'guess' })).status, 403)
})

test('ensureIndex() has MongoDB remove what has expired, however often it is called', {
  skip: withoutMongoDB,
}, async t => {
  const collection = aCollection<Stored>(t)
  const sessions = Session(new Koa())
  sessions.collection = collection
  await sessions.ensureIndex().then(() => sessions.ensureIndex())
  const onExpires = (await collection.indexes()).filter(({ key }) => 'expires' in key)
  assert.equal(onExpires.length, 1)
  assert.equal(onExpires[0]?.expireAfterSeconds, 0)
})

test('the collection may be set while the app is running', { skip: withoutMongoDB }, async t => {
  const { sessions, visitor } = await anApp(
    t,
    {},
    {
      '/write': ctx => ctx.session.set('a', 1),
      '/plain': () => 'plain',
    },
  )
  const ada = visitor()
  assert.equal((await ada.get('/write')).status, 503)
  assert.equal((await ada.get('/plain')).status, 200)
  sessions.collection = aCollection<Stored>(t)
  assert.equal((await ada.get('/write')).status, 200)
})

onEachStore('the commands of 1.0.0 work in generators', async (t, { store }) => {
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store })
  app.use(
    answering(
      convert(function* (this: Koa.Context) {
        const session: LoadedSession = yield this.session()
        yield session.set('name', 'Ada')
        yield session.set('tags', ['tea', 'milk', 'sugar'])
        yield session.rename('name', 'first_name')
        yield session.pull('tags', 'milk')
        yield session.addToSet('tags', 'tea', 'rum')
        yield session.set('gone', true)
        yield session.unset('gone')
        yield [session.inc('views'), session.inc('views')]
        const { views }: { views: number } = yield this.session.inc('views')
        this.body = { ...session, views }
      }),
    ),
  )
  const { visitor } = await listening(t, app)
  const { text } = await visitor().get('/')
  assert.deepEqual(JSON.parse(text), { first_name: 'Ada', tags: ['tea', 'sugar', 'rum'], views: 3 })
})
