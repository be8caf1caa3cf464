import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import Koa from 'koa'
import Session from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type AppOptions, anApp, type Handler, KEY, listening } from '../support/app.ts'
import type { Answer } from '../support/visitor.ts'

const DAY = 24 * 60 * 60 * 1000

function namesIn({ setCookies }: Pick<Answer, 'setCookies'>): string[] {
  return setCookies.map(line => line.slice(0, line.indexOf('='))).sort()
}

/** An app whose every request changes its session, and then sets headers as `after` does. */
function aChangingApp(t: TestContext, after: Handler, options: AppOptions = {}) {
  return anApp(t, { store: memoryStore(), ...options }, async (ctx, next) => {
    await ctx.session.inc('n')
    return after(ctx, next)
  })
}

/** What an app may do to the headers, without a thought for a session's cookie. */
const settings: Record<string, [after: Handler, others: string[]]> = {
  'ctx.set': [ctx => void ctx.set('Set-Cookie', ['theirs=1; Path=/', 'more=2']), ['more', 'theirs']],
  'res.setHeader': [ctx => void ctx.res.setHeader('SET-COOKIE', 'theirs=1'), ['theirs']],
  'ctx.remove': [ctx => void ctx.remove('Set-Cookie'), []],
  'a proxy that copies all headers': [
    ctx => {
      for (const name of ctx.res.getHeaderNames()) ctx.res.removeHeader(name)
      ctx.set({ 'Set-Cookie': ['theirs=1', 'sid=theirs; Path=/'], Vary: 'Accept', 'Cache-Control': 'public' })
    },
    ['theirs'],
  ],
  'a Response': [
    ctx => {
      const headers = { 'Set-Cookie': 'theirs=1', 'Cache-Control': 'max-age=60', Vary: 'Accept' }
      ctx.body = new Response('theirs', { headers })
      // Koa 2 does not know a Response.
      if (!ctx.response.get('Set-Cookie')) ctx.set(headers)
    },
    ['theirs'],
  ],
  'a stream and flushed headers': [
    ctx => {
      ctx.set('Set-Cookie', 'theirs=1')
      ctx.body = Readable.from(['some', 'thing'])
      ctx.flushHeaders()
    },
    ['theirs'],
  ],
  'res.end by hand': [
    ctx => {
      ctx.respond = false
      ctx.res.statusCode = 200
      ctx.res.setHeader('Set-Cookie', 'theirs=1')
      ctx.res.end('by hand')
    },
    ['theirs'],
  ],
  'res.write by hand': [
    ctx => {
      ctx.respond = false
      ctx.res.statusCode = 200
      ctx.res.removeHeader('Set-Cookie')
      ctx.res.write('by ')
      ctx.res.end('hand')
    },
    [],
  ],
  'writeHead with headers': [
    ctx => {
      ctx.respond = false
      ctx.res.writeHead(200, { 'Set-Cookie': ['theirs=1', 'more=2'], 'Cache-Control': 'public' }).end()
    },
    ['more', 'theirs'],
  ],
  'writeHead with a message and a list': [
    ctx => {
      ctx.respond = false
      const headers = ['Set-Cookie', 'theirs=1', 'Set-Cookie', 'more=2', 'Vary', 'Accept']
      ctx.res.writeHead(200, 'Fine', headers).end()
    },
    ['more', 'theirs'],
  ],
  'a cookie of the name of ours': [ctx => void ctx.cookies.set('sid', 'theirs', { path: '/x' }), []],
}

test('a session’s cookie leaves, once and beside the app’s own, however the app sets its headers', async t => {
  for (const [how, [after, others]] of Object.entries(settings)) {
    const { visitor, errors } = await aChangingApp(t, after, { keys: [KEY] })
    const ada = visitor()
    const answer = await ada.get('/')
    assert.equal(answer.status, 200, how)
    assert.deepEqual(
      namesIn(answer).filter(name => name !== 'sid.sig'),
      [...others, 'sid'].sort(),
      how,
    )
    assert.match(ada.jar.get('sid') ?? '', /^[0-9a-f]{40}\./, how)
    assert.match(answer.headers.vary ?? '', /\bCookie\b/, how)
    assert.equal(answer.headers['cache-control'], 'no-store', how)
    assert.deepEqual(errors, [], how)
  }
})

