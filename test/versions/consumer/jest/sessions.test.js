const http = require('node:http')
const Koa = require('koa')
const { default: Session } = require('koa-atomic-session')
const { memoryStore } = require('koa-atomic-session/memory')
const { ObjectId } = require('mongodb')

test('an app with sessions in memory answers in Jest, with the driver’s types', async () => {
  const app = new Koa()
  app.keys = ['32 random characters or more, and not these']
  Session(app, { store: memoryStore() })
  app.use(async ctx => {
    await ctx.session.set('user_id', new ObjectId())
    const session = await ctx.session()
    ctx.body = String(session.user_id instanceof ObjectId)
  })
  const server = http.createServer(app.callback())
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const response = await fetch(`http://127.0.0.1:${server.address().port}`)
  expect(await response.text()).toBe('true')
  expect(response.headers.getSetCookie()).toHaveLength(1)
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
})
