import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import Koa from 'koa'
import Session, { ConfigurationError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { answering, KEY, listening } from '../support/app.ts'
import { watched } from '../support/watchedstore.ts'

test('sessions that were set up too late for a request say so, and store nothing', async t => {
  const app = new Koa()
  app.keys = [KEY]
  app.use(answering({ '/': ctx => ctx.session.inc('n'), '/fine': () => 'fine' }))
  const listeningApp = await listening(t, app)
  const store = watched(memoryStore())
  Session(app, { store: store.store })
  const answer = await listeningApp.visitor().get('/')
  assert.equal(answer.status, 500)
  assert.deepEqual(answer.setCookies, [])
  const [error] = listeningApp.errors
  assert.ok(error instanceof ConfigurationError)
  assert.match(error.message, /Session\(app\) before app\.callback\(\)/)
  assert.deepEqual(store.calls, [])
  assert.equal((await listeningApp.visitor().get('/fine')).status, 200)
})

test('a session used by middleware that comes before it says so', async t => {
  const { store, calls } = watched(memoryStore())
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store })
  app.middleware.unshift(async (ctx, next) => {
    await ctx.session.inc('n')
    await next()
  })
  const { visitor, errors } = await listening(t, app)
  assert.equal((await visitor().get('/')).status, 500)
  assert.ok(errors[0] instanceof ConfigurationError)
  assert.deepEqual(calls, [])
})

test('a context that no request came with has no session', () => {
  const { store, calls } = watched(memoryStore())
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store })
  const request = new IncomingMessage(new Socket())
  const ctx = app.createContext(request, new ServerResponse(request))
  assert.throws(() => ctx.session, ConfigurationError)
  assert.deepEqual(calls, [])
})

test('an error listener in an app whose sessions were set up too late ends nothing', async t => {
  const app = new Koa()
  app.keys = [KEY]
  app.on('error', (_, ctx) => void ctx.session.inc('errors'))
  app.use(ctx => ctx.throw(418))
  const { visitor, errors } = await listening(t, app)
  Session(app, { store: memoryStore() })
  const ada = visitor()
  assert.equal((await ada.get('/')).status, 418)
  assert.equal((await ada.get('/')).status, 418)
  assert.equal(errors.length, 2)
})
