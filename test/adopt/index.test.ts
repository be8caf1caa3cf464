import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import MongoStore from 'connect-mongo'
import express from 'express'
import session from 'express-session'
import Koa from 'koa'
import { createSession } from 'koa-session'
import {
  type Adopter,
  connectMongo,
  expressSession,
  koaGenericSession,
  koaSession,
} from '../../src/adopt/index.ts'
import { ConfigurationError, type Store, StoreUnavailableError } from '../../src/index.ts'
import type { SessionRecord } from '../../src/store/record.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, answering, KEY, listening, type Routes, type RunningApp } from '../support/app.ts'
import { aKoaSessionStore, base64, koaCookies } from '../support/koasession.ts'
import { aCollection, theClient, withoutMongoDB } from '../support/mongodb/collection.ts'
import { Visitor } from '../support/visitor.ts'
import { altered, watched } from '../support/watchedstore.ts'

const require = createRequire(import.meta.url)

/** The package has no types. */
const genericSession = require('koa-generic-session') as (options: object) => Koa.Middleware

const HOUR = 60 * 60 * 1000
const OLD_KEY = 'a key of the app as it was before, known to the tests only'

/** What visitors had in the other library's session. */
const held = {
  user: 'ada',
  cart: [{ sku: 'tea', count: 2 }],
  'prefs-of-mine': { dark: true, size: 1.5, none: null },
}

const routes: Routes = {
  '/noop': () => 'nothing',
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/get': ctx => ctx.session.get('user'),
  '/write': ctx => ctx.session.set('more', 1),
  '/destroy': ctx => ctx.session.destroy(),
  '/caught': async ctx => {
    await ctx.session.set('more', 1).catch(() => {})
    return 'caught'
  },
  '/csrf': ctx => ctx.session.createCSRF(),
  '/fail': async ctx => {
    await ctx.session()
    ctx.throw(400)
  },
}

interface Adopting extends RunningApp {
  readonly calls: string[]
  /** Somebody who comes to this app with the cookies of another. */
  movedFrom(other: Visitor): Visitor
}

/** An app as it is after the change, which carries visitors over. */
async function anAdoptingApp(
  t: TestContext,
  adopt: Adopter,
  inner: Store = memoryStore({ clock: () => Date.now() }),
): Promise<Adopting> {
  const { store, calls } = watched(inner)
  const running = await anApp(t, { store, adopt }, routes)
  return {
    ...running,
    calls,
    movedFrom(other) {
      return running.visitor().withCookiesOf(other)
    },
  }
}

/** A visitor with a session of the app as it was before: Koa with other sessions. */
async function aKoaVisitor(
  t: TestContext,
  sessions: (app: Koa) => Koa.Middleware,
  { data = held, keys = [KEY] }: { data?: object; keys?: string[] } = {},
): Promise<Visitor> {
  const app = new Koa()
  app.keys = keys
  app.use(sessions(app))
  app.use(
    answering({
      '/fill': ctx => void Object.assign(ctx.session as object, data),
      '/read': ctx => ({ ...JSON.parse(JSON.stringify(ctx.session)) }),
    }),
  )
  const { visitor } = await listening(t, app)
  const ada = visitor()
  await ada.get('/fill')
  return ada
}

