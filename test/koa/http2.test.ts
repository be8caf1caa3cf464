import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import Koa from 'koa'
import Session from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { KEY } from '../support/app.ts'
import { gate } from '../support/gate.ts'

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
  const server = createServer(app.callback() as never).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(() => {
    client.destroy()
    server.close()
  })
  const request = client.request({ ':path': '/' })
  request.once('error', () => {})
  await begun.opened
  request.close(8)
  await stored.opened
  const before = performance.now()
  await sessions.close()
  assert.ok(performance.now() - before < 10_000)
})
