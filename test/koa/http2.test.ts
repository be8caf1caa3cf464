import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import Koa from 'koa'
import Session from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { KEY } from '../support/app.ts'
import { gate } from '../support/gate.ts'

/** A client of an app that is served by HTTP/2 until the test ends. */
async function aClient(t: TestContext, app: Koa): Promise<ClientHttp2Session> {
  const server = createServer(app.callback() as never).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(() => {
    client.destroy()
    server.close()
  })
  return client
}

test('an error with a header that HTTP/2 forbids is answered with its status and the cookie', async t => {
  const forbidden = { 'Keep-Alive': 'timeout=5', TE: 'gzip', 'Retry-After': ['5', '6'] }
  const app = new Koa()
  app.keys = [KEY]
  app.silent = true
  Session(app, { store: memoryStore() })
  app.use(async ctx => {
    await ctx.session.set('user_id', 'ada')
    const name = ctx.path.slice(1) as keyof typeof forbidden
    ctx.throw(503, 'busy', { headers: { [name]: forbidden[name] } })
  })
  const client = await aClient(t, app)
  for (const name of Object.keys(forbidden)) {
    const request = client.request({ ':path': `/${name}` })
    const [headers] = await once(request, 'response')
    request.resume()
    await once(request, 'end')
    assert.equal(headers[':status'], 503, name)
    assert.match(headers['set-cookie']?.[0] ?? '', /^sid=[0-9a-f]{40}\./, name)
  }
})

test('nothing waits for a visitor by HTTP/2 who had gone before the session was used', async t => {
  const app = new Koa()
  app.keys = [KEY]
  const sessions = Session(app, { store: memoryStore(), timeout: '1m' })
  const begun = gate()
  const stored = gate()
  app.use(async ctx => {
    const gone = once(ctx.res, 'close')
    begun.open()
    await gone
    await ctx.session.set('user_id', 'ada')
    stored.open()
  })
  const client = await aClient(t, app)
  const request = client.request({ ':path': '/' })
  request.once('error', () => {})
  await begun.opened
  request.close(8)
  await stored.opened
  const before = performance.now()
  await sessions.close()
  assert.ok(performance.now() - before < 10_000)
})
