import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHTTP2, createServer as createHTTP2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import Koa from 'koa'
import Session, { ConfigurationError, InvalidCSRFTokenError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, answering, KEY, listening, type Routes, type RunningApp } from '../support/app.ts'

type Headers = Record<string, string>

const routes: Routes = {
  '/guarded': ctx => ctx.session.inc('done'),
}

/** An app whose every route stands behind the guard. */
function aGuardedApp(t: TestContext, { prepare }: { prepare: (app: Koa) => void }): Promise<RunningApp> {
  return anApp(t, { store: memoryStore(), prepare, csrf: {} }, routes)
}

/** What an app that is guarded says to a request that changes something. */
async function statusOf(running: Pick<RunningApp, 'visitor'>, headers: Headers) {
  return (await running.visitor().post('/guarded', {}, headers)).status
}

test('a body that is no object of fields has no token', async t => {
  const bodies: unknown[] = ['_csrf', null, 5, [], Object.create({ _csrf: 'inherited' })]
  let body: unknown
  const { visitor } = await aGuardedApp(t, {
    prepare: app =>
      app.use(async (ctx, next) => {
        Object.defineProperty(ctx.request, 'body', { get: () => body, set() {}, configurable: true })
        await next()
      }),
  })
  for (body of bodies) {
    assert.equal((await visitor().post('/guarded', {})).status, 403, JSON.stringify(body))
  }
})

test('a host with a user before it makes no origin this one, wherever Koa takes it from', async t => {
  const proxied = await aGuardedApp(t, {
    prepare: app => {
      app.proxy = true
    },
  })
  const own: Headers = { 'X-Forwarded-Host': 'app.example', Origin: 'https://app.example' }
  assert.equal(await statusOf(proxied, own), 200)
  for (const host of [
    'evil@app.example',
    'evil.example:x@app.example',
    'evil@app.example, app.example',
    '@app.example',
  ]) {
    assert.equal(await statusOf(proxied, { ...own, 'X-Forwarded-Host': host }), 403, host)
  }
  const app = new Koa()
  app.keys = [KEY]
  app.on('error', () => {})
  app.use(Session(app, { store: memoryStore() }).csrf())
  app.use(answering(routes))
  const server = createHTTP2Server(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectHTTP2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(() => {
    client.destroy()
    server.close()
  })
  // Node.js 26 refuses such an authority by itself, before there is a request.
  for (const [authority, ...statuses] of [
    ['app.example', 200],
    ['evil@app.example', 403, 'ERR_HTTP2_STREAM_ERROR'],
    ['evil.example:x@app.example', 403, 'ERR_HTTP2_STREAM_ERROR'],
  ] as const) {
    const sent = client.request({
      ':method': 'POST',
      ':path': '/guarded',
      ':authority': authority,
      origin: 'https://app.example',
    })
    const status: unknown = await once(sent.end(), 'response').then(
      ([headers]) => headers[':status'],
      (error: NodeJS.ErrnoException) => error.code,
    )
    assert.ok((statuses as readonly unknown[]).includes(status), `${authority}: ${status}`)
    sent.close()
  }
})

test('an error tells the developer which proof was missed, and the visitor nothing of it', async t => {
  const caught: InvalidCSRFTokenError[] = []
  const { visitor, url } = await aGuardedApp(t, {
    prepare: app =>
      app.use(async (_, next) => {
        try {
          await next()
        } catch (error) {
          assert.ok(error instanceof InvalidCSRFTokenError)
          caught.push(error)
          throw error
        }
      }),
  })
  const eve = visitor()
  const foreign = { Origin: 'https://evil.example' }
  const table: [Headers, object, string, RegExp][] = [
    [
      { 'Sec-Fetch-Site': 'cross-site', ...foreign },
      {},
      'cross-site',
      /'cross-site'.*'https:\/\/evil.*origins/,
    ],
    [{ 'Sec-Fetch-Site': 'same-site' }, {}, 'cross-site', /'same-site'/],
    [foreign, {}, 'origin', /'https:\/\/evil\.example'.*'http:\/\/127\.0\.0\.1.*app\.proxy = true/],
    [{ Origin: 'null' }, {}, 'origin', /'null'/],
    [{}, {}, 'token', /no token.*x-csrf-token.*_csrf/],
    [{}, { _csrf: 'x'.repeat(65) }, 'token', /not made for this session/],
  ]
  const texts = new Set<string>()
  for (const [headers, body, reason, details] of table) {
    const { status, text } = await eve.post('/guarded', body, headers)
    assert.equal(status, 403)
    texts.add(text)
    const error = caught.pop()
    assert.equal(error?.reason, reason)
    assert.match(String(error?.cause), details)
    assert.doesNotMatch(text, /Origin|Sec-Fetch|evil|proxy/i)
    assert.ok(!text.includes(new URL(url).host))
  }
  assert.equal(texts.size, 2)
})

test('the guard itself is no middleware: it makes one', async t => {
  const app = new Koa()
  app.keys = [KEY]
  const sessions = Session(app, { store: memoryStore() })
  app.use(sessions.csrf as unknown as Koa.Middleware)
  const { visitor, errors } = await listening(t, app)
  assert.equal((await visitor().get('/')).status, 500)
  assert.ok(errors[0] instanceof ConfigurationError)
  assert.match(errors[0].message, /app\.use\(sessions\.csrf\(\)\)/)
  for (const wrong of [null, 5, [], () => {}, ['https://admin.example']]) {
    assert.throws(() => sessions.csrf(wrong as never), /csrf\(\) takes options as a plain object/)
  }
  assert.throws(() => sessions.csrf({ origin: [] } as never), /"origin"; did you mean "origins"\?/)
})

test('an app may answer a refused request in its own way', async t => {
  const { visitor, errors } = await aGuardedApp(t, {
    prepare: app =>
      app.use(async (ctx, next) => {
        try {
          await next()
        } catch (error) {
          if (!(error instanceof InvalidCSRFTokenError)) throw error
          ctx.status = error.status
          ctx.body = `no: ${error.code}`
        }
      }),
  })
  const { status, text, headers } = await visitor().post('/guarded', {})
  assert.equal(status, 403)
  assert.equal(text, 'no: SESSION_CSRF')
  assert.match(headers.vary ?? '', /Sec-Fetch-Site, Origin/)
  assert.deepEqual(errors, [])
})