/** The same with Express. */
async function anExpressVisitor(t: TestContext, options: session.SessionOptions): Promise<Visitor> {
  const app = express()
  app.use(session(options))
  app.get('/fill', (request, response) => {
    Object.assign(request.session, held)
    response.end()
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const visitor = new Visitor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(() => {
    visitor.leave()
    server.closeAllConnections()
    server.close()
  })
  await visitor.get('/fill')
  return visitor
}

/**
 * What holds for every library: the data comes along with whatever is done first, the other cookie is cleared, and a
 * copy of it is worth nothing once ours has ended.
 */
async function assertCarriedOver(
  t: TestContext,
  adopt: Adopter,
  before: () => Promise<Visitor>,
  key: string,
) {
  const running = await anAdoptingApp(t, adopt)
  for (const path of ['/read', '/get', '/write']) {
    const old = await before()
    assert.ok(old.jar.has(key), 'the other library sets its cookie')
    const ada = running.movedFrom(old)
    running.calls.length = 0
    assert.deepEqual((await ada.get('/noop')).setCookies, [])
    assert.deepEqual(running.calls, [])

    const first = await ada.get(path)
    assert.equal(first.status, 200, first.text)
    if (path === '/read') assert.deepEqual(first.json, held)
    if (path === '/get') assert.equal(first.json, 'ada')
    assert.deepEqual([...ada.jar.keys()], ['sid'], path)
    assert.deepEqual((await ada.get('/read')).json, path === '/write' ? { ...held, more: 1 } : held)
    assert.equal(running.calls.filter(name => name === 'insert').length, 1)

    await ada.get('/destroy')
    assert.equal(ada.jar.size, 0)
    assert.deepEqual((await ada.get('/read')).json, {})
  }
  const nobody = running.visitor()
  const answer = await nobody.get('/read')
  assert.deepEqual(answer.json, {})
  assert.deepEqual(answer.setCookies, [])
  assert.deepEqual(running.errors, [])
}

/** For libraries that keep sessions in a store: the other session is gone for whoever has a copy of its cookie. */
async function assertGone(t: TestContext, adopt: Adopter, old: Visitor) {
  const running = await anAdoptingApp(t, adopt)
  const [ada, copy] = [running.movedFrom(old), running.movedFrom(old)]
  assert.deepEqual((await ada.get('/read')).json, held)
  assert.deepEqual((await copy.get('/read')).json, {})
  assert.deepEqual((await ada.get('/read')).json, held)
}

/** Every letter of the other cookies changed in turn, and what is left when one of them is missing. */
async function assertForgeriesRefused(t: TestContext, adopt: Adopter, old: Visitor) {
  const running = await anAdoptingApp(t, adopt)
  const forged: [string, string][][] = []
  const cookies = [...old.jar]
  for (const [name, value] of cookies) {
    if (cookies.length > 1) forged.push(cookies.filter(([other]) => other !== name))
    for (let at = 0; at < value.length; at += 3) {
      const changed = value.slice(0, at) + (value[at] === 'z' ? 'y' : 'z') + value.slice(at + 1)
      forged.push(cookies.map(([other, kept]) => [other, other === name ? changed : kept]))
    }
    for (const changed of ['', 'x', value.slice(0, -1), `${value}a`, '%', 's%3A', 's%3A.', 's:.', 'null']) {
      forged.push(cookies.map(([other, kept]) => [other, other === name ? changed : kept]))
    }
  }
  await Promise.all(
    forged.map(async pairs => {
      const Cookie = pairs.map(([name, value]) => `${name}=${value}`).join('; ')
      const { status, text } = await running.visitor().get('/read', { Cookie })
      assert.equal(status, 200, Cookie)
      assert.equal(text, '{}', Cookie)
    }),
  )
  assert.deepEqual(running.calls, [])
  // Whom the cookie belongs to is none the worse for it.
  assert.deepEqual((await running.movedFrom(old).get('/read')).json, held)
}

/** A cookie as koa-session itself would have signed it. */
function koaCookie(...cookie: Parameters<typeof koaCookies>): { Cookie: string } {
  return {
    Cookie: koaCookies(...cookie)
      .map(pair => pair.join('='))
      .join('; '),
  }
}

/** A cookie as express-session itself would have signed it. */
function expressCookie(id: string): { Cookie: string } {
  const signature = createHmac('sha256', KEY).update(id).digest('base64').replace(/=+$/, '')
  return { Cookie: `connect.sid=${encodeURIComponent(`s:${id}.${signature}`)}` }
}

/** A store as koa-generic-session takes it. */
function aGenericStore() {
  const records = new Map<string, object>()
  return {
    records,
    get: async (key: string) => records.get(key),
    set: async (key: string, data: object) => void records.set(key, JSON.parse(JSON.stringify(data))),
    destroy: async (key: string) => void records.delete(key),
  }
}

function memoryOfExpress() {
  const store = new session.MemoryStore()
  return {
    store,
    load: promisify(store.get.bind(store)) as (id: string) => Promise<unknown>,
    destroy: promisify(store.destroy.bind(store)) as (id: string) => Promise<unknown>,
  }
}

const expressOptions = { secret: KEY, resave: false, saveUninitialized: false } as const

test('a visitor of koa-session, whose session was the cookie, is carried over', async t => {
  const before = () => aKoaVisitor(t, app => createSession({}, app))
  await assertCarriedOver(t, koaSession(), before, 'koa.sess')
  await assertForgeriesRefused(t, koaSession(), await before())
})

test('a visitor of koa-session with a store is carried over, and the stored session is gone', async t => {
  const store = aKoaSessionStore()
  const before = () => aKoaVisitor(t, app => createSession({ store, key: 'old' }, app))
  const adopt = koaSession({ store, key: 'old' })
  await assertCarriedOver(t, adopt, before, 'old')
  assert.equal(store.records.size, 0)
  await assertGone(t, adopt, await before())
  await assertForgeriesRefused(t, adopt, await before())
  assert.equal(store.records.size, 0)
})

test('a session of koa-session that ends with the browser is carried over', async t => {
  const before = () => aKoaVisitor(t, app => createSession({ maxAge: 'session' }, app))
  await assertCarriedOver(t, koaSession(), before, 'koa.sess')
})

test('koa-session may have had other keys and a coding of its own', async t => {
  const encode = (data: object) => Buffer.from(JSON.stringify(data)).toString('hex')
  const decode = (text: string) => JSON.parse(Buffer.from(text, 'hex').toString()) as object
  const keys = ['a newer one of those keys, which signed', OLD_KEY]
  const before = () =>
    aKoaVisitor(t, app => createSession({ encode, decode }, app), { keys: keys.slice().reverse() })
  const adopt = koaSession({ keys, decode })
  await assertCarriedOver(t, adopt, before, 'koa.sess')
  await assertForgeriesRefused(t, adopt, await before())
  const running = await anAdoptingApp(t, adopt)
  // The app's own key is none of the other library's.
  const { json } = await running.visitor().get('/read', koaCookie(encode(held)))
  assert.deepEqual(json, {})
})

test('a visitor of koa-generic-session is carried over, and the stored session is gone', async t => {
  const store = aGenericStore()
  const before = () => aKoaVisitor(t, () => genericSession({ store }))
  const adopt = koaGenericSession({ store })
  await assertCarriedOver(t, adopt, before, 'koa.sid')
  assert.equal(store.records.size, 0)
  await assertGone(t, adopt, await before())
  await assertForgeriesRefused(t, adopt, await before())
})

test('koa-generic-session may have had another name, prefix and other keys', async t => {
  const store = aGenericStore()
  const before = () =>
    aKoaVisitor(t, () => genericSession({ store, key: 'old', prefix: 'p:' }), { keys: [OLD_KEY] })
  await assertCarriedOver(
    t,
    koaGenericSession({ store, key: 'old', prefix: 'p:', keys: [OLD_KEY] }),
    before,
    'old',
  )
})

test('a visitor of express-session is carried over, and the stored session is gone', async t => {
  const { store, load, destroy } = memoryOfExpress()
  const before = () => anExpressVisitor(t, { ...expressOptions, store })
  const adopt = expressSession({ secret: KEY, load, destroy })
  await assertCarriedOver(t, adopt, before, 'connect.sid')
  await assertGone(t, adopt, await before())
  await assertForgeriesRefused(t, adopt, await before())
})

test('expressSession without a secret, with which anybody could sign, is refused at once', () => {
  const { load, destroy } = memoryOfExpress()
  for (const secret of [undefined, '', [], ['', KEY], [KEY, ''], 5]) {
    assert.throws(
      () => expressSession({ secret: secret as string, load, destroy }),
      (error: Error) => error instanceof ConfigurationError && error.message.includes('secret'),
      JSON.stringify(secret),
    )
  }
})

test('express-session may have had several secrets and another name', async t => {
  const { store, load, destroy } = memoryOfExpress()
  const before = () => anExpressVisitor(t, { ...expressOptions, secret: OLD_KEY, name: 'old', store })
  await assertCarriedOver(
    t,
    expressSession({ secret: [KEY, OLD_KEY], key: 'old', load, destroy }),
    before,
    'old',
  )
})

for (const stringify of [true, false]) {
  const kept = stringify ? 'JSON' : 'documents'
  test(`a visitor of express-session with connect-mongo, which kept ${kept}, is carried over`, {
    skip: withoutMongoDB,
  }, async t => {
    const collection = aCollection<{ _id: string }>(t)
    const place = { client: theClient(), dbName: 'tests', collectionName: collection.collectionName }
    const store = MongoStore.create({ ...place, stringify })
    const before = () => anExpressVisitor(t, { ...expressOptions, store })
    const adopt = expressSession({ secret: KEY, ...connectMongo({ collection }) })
    await assertCarriedOver(t, adopt, before, 'connect.sid')
    assert.equal(await collection.countDocuments(), 0)
    await assertGone(t, adopt, await before())
    await assertForgeriesRefused(t, adopt, await before())

    const old = await before()
    await collection.updateMany({}, { $set: { expires: new Date(Date.now() - 1000) } })
    const running = await anAdoptingApp(t, adopt)
    assert.deepEqual((await running.movedFrom(old).get('/read')).json, {})
  })
}

test('an expired session is not carried over', async t => {
  const past = Date.now() - 1000
  const cookieOf = (expires: unknown) => ({ cookie: { originalMaxAge: HOUR, expires, path: '/' } })
  const stored = (data: object) => ({ get: () => data, load: () => data, destroy() {} })
  const byExpress = expressCookie('an-id')
  const cases: [Adopter, { Cookie: string }][] = [
    [koaSession(), koaCookie(base64({ ...held, _expire: past, _maxAge: HOUR }))],
    [koaSession({ store: stored({ ...held, _expire: past }) }), koaCookie('an-id')],
  ]
  for (const expires of [new Date(past), new Date(past).toISOString(), past]) {
    const store = stored({ ...held, ...cookieOf(expires) })
    cases.push([koaGenericSession({ store }), koaCookie('an-id', 'koa.sid')])
    cases.push([expressSession({ secret: KEY, ...store }), byExpress])
  }
  for (const [adopt, headers] of cases) {
    const { visitor, calls } = await anAdoptingApp(t, adopt)
    const { status, json } = await visitor().get('/read', headers)
    assert.equal(status, 200)
    assert.deepEqual(json, {})
    assert.deepEqual(calls, [])
  }
  // The same, not expired, is.
  const later = stored({ ...held, ...cookieOf(new Date(Date.now() + HOUR).toISOString()) })
  const { visitor } = await anAdoptingApp(t, expressSession({ secret: KEY, ...later }))
  assert.deepEqual((await visitor().get('/read', byExpress)).json, held)
})

test('what a session cannot hold stays behind, and the rest comes along', async t => {
  const data = {
    ...held,
    _expire: Date.now() + HOUR,
    _maxAge: HOUR,
    _session: true,
    _secret: 'a token of csrf’s',
    id: 5,
    destroy: 'a name of ours',
    toString: 'x',
    'a.b': 1,
    $set: 1,
    '': 1,
    ['x'.repeat(200)]: 1,
    nul: { 'a\0b': 1 },
    operator: { $gt: 1 },
    dotted: { 'a.b': 1 },
    type: { _bsontype: 'ObjectId' },
    deep: JSON.parse('['.repeat(70) + ']'.repeat(70)),
  }
  const text = JSON.stringify(data).replace(
    /}$/,
    ',"then":1,"__proto__":{"isAdmin":1},"constructor":{"prototype":{"x":1}}}',
  )
  const stored = { get: () => JSON.parse(text), load: () => text, destroy() {} }
  const byExpress = expressCookie('an-id')
  const cases: [Adopter, { Cookie: string }][] = [
    [koaSession(), koaCookie(Buffer.from(text).toString('base64'))],
    [koaSession({ store: stored }), koaCookie('an-id')],
    [koaGenericSession({ store: stored }), koaCookie('an-id', 'koa.sid')],
    [expressSession({ secret: KEY, ...stored }), byExpress],
  ]
  for (const [adopt, headers] of cases) {
    const { visitor } = await anAdoptingApp(t, adopt)
    const { status, json } = await visitor().get('/read', headers)
    assert.equal(status, 200)
    assert.deepEqual(json, held)
  }
  assert.equal(({} as { isAdmin?: unknown }).isAdmin, undefined)
})

test('a signed cookie of what is no session is no session, and no error', async t => {
  const strange = [
    '',
    '!',
    'bnVsbA==',
    base64('text'),
    base64(5),
    base64([1]),
    base64({}),
    base64(null),
    'e30x',
  ]
  const { visitor, errors, calls } = await anAdoptingApp(t, koaSession())
  for (const value of strange) {
    const { status, json } = await visitor().get('/read', koaCookie(value))
    assert.equal(status, 200, value)
    assert.deepEqual(json, {}, value)
  }
  const byExpress = expressCookie('an-id')
  for (const found of [undefined, null, '', 'text', '5', 'null', '[]', 5, [], new Date(), {}]) {
    const store = { get: () => found, load: () => found, destroy() {} }
    for (const [adopt, headers] of [
      [koaSession({ store }), koaCookie('an-id')],
      [koaGenericSession({ store }), koaCookie('an-id', 'koa.sid')],
      [expressSession({ secret: KEY, ...store }), byExpress],
    ] as const) {
      const running = await anAdoptingApp(t, adopt)
      const { status, json } = await running.visitor().get('/read', headers)
      assert.equal(status, 200, String(found))
      assert.deepEqual(json, {}, String(found))
      assert.deepEqual(running.calls, [])
    }
  }
  assert.deepEqual(errors, [])
  assert.deepEqual(calls, [])
})

test('who has a session of ours already keeps it, whatever else is brought', async t => {
  const { visitor } = await anAdoptingApp(t, koaSession())
  const ada = visitor()
  await ada.get('/write')
  const { Cookie } = koaCookie(base64(held))
  const both = { Cookie: `sid=${ada.jar.get('sid')}; ${Cookie}` }
  assert.deepEqual((await ada.get('/read', both)).json, { more: 1 })
})

test('while the other store is down nothing is carried over, and nothing lost', async t => {
  const store = aKoaSessionStore()
  const old = await aKoaVisitor(t, app => createSession({ store }, app))
  let down = true
  const get = async (key: string) => {
    if (down) throw new Error('down')
    return store.get(key)
  }
  const running = await anAdoptingApp(t, koaSession({ store: { ...store, get } }))
  const ada = running.movedFrom(old)
  const { status, setCookies } = await ada.get('/read')
  assert.equal(status, 500)
  assert.deepEqual(setCookies, [])
  assert.deepEqual(running.calls, [])
  down = false
  assert.deepEqual((await ada.get('/read')).json, held)
})

test('while ours cannot be stored the other session stays', async t => {
  const store = aKoaSessionStore()
  const old = await aKoaVisitor(t, app => createSession({ store }, app))
  let down = true
  const inner = altered(memoryStore(), name => {
    if (down && name === 'insert') throw new StoreUnavailableError('down', 'none')
  })
  const running = await anAdoptingApp(t, koaSession({ store }), inner)
  const ada = running.movedFrom(old)
  for (const path of ['/read', '/write', '/caught']) {
    const { status, setCookies } = await ada.get(path)
    assert.equal(status, path === '/caught' ? 200 : 503)
    assert.deepEqual(setCookies, [], path)
  }
  down = false
  assert.deepEqual((await ada.get('/read')).json, held)
})

test('while the other session cannot be ended ours is taken back', async t => {
  const store = aKoaSessionStore()
  const old = await aKoaVisitor(t, app => createSession({ store }, app))
  let down = true
  const destroy = async (key: string) => {
    if (down) throw new Error('down')
    await store.destroy(key)
  }
  const inner = memoryStore()
  const inserted: string[] = []
  const spying = altered(inner, (name, [record]) => {
    if (name === 'insert') inserted.push((record as SessionRecord).id)
  })
  const running = await anAdoptingApp(t, koaSession({ store: { ...store, destroy } }), spying)
  const ada = running.movedFrom(old)
  for (const path of ['/read', '/write', '/caught', '/csrf']) {
    const { setCookies } = await ada.get(path)
    assert.deepEqual(setCookies, [], path)
  }
  assert.ok(inserted.length >= 4)
  for (const id of inserted) assert.equal(await inner.load(id), undefined)
  down = false
  assert.deepEqual((await ada.get('/write')).json, { more: 1 })
  assert.deepEqual((await ada.get('/read')).json, { ...held, more: 1 })
})

test('an end of the other session that is applied and fails all the same is one', async t => {
  const store = aKoaSessionStore()
  const old = await aKoaVisitor(t, app => createSession({ store }, app))
  const destroy = async (key: string) => {
    await store.destroy(key)
    throw new Error('The connection was reset')
  }
  const running = await anAdoptingApp(t, koaSession({ store: { ...store, destroy } }))
  const ada = running.movedFrom(old)
  assert.deepEqual((await ada.get('/read')).json, held)
  assert.deepEqual((await ada.get('/read')).json, held)
  await ada.get('/destroy')
  assert.deepEqual((await ada.get('/read')).json, {})
})

test('where the other cookie had the name of ours, ours takes its place', async t => {
  for (const store of [undefined, aKoaSessionStore()]) {
    const adopt = koaSession({ key: 'sid', ...(store && { store }) })
    const running = await anAdoptingApp(t, adopt)
    for (const [path, status] of [
      ['/read', 200],
      ['/write', 200],
      ['/fail', 400],
    ] as const) {
      const old = await aKoaVisitor(t, app => createSession({ key: 'sid', ...(store && { store }) }, app))
      const ada = running.movedFrom(old)
      const answer = await ada.get(path)
      assert.equal(answer.status, status)
      assert.equal(answer.setCookies.filter(line => line.startsWith('sid=')).length, 1, path)
      assert.deepEqual([...ada.jar.keys()], ['sid'], path)
      assert.equal(Object((await ada.get('/read')).json).user, 'ada', path)
    }
  }
})

test('adopt that asks for the session it is to bring is told so, and waits for nothing', async t => {
  const adopt: Adopter = async ctx => ({ ...(await ctx.session()) })
  const { visitor, errors } = await anAdoptingApp(t, adopt)
  assert.equal((await visitor().get('/read')).status, 500)
  assert.match(String(errors[0]), /adopt cannot use ctx\.session/)
})

test('the other cookie is cleared where it was set', async t => {
  const store = { get: () => held, load: () => held, destroy() {} }
  const where = { path: '/shop', domain: 'example.com' }
  const byExpress = expressCookie('an-id')
  const cases: [Adopter, { Cookie: string }, string[]][] = [
    [koaSession({ store, ...where }), koaCookie('an-id'), ['koa.sess', 'koa.sess.sig']],
    [koaGenericSession({ store, ...where }), koaCookie('an-id', 'koa.sid'), ['koa.sid', 'koa.sid.sig']],
    [expressSession({ secret: KEY, ...store, ...where }), byExpress, ['connect.sid']],
  ]
  for (const [adopt, headers, names] of cases) {
    const { visitor } = await anAdoptingApp(t, adopt)
    const { setCookies } = await visitor().get('/read', headers)
    assert.equal(setCookies.length, names.length + 1)
    for (const name of names) {
      const line = setCookies.find(other => other.startsWith(`${name}=;`)) ?? ''
      assert.match(line, /; path=\/shop; expires=Thu, 01 Jan 1970 00:00:00 GMT; domain=example\.com/, name)
    }
  }
})