test('a session’s cookie leaves though middleware outside of all others sets the header whole', async t => {
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store: memoryStore() })
  app.middleware.unshift(async (ctx, next) => {
    await next()
    ctx.set({ 'Set-Cookie': 'theirs=1', Vary: 'Accept', 'Cache-Control': 'public, max-age=60' })
  })
  app.use(async ctx => {
    await ctx.session.inc('n')
    ctx.body = 'done'
  })
  const { visitor } = await listening(t, app)
  const answer = await visitor().get('/')
  assert.deepEqual(namesIn(answer), ['sid', 'theirs'])
  assert.equal(answer.headers.vary, 'Accept, Cookie')
  assert.equal(answer.headers['cache-control'], 'no-store')
})

test('an app that answers errors in its own way sends the cookie of what was stored', async t => {
  const prepare = (app: Koa) => {
    const onerror: Koa.Context['onerror'] = function (this: Koa.Context, error) {
      if (!error) return
      for (const name of this.res.getHeaderNames()) this.res.removeHeader(name)
      this.res.statusCode = 500
      this.res.setHeader('Cache-Control', 'public')
      this.res.end('sorry')
    }
    app.context.onerror = onerror
  }
  const { visitor } = await aChangingApp(t, ctx => ctx.throw(400), { prepare })
  const answer = await visitor().get('/')
  assert.equal(answer.text, 'sorry')
  assert.deepEqual(namesIn(answer), ['sid'])
  assert.equal(answer.headers.vary, 'Cookie')
  assert.equal(answer.headers['cache-control'], 'no-store')
})

test('what an app sets by the name of the cookie is its own where the session sends none', async t => {
  const { visitor } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session()
    ctx.set('Set-Cookie', 'sid=; path=/old')
    ctx.set('Cache-Control', 'public')
  })
  const { setCookies, headers } = await visitor().get('/')
  assert.deepEqual(setCookies, ['sid=; path=/old'])
  assert.equal(headers['cache-control'], 'public')
})

test('over HTTP/2 the cookie leaves as well', async t => {
  const app = new Koa()
  app.keys = [KEY]
  app.silent = true
  Session(app, { store: memoryStore() })
  app.use(async ({ path, res }, next) => {
    const { writeHead } = res
    // As a listener for the headers does.
    if (path === '/listener') {
      res.writeHead = function (this: typeof res, ...given: unknown[]) {
        for (const name of res.getHeaderNames()) res.removeHeader(name)
        res.setHeader('Set-Cookie', 'theirs=1')
        return Reflect.apply(writeHead, this, given)
      }
    }
    await next()
  })
  app.use(async ctx => {
    await ctx.session.inc('n')
    ctx.set({ 'Set-Cookie': 'theirs=1', 'Cache-Control': 'public' })
    if (ctx.path === '/by-hand') {
      ctx.respond = false
      ctx.res.writeHead(200, { Vary: 'Accept' })
      ctx.res.end()
    }
    if (ctx.path === '/error') ctx.throw(400)
    ctx.body = 'done'
  })
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(() => {
    client.close()
    server.close()
  })
  for (const [path, others] of [
    ['/', 1],
    ['/by-hand', 1],
    ['/listener', 1],
    ['/error', 0],
  ] as const) {
    const stream = client.request({ ':path': path })
    const [headers] = await once(stream, 'response')
    stream.resume()
    await once(stream, 'end')
    const setCookies = headers['set-cookie'] as string[]
    assert.equal(setCookies.length, others + 1, path)
    assert.match(setCookies.at(-1) ?? '', /^sid=[0-9a-f]{40}\./, path)
    assert.equal(headers['cache-control'], 'no-store', path)
    assert.match(headers.vary as string, /Cookie$/, path)
  }
})

test('a response that asked for the session varies on Cookie, whatever the app sets afterwards', async t => {
  const varying: [given: string | string[] | undefined, expected: string][] = [
    [undefined, 'Cookie'],
    ['Origin', 'Origin, Cookie'],
    [['Origin', 'Accept'], 'Origin, Accept, Cookie'],
    ['Accept,cookie', 'Accept,cookie'],
    ['X-Cookie', 'X-Cookie, Cookie'],
    ['*', '*'],
  ]
  const { visitor } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session()
    ctx.remove('Vary')
    const [given] = varying[Number(ctx.query.which)] ?? []
    if (given) ctx.set('Vary', given)
  })
  for (const [which, [given, expected]] of varying.entries()) {
    assert.equal((await visitor().get(`/?which=${which}`)).headers.vary, expected, String(given))
  }
})

