import assert from 'node:assert/strict'
import {
  ConfigurationError,
  FieldError,
  SessionTooLargeError,
  StoreUnavailableError,
} from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type AppOptions, anApp, KEY, onEachStore, type Routes, test } from '../support/frameworks.ts'
import { lifecycle } from '../support/lifecycle.ts'

const DAY = 24 * 60 * 60 * 1000

const routes: Routes = {
  '/read': async ctx => {
    const session = await ctx.session()
    return { id: session.id, isNew: session.isNew, maxAge: session.maxAge, fields: { ...session } }
  },
  '/count': ctx => ctx.session.inc('n'),
  '/form': ctx => ctx.session.createCSRF(),
  '/submit': ctx => ctx.session.assertCSRF(ctx.get('x-csrf-token')),
  '/leave': ctx => ctx.session.destroy(),
}

onEachStore(
  'a session that a test or a job makes is its visitor’s like any other',
  async (t, { store, calls }) => {
    const { sessions, visitor } = await anApp(t, { store, user: 'user_id' }, routes)
    await sessions.ensureIndex()
    calls.length = 0
    const { id, cookie } = await sessions.create({ user_id: 'ada', 'cart.total': 3, seen: new Date(0) })
    assert.deepEqual(calls, ['insert'])
    const headers = { Cookie: cookie }
    const fields = { user_id: 'ada', cart: { total: 3 }, seen: new Date(0).toJSON() }
    assert.deepEqual((await visitor().get('/read', headers)).json, {
      id,
      isNew: false,
      maxAge: 14 * DAY,
      fields,
    })
    // It is no other's, and of no use to who has no cookie.
    assert.deepEqual((await visitor().get('/read')).json, { isNew: true, maxAge: 14 * DAY, fields: {} })

    // It is changed, gives tokens, is found by its user, and ended.
    assert.deepEqual((await visitor().get('/count', headers)).json, { n: 1 })
    const token = (await visitor().get('/form', headers)).json
    assert.equal((await visitor().get('/submit', { ...headers, 'X-CSRF-Token': String(token) })).status, 200)
    for await (const found of sessions.find('ada')) assert.equal(found.id, id)
    assert.equal(await sessions.open(id).get('n'), 1)
    assert.equal(await sessions.endAll('ada'), 1)
    assert.deepEqual((await visitor().get('/read', headers)).json, {
      isNew: true,
      maxAge: 14 * DAY,
      fields: {},
    })
  },
)

onEachStore('two sessions that are made of the same fields are two', async (t, watched) => {
  const { sessions } = await anApp(t, { store: watched.store }, routes)
  const made = await Promise.all(Array.from({ length: 20 }, () => sessions.create({ user_id: 'ada' })))
  assert.equal(new Set(made.map(({ id }) => id)).size, 20)
  assert.equal(new Set(made.map(({ cookie }) => cookie)).size, 20)
  assert.equal((await watched.records()).length, 20)
})

onEachStore(
  'a session may be made with nothing in it, and with a lifetime of its own',
  async (t, watched) => {
    const options: AppOptions = { store: watched.store, absoluteMaxAge: '60 days' }
    const { sessions, visitor } = await anApp(t, options, routes)
    const { cookie } = await sessions.create({}, { maxAge: '30 days' })
    const { json } = await visitor().get('/read', { Cookie: cookie })
    const [record] = await watched.records()
    assert.deepEqual(json, { id: record?.id, isNew: false, maxAge: 30 * DAY, fields: {} })
    assert.equal(Number(record?.expires) - Number(record?.created), 30 * DAY)
    assert.equal(Number(record?.absolute) - Number(record?.created), 60 * DAY)
    // No lifetime passes the absolute limit.
    await sessions.create({}, { maxAge: '1 year' })
    const { expires, absolute } = (await watched.records())[1] ?? {}
    assert.deepEqual(expires, absolute)
  },
)

onEachStore('what a session cannot hold makes none', async (t, watched) => {
  const { sessions } = await anApp(t, { store: watched.store, maxSize: 1000 }, routes)
  const refused: [unknown, unknown, new (...args: never[]) => Error][] = [
    [{ _id: 1 }, undefined, FieldError],
    [{ destroy: 1 }, undefined, FieldError],
    [{ $where: 1 }, undefined, FieldError],
    [JSON.parse('{"__proto__":{"isAdmin":true}}'), undefined, FieldError],
    [{ name: undefined }, undefined, FieldError],
    [{ cart: {}, 'cart.total': 1 }, undefined, FieldError],
    [undefined, undefined, FieldError],
    [null, undefined, FieldError],
    ['user_id', undefined, FieldError],
    [['user_id'], undefined, FieldError],
    [new Map([['user_id', 'ada']]), undefined, FieldError],
    [{ name: 'x'.repeat(1000) }, undefined, SessionTooLargeError],
    [{}, { maxAge: Number.NaN }, ConfigurationError],
    [{}, { maxAge: null }, ConfigurationError],
    [{}, { maxage: 1 }, ConfigurationError],
    [{}, '1 day', ConfigurationError],
    [{}, () => {}, ConfigurationError],
  ]
  for (const [fields, options, kind] of refused) {
    await assert.rejects(async () => sessions.create(fields as never, options as never), kind)
  }
  assert.deepEqual(watched.calls, [])
  // What is given is taken as it is at the call.
  const cart = { lines: ['tea'] }
  const made = sessions.create({ cart })
  cart.lines.push('rum')
  await made
  assert.deepEqual((await watched.records())[0]?.fields, { cart: { lines: ['tea'] } })
})

test('a session is made for the kind of its visitor, under its cookie’s name and the first key', async t => {
  const store = memoryStore()
  const old = await anApp(t, { store, key: '__Host-admin', cookie: { secure: true } }, routes)
  const { cookie } = await old.sessions.create({ user_id: 'ada' })
  assert.match(cookie, /^__Host-admin=[\w.-]+$/)
  const other = await anApp(t, { store }, routes)
  const renamed = cookie.replace('__Host-admin', 'sid')
  assert.equal(
    ((await other.visitor().get('/read', { Cookie: renamed })).json as { isNew: boolean }).isNew,
    true,
  )

  const young = 'a younger key that is known to the tests only, long enough'
  const rotated = await anApp(t, { store, keys: [young, KEY] }, routes)
  const made = await rotated.sessions.create({})
  assert.deepEqual((await rotated.visitor().get('/read', { Cookie: made.cookie })).setCookies, [])
  assert.equal(
    ((await other.visitor().get('/read', { Cookie: made.cookie })).json as { isNew: boolean }).isNew,
    true,
  )
})

test('a session that is made is told as an event, and one that cannot be stored is not', async t => {
  const { app, sessions } = await anApp(t, { store: memoryStore() }, routes)
  const events = lifecycle(t)
  const { id } = await sessions.create({ user_id: 'ada' })
  assert.deepEqual(events.splice(0), [{ type: 'created', id }])
  app.keys = []
  await assert.rejects(sessions.create({}), { name: 'ConfigurationError', message: /app\.keys/ })
  const { sessions: without } = await anApp(t, {}, routes)
  await assert.rejects(without.create({}), StoreUnavailableError)
  assert.ok(!events.some(({ type }) => type === 'created'))
})