/** What the app says of caching, and what leaves with the session's cookie. */
const caching: [given: Record<string, string | string[]>, expected: Record<string, string | undefined>][] = [
  [{}, { 'cache-control': 'no-store' }],
  ...[
    'public',
    'max-age=86400',
    'immutable',
    'no-cache',
    's-maxage=60',
    'public, max-age=31536000, immutable',
    'must-revalidate',
    '',
    'public, private',
    'private="set-cookie"',
    'private=""',
    'no-store=1',
    'x-private',
    'extension="a, private, b"',
    'extension="a\\", private',
    'must-understand, no-store, max-age=86400',
    'No-Store, Must-Understand',
  ].map((given): (typeof caching)[number] => [{ 'Cache-Control': given }, { 'cache-control': 'no-store' }]),
  ...[
    'private',
    'no-store',
    'private, no-cache',
    'max-age=60, PRIVATE',
    '\tno-cache ,\tNo-Store ',
    'must-understand, no-store, private',
    'extension="must-understand", no-store',
  ].map((given): (typeof caching)[number] => [{ 'Cache-Control': given }, { 'cache-control': given.trim() }]),
  [{ 'Cache-Control': ['max-age=60', 'private'] }, { 'cache-control': 'max-age=60, private' }],
  [{ 'Cache-Control': ['private', 'public'] }, { 'cache-control': 'no-store' }],
  [
    {
      'Cache-Control': 'private',
      'CDN-Cache-Control': 'max-age=60',
      'Some-CDN-Cache-Control': 'public',
      'Surrogate-Control': 'max-age=60',
    },
    {
      'cache-control': 'private',
      'cdn-cache-control': 'no-store',
      'some-cdn-cache-control': 'no-store',
      'surrogate-control': 'no-store',
    },
  ],
  [
    {
      'CDN-Cache-Control': 'must-understand, no-store',
      'X-Accel-Expires': '3600',
      'Edge-Control': 'cache-maxage=1d',
    },
    { 'cdn-cache-control': 'no-store', 'x-accel-expires': '0', 'edge-control': 'no-store' },
  ],
  [
    { 'X-Accel-Expires': '@1924992000', 'Edge-Control': '!no-store, private' },
    { 'x-accel-expires': '0', 'edge-control': 'no-store' },
  ],
  [{ 'CDN-Cache-Control': 'no-store' }, { 'cache-control': 'no-store', 'cdn-cache-control': 'no-store' }],
  [
    { Expires: 'Fri, 01 Jan 2100 00:00:00 GMT', Pragma: 'no-cache' },
    { 'cache-control': 'no-store', expires: 'Fri, 01 Jan 2100 00:00:00 GMT', pragma: 'no-cache' },
  ],
]

test('no shared cache may store a response with a session’s cookie, whatever the app says of caching', async t => {
  const { visitor } = await aChangingApp(t, ctx => {
    ctx.set(caching[Number(ctx.query.which)]?.[0] ?? {})
    if (ctx.query.fails) ctx.throw(404, { headers: caching[Number(ctx.query.which)]?.[0] })
  })
  for (const [which, [given, expected]] of caching.entries()) {
    for (const path of [`/?which=${which}`, `/?which=${which}&fails=1`]) {
      const { headers, setCookies } = await visitor().get(path)
      assert.equal(setCookies.length, 1)
      for (const [name, value] of Object.entries(expected)) {
        assert.equal(headers[name], value, `${path}: ${JSON.stringify(given)}`)
      }
    }
  }
})

test('a file that is public stays so until a session is changed or extended around it', async t => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const cached = 'public, max-age=31536000, immutable'
  const { visitor } = await anApp(t, { store: memoryStore({ clock: () => Date.now() }) }, async ctx => {
    if (ctx.path === '/change') await ctx.session.inc('n')
    if (ctx.path === '/read') await ctx.session()
    ctx.set('Cache-Control', cached)
  })
  const ada = visitor()
  assert.equal((await ada.get('/')).headers['cache-control'], cached)
  assert.equal((await ada.get('/change')).headers['cache-control'], 'no-store')
  assert.equal((await ada.get('/change')).headers['cache-control'], cached)
  assert.equal((await ada.get('/read')).headers['cache-control'], cached)
  t.mock.timers.tick(2 * DAY)
  const renewed = await ada.get('/read')
  assert.equal(renewed.setCookies.length, 1)
  assert.equal(renewed.headers['cache-control'], 'no-store')
})
