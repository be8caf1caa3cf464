import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { TestContext } from 'node:test'
import Koa from 'koa'
import Session, {
  CommandError,
  ConfigurationError,
  type CSRFOptions,
  HeadersSentError,
  InvalidCSRFTokenError,
  type LifecycleEvent,
  SessionEndedError,
} from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import {
  type AppOptions,
  anApp,
  onEachStore,
  type Routes,
  type RunningApp,
  test,
} from '../support/frameworks.ts'
import type { Visitor } from '../support/visitor.ts'
import { watched } from '../support/watchedstore.ts'

const routes: Routes = {
  '/csrf': ctx => ctx.session.createCSRF(),
  '/login': async ctx => {
    const session = await ctx.session.regenerate()
    await session.set('user', 'ada')
    return session.createCSRF()
  },
  '/logout': ctx => ctx.session.destroy(),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('before', true),
  '/guarded': ctx => ctx.session.inc('done'),
}

interface GuardedOptions extends CSRFOptions, Pick<AppOptions, 'store' | 'prepare'> {
  more?: Routes
}

/** An app whose every route stands behind the guard, with a body parser before it. */
function aGuardedApp(
  t: TestContext,
  { store = memoryStore({ clock: () => Date.now() }), prepare, more, ...csrf }: GuardedOptions = {},
): Promise<RunningApp> {
  const served = { ...(routes as object), ...(more as object) } as Routes
  return anApp(t, { store, csrf, ...(prepare && { prepare }) }, served)
}

type Headers = Record<string, string>

function cookieOf({ jar }: { jar: ReadonlyMap<string, string> }): string {
  return `sid=${jar.get('sid')}`
}

/** What an app that is guarded says to a request that changes something. */
async function statusOf(running: Pick<RunningApp, 'visitor'>, headers: Headers, path = '/guarded') {
  return (await running.visitor().post(path, {}, headers)).status
}

test('a token is accepted from the header and from a parsed body’s field, as often as it is sent', async t => {
  const { visitor, url } = await aGuardedApp(t)
  const ada = visitor()
  const token = String((await ada.get('/csrf')).json)
  for (let times = 0; times < 2; times++) {
    assert.equal((await ada.post('/guarded', {}, { 'X-CSRF-Token': token })).status, 200)
    assert.equal((await ada.post('/guarded', { _csrf: token })).status, 200)
    const body = new URLSearchParams({ _csrf: token })
    const form = await fetch(`${url}/guarded`, { method: 'POST', headers: { Cookie: cookieOf(ada) }, body })
    assert.equal(form.status, 200)
  }
  assert.deepEqual((await ada.get('/read')).json, { done: 6 })
})

onEachStore('no token, or one of nobody’s, changes nothing', async (t, { store, records }) => {
  const { visitor } = await anApp(t, { store, csrf: {} }, routes)
  const [ada, eve] = [visitor(), visitor()]
  const own = String((await ada.get('/csrf')).json)
  const others = String((await eve.get('/csrf')).json)
  const wrong: unknown[] = [
    undefined,
    null,
    '',
    others,
    own.slice(1),
    own.slice(0, -1),
    `${own}A`,
    `${own.startsWith('A') ? 'B' : 'A'}${own.slice(1)}`,
    `${own.slice(0, 22)}${others.slice(22)}`,
    own.toUpperCase(),
    [],
    [own],
    {},
    { token: own },
    42,
    true,
    'x'.repeat(10_000),
    `${own.slice(0, -1)}\0`,
    own.slice(0, 22).padEnd(65, 'A'),
    'ü'.repeat(65),
  ]
  for (const _csrf of wrong) {
    const { status, text } = await ada.post('/guarded', { _csrf })
    assert.equal(status, 403, JSON.stringify(_csrf))
    assert.ok(!text.includes(own), text)
    if (typeof _csrf === 'string' && /^[\w-]*$/.test(_csrf)) {
      assert.equal((await ada.post('/guarded', {}, { 'X-CSRF-Token': _csrf })).status, 403, _csrf)
    }
  }
  // Who has no session has no token either.
  assert.equal((await visitor().post('/guarded', { _csrf: own })).status, 403)
  assert.deepEqual((await ada.get('/read')).json, {})
  assert.equal((await records()).length, 2)
})

test('a wrong token in the header is not made up for by a right one in the body', async t => {
  const { visitor } = await aGuardedApp(t)
  const ada = visitor()
  const token = String((await ada.get('/csrf')).json)
  const { status } = await ada.post('/guarded', { _csrf: token }, { 'X-CSRF-Token': 'wrong' })
  assert.equal(status, 403)
})

test('a token is taken neither from the query nor from a cookie nor from a text that no parser took', async t => {
  const { visitor } = await aGuardedApp(t)
  const ada = visitor()
  const token = String((await ada.get('/csrf')).json)
  const query = `?_csrf=${token}&x-csrf-token=${token}&csrf=${token}`
  assert.equal((await ada.post(`/guarded${query}`, {})).status, 403)
  const sid = ada.jar.get('sid')
  const cookies = ['_csrf', 'csrf', 'x-csrf-token', 'XSRF-TOKEN'].map(name => `${name}=${token}`)
  const headers = { Cookie: [`sid=${sid}`, ...cookies].join('; ') }
  assert.equal((await ada.post('/guarded', {}, headers)).status, 403)
  for (const type of ['text/plain', 'text/plain; application/json', 'multipart/form-data; boundary=x']) {
    const { status } = await ada.post('/guarded', { _csrf: token }, { 'Content-Type': type })
    assert.equal(status, 403, type)
  }
})

onEachStore('no two tokens are alike, and each is good', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/csrf': ctx => Array.from({ length: 1000 }, () => ctx.session.createCSRF()),
      '/assert': async ctx => {
        const { tokens } = JSON.parse(ctx.get('X-Tokens')) as { tokens: string[] }
        for (const token of tokens) ctx.session.assertCSRF(token)
        return tokens.length
      },
    },
  )
  const ada = visitor()
  const answer = await ada.get('/csrf')
  const tokens = answer.json as string[]
  assert.equal(new Set(tokens).size, 1000)
  assert.deepEqual([...new Set(tokens.map(token => token.length))], [65])
  for (const token of tokens) assert.match(token, /^[\w-]+$/)
  // Neither half of them repeats: what is sent is never the same text twice (BREACH).
  assert.equal(new Set(tokens.map(token => token.slice(0, 22))).size, 1000)
  assert.equal(new Set(tokens.map(token => token.slice(22))).size, 1000)
  for (let at = 0; at < tokens.length; at += 100) {
    const headers = { 'X-Tokens': JSON.stringify({ tokens: tokens.slice(at, at + 100) }) }
    assert.equal((await ada.get('/assert', headers)).json, 100)
  }
  // Nor does a token tell the cookie's secret.
  const [secret = ''] = (ada.jar.get('sid') ?? '').split('.')
  assert.ok(!answer.text.includes(secret.slice(0, 16)))
})

test('an expired or ended session’s token is worth nothing', async t => {
  const { store, expire } = watched(memoryStore({ clock: () => Date.now() }))
  const { visitor } = await aGuardedApp(t, { store: store as ReturnType<typeof memoryStore> })
  const ada = visitor()
  const token = String((await ada.get('/csrf')).json)
  const old = { Cookie: `sid=${ada.jar.get('sid')}`, 'X-CSRF-Token': token }
  await expire()
  // The token needs no store, so the guard lets it through; nothing is left that it could change.
  await visitor().post('/guarded', {}, old)
  assert.deepEqual((await visitor().get('/read', { Cookie: old.Cookie })).json, {})

  const eve = visitor()
  const second = String((await eve.get('/csrf')).json)
  const past = { Cookie: `sid=${eve.jar.get('sid')}`, 'X-CSRF-Token': second }
  await eve.post('/logout', {}, past)
  assert.equal((await visitor().post('/guarded', {}, past)).status, 401)
})

test('a page made for a cookie whose session is no more has tokens that are good', async t => {
  const { store, expire } = watched(memoryStore({ clock: () => Date.now() }))
  const more: Routes = {
    '/page': async ctx => {
      const token = ctx.session.createCSRF()
      const session = await ctx.session()
      return { token, isNew: session.isNew }
    },
  }
  const running = await aGuardedApp(t, { store: store as ReturnType<typeof memoryStore>, more })
  const ada = running.visitor()
  await ada.get('/write')
  await expire()
  const { token, isNew } = (await ada.get('/page')).json as { token: string; isNew: boolean }
  assert.equal(isNew, true)
  const { status } = await ada.post('/login', {}, { 'X-CSRF-Token': token })
  assert.equal(status, 200)
  assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
})

test('safe methods pass from anywhere', async t => {
  const { visitor, url } = await aGuardedApp(t)
  const foreign = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
  assert.equal((await visitor().get('/csrf', foreign)).status, 200)
  for (const method of ['HEAD', 'OPTIONS']) {
    const { status } = await fetch(`${url}/csrf`, { method, headers: { Origin: 'https://evil.example' } })
    assert.equal(status, 200, method)
  }
  for (const method of ['PUT', 'PATCH', 'DELETE', 'PROPFIND', 'PURGE']) {
    const { status } = await fetch(`${url}/csrf`, { method, headers: { Origin: 'https://evil.example' } })
    assert.equal(status, 403, method)
  }
})

test('Sec-Fetch-Site decides: this origin and the address bar pass, other sites do not', async t => {
  const running = await aGuardedApp(t)
  const own = running.url
  const table: [Headers, number][] = [
    [{ 'Sec-Fetch-Site': 'same-origin' }, 200],
    [{ 'Sec-Fetch-Site': 'none' }, 200],
    [{ 'Sec-Fetch-Site': 'same-site' }, 403],
    [{ 'Sec-Fetch-Site': 'cross-site' }, 403],
    [{ 'Sec-Fetch-Site': 'nonsense' }, 403],
    [{ 'Sec-Fetch-Site': 'SAME-ORIGIN' }, 403],
    [{ 'Sec-Fetch-Site': 'same-origin, cross-site' }, 403],
    // The browser's word on the site stands before the origin's.
    [{ 'Sec-Fetch-Site': 'same-origin', Origin: 'https://evil.example' }, 200],
    [{ 'Sec-Fetch-Site': 'cross-site', Origin: own }, 403],
    [{ 'Sec-Fetch-Site': 'same-site', Origin: 'null' }, 403],
  ]
  for (const [headers, status] of table) {
    assert.equal(await statusOf(running, headers), status, JSON.stringify(headers))
  }
})

test('a browser without Sec-Fetch-Site is known by its Origin, which must be this host', async t => {
  const running = await aGuardedApp(t)
  const host = new URL(running.url).host
  const [name, port] = host.split(':')
  const table: [Headers, number][] = [
    [{ Origin: `http://${host}` }, 200],
    // Whether TLS ends before this process cannot be told here.
    [{ Origin: `https://${host}` }, 200],
    [{ Origin: 'null' }, 403],
    [{ Origin: 'nonsense' }, 403],
    [{ Origin: 'https://evil.example' }, 403],
    [{ Origin: `http://${name}` }, 403],
    [{ Origin: `http://${name}:${Number(port) + 1}` }, 403],
    [{ Origin: `http://${host}/` }, 403],
    [{ Origin: `http://${host}.evil.example` }, 403],
    [{ Origin: `http://${host}@evil.example` }, 403],
    [{ Origin: `http://evil.example@${host}` }, 403],
    [{ Origin: `ftp://${host}` }, 403],
    [{ Origin: `http://${host} http://evil.example` }, 403],
    [{ Origin: `http://${host}`, Host: 'shop.example' }, 403],
    [{ Origin: 'https://shop.example', Host: 'shop.example' }, 200],
    [{ Origin: 'https://shop.example', Host: 'shop.example:443' }, 200],
    [{ Origin: 'https://SHOP.example', Host: 'shop.example' }, 403],
    [{ Origin: 'https://shop.example', Host: 'SHOP.example' }, 200],
  ]
  for (const [headers, status] of table) {
    assert.equal(await statusOf(running, headers), status, JSON.stringify(headers))
  }
})

test('behind TLS the same host without it is another origin', async t => {
  const running = await aGuardedApp(t, {
    prepare: app => {
      app.proxy = true
    },
  })
  const told = { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'shop.example' }
  assert.equal(await statusOf(running, { ...told, Origin: 'https://shop.example' }), 200)
  assert.equal(await statusOf(running, { ...told, Origin: 'http://shop.example' }), 403)
})

test('a host that no proxy vouches for, or that is none, makes no origin this one', async t => {
  const running = await aGuardedApp(t)
  const table: Headers[] = [
    { Host: 'evil.example:x@app', Origin: 'http://app' },
    { Host: 'evil.example:x@app', Origin: 'http://evil.example' },
    { Host: 'evil.example:80@app', Origin: 'http://app' },
    { Host: 'app/evil.example', Origin: 'http://app' },
    { Host: 'app?evil.example', Origin: 'http://app' },
    { Host: 'app#evil.example', Origin: 'http://app' },
    { Host: 'app:99999', Origin: 'http://app:99999' },
    { Host: 'app,evil.example', Origin: 'http://evil.example' },
    { Host: 'app', 'X-Forwarded-Host': 'evil.example', Origin: 'http://evil.example' },
  ]
  for (const headers of table) {
    assert.equal(await statusOf(running, headers), 403, JSON.stringify(headers))
  }
})

test('what is wrong with a host that has an @ can be seen in the error', async t => {
  const running = await aGuardedApp(t)
  assert.equal(await statusOf(running, { Host: 'x@app', Origin: 'https://app' }), 403)
  const [error] = running.errors as [InvalidCSRFTokenError]
  assert.match(String(error.cause), /Origin is 'https:\/\/app', and the request went to 'http:\/\/x@app'/)
})

test('a request without any host is refused, and nothing breaks', async t => {
  const { url, visitor, errors } = await aGuardedApp(t)
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write('POST /guarded HTTP/1.0\r\nOrigin: http://\r\nContent-Length: 0\r\n\r\n')
  let text = ''
  socket.on('data', chunk => {
    text += chunk
  })
  await once(socket, 'close')
  assert.match(text, /^HTTP\/1\.[01] 403 /)
  assert.equal((await visitor().get('/read')).status, 200)
  for (const error of errors) assert.ok(error instanceof InvalidCSRFTokenError)
})

test('trusted origins may change things, and only they: scheme, host and port', async t => {
  const running = await aGuardedApp(t, { origins: ['https://admin.example', 'https://b.example:8443'] })
  const allowed = ['https://admin.example', 'https://b.example:8443']
  const refused = [
    'http://admin.example',
    'https://admin.example:8443',
    'https://admin.example.evil.example',
    'https://admin.examplex',
    'https://xadmin.example',
    'https://www.admin.example',
    'https://b.example',
    'https://admin.example/',
    'https://admin.example https://evil.example',
    'https://ADMIN.example',
    'null',
  ]
  for (const site of ['cross-site', 'same-site', undefined]) {
    const headers: Headers = site ? { 'Sec-Fetch-Site': site } : {}
    for (const Origin of allowed) assert.equal(await statusOf(running, { ...headers, Origin }), 200, Origin)
    for (const Origin of refused) assert.equal(await statusOf(running, { ...headers, Origin }), 403, Origin)
  }
})

test('what is no origin, no path or no option is refused when the guard is made', () => {
  const sessions = Session(new Koa())
  const origins = [
    'admin.example',
    '//admin.example',
    'https://admin.example/',
    'https://admin.example/path',
    'https://admin.example?a=1',
    'https://admin.example#a',
    'https://user@admin.example',
    'https://admin.example:443',
    'https://*.example',
    'HTTPS://admin.example',
    'https://',
    'null',
    'file:///',
    'data:text/html,',
    '*',
    '',
    null,
    undefined,
    5,
    /admin/,
  ]
  const refused: [string, object][] = [
    ...origins.map((origin): [string, object] => ['csrf', { origins: [origin] }]),
    ...['webhooks', '', '/a?b=1', '/a#b', '/a/*', '/ä', '/a b', null, undefined, 5, /a/].map(
      (path): [string, object] => ['exempt', { exempt: [path] }],
    ),
    ['origins', { origins: 'https://admin.example' }],
    ['origins', { origins: new Set(['https://admin.example']) }],
    ['exempt', { exempt: '/webhook' }],
    ['origin', { origin: ['https://admin.example'] }],
    ['ignoreMethods', { ignoreMethods: ['POST'] }],
  ]
  for (const [name, options] of refused) {
    assert.throws(
      () => sessions.csrf(options as CSRFOptions),
      (error: Error) => error instanceof ConfigurationError && error.message.includes(name),
      JSON.stringify(options),
    )
  }
  assert.ok(sessions.csrf({ origins: ['http://localhost:3000', 'https://[::1]:8443'], exempt: ['/a'] }))
})

test('an exempt path is let through unchecked, and no other that resembles it', async t => {
  const done = () => 'done'
  const paths = [
    '/hook',
    '/hook/',
    '/Hook',
    '/hooks',
    '/hook/more',
    '//hook',
    '/x/../hook',
    '/%68ook',
    '/hook%2f',
  ]
  const running = await aGuardedApp(t, {
    exempt: ['/hook'],
    more: Object.fromEntries(paths.map(path => [path, done])),
  })
  const foreign = { 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }
  for (const path of paths) {
    const expected = path === '/hook' ? 200 : 403
    // By hand, because a URL would be normalised before it is sent.
    assert.equal(await rawStatus(running.url, path, foreign), expected, path)
  }
  assert.equal(await rawStatus(running.url, '/hook?a=/other', foreign), 200)
  assert.equal(await rawStatus(running.url, '/other?a=/hook', foreign), 403)
  assert.equal(await rawStatus(running.url, '/other;/hook', foreign), 403)
})

async function rawStatus(url: string, path: string, headers: Headers): Promise<number> {
  const { port, host } = new URL(url)
  const lines = Object.entries({ Host: host, ...headers, 'Content-Length': '0', Connection: 'close' })
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(
    `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  )
  let text = ''
  socket.on('data', chunk => {
    text += chunk
  })
  await once(socket, 'close')
  return Number(text.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length))
}

test('the origin of an app or of a browser extension may be trusted, and is compared whole', async t => {
  const origins = [
    'capacitor://localhost',
    'ionic://localhost',
    'tauri://localhost',
    'app://-',
    'chrome-extension://aapocclcgogkmnckokdopfmhonfmgoek',
    'moz-extension://0b1bd7b8-0d6c-4e5b-a1a6-3a9d7e1c2f00',
    'safari-web-extension://5F8E1B0A-9C3D-4E5F-8A7B-6C5D4E3F2A1B',
    'my.app+2://shop:8080',
  ]
  const running = await aGuardedApp(t, { origins })
  for (const Origin of origins) {
    for (const site of ['cross-site', undefined]) {
      const headers: Headers = { Origin, ...(site && { 'Sec-Fetch-Site': site }) }
      assert.equal(await statusOf(running, headers), 200, Origin)
      for (const other of [`${Origin}/`, `${Origin}x`, `x${Origin}`, Origin.replace('://', ':'), 'null']) {
        assert.equal(await statusOf(running, { ...headers, Origin: other }), 403, other)
      }
    }
  }
  // None is this app's own, whatever its host.
  const Host = 'localhost'
  const plain = await aGuardedApp(t)
  for (const Origin of origins) assert.equal(await statusOf(plain, { Origin, Host }), 403, Origin)
})

test('of an origin in another form than browsers send, the right one is told', () => {
  const sessions = Session(new Koa())
  const wrong: [string, RegExp][] = [
    ['https://admin.example/', /give 'https:\/\/admin\.example', which is what browsers send$/],
    ['https://ADMIN.example', /give 'https:\/\/admin\.example',/],
    ['HTTPS://admin.example:443', /give 'https:\/\/admin\.example',/],
    ['https://user@admin.example/path?a#b', /give 'https:\/\/admin\.example',/],
    ['https://bücher.example', /give 'https:\/\/xn--bcher-kva\.example',/],
    ['http://[0:0:0:0:0:0:0:1]:8080', /give 'http:\/\/\[::1\]:8080',/],
    [' https://admin.example', /give 'https:\/\/admin\.example',/],
    ['capacitor://localhost/', /give 'capacitor:\/\/localhost',/],
    ['Capacitor://localhost', /give 'capacitor:\/\/localhost',/],
    ['capacitor://localhost?a', /give 'capacitor:\/\/localhost',/],
    ['wss://admin.example', /a WebSocket has its page's origin: give 'https:\/\/admin\.example'$/],
    ['https://*.example', /compared whole, so name each$/],
    ['moz-extension://*', /compared whole, so name each$/],
    ['*', /compared whole, so name each$/],
    ['null', /browsers send null for such pages, whoever made them$/],
    ['file://', /browsers send null/],
    ['data:text/html,', /browsers send null/],
    ['blob:https://admin.example/1', /browsers send null/],
    ['admin.example', /give scheme, host and port/],
    ['admin.example:8443', /give scheme, host and port/],
    ['capacitor:localhost', /give scheme, host and port/],
    ['capacitor://', /give scheme, host and port/],
    ['https://a.example https://b.example', /give scheme, host and port/],
    ['https://a.example,https://b.example', /give scheme, host and port|no origin/],
  ]
  for (const [origin, message] of wrong) {
    assert.throws(() => sessions.csrf({ origins: [origin] }), { name: 'ConfigurationError', message })
  }
})

test('lists that are changed while the app is serving change nothing', async t => {
  const origins = ['https://admin.example']
  const exempt = ['/hook']
  const running = await aGuardedApp(t, { origins, exempt, more: { '/hook': () => 1, '/other': () => 1 } })
  origins[0] = 'https://evil.example'
  exempt.push('/other')
  assert.equal(await statusOf(running, { Origin: 'https://admin.example' }), 200)
  assert.equal(await statusOf(running, { Origin: 'https://evil.example' }), 403)
  assert.equal(await statusOf(running, { 'Sec-Fetch-Site': 'cross-site' }, '/hook'), 200)
  assert.equal(await statusOf(running, { 'Sec-Fetch-Site': 'cross-site' }, '/other'), 403)
})

test('what is let through and what is refused vary by what decided', async t => {
  const { visitor } = await aGuardedApp(t, { exempt: ['/csrf'] })
  const vary = async (answer: Promise<{ headers: { vary?: string | undefined } }>) =>
    ((await answer).headers.vary ?? '').split(', ')
  const decided = ['Sec-Fetch-Site', 'Origin']
  const post = (headers: Headers) => vary(visitor().post('/guarded', {}, headers))
  // Nothing of the two decides over what only reads, nor over an exempt path: one copy in a cache serves all pages.
  assert.deepEqual(await vary(visitor().get('/read')), ['Cookie'])
  assert.deepEqual(await vary(visitor().get('/nothing', { Origin: 'https://evil.example' })), [''])
  assert.deepEqual(await vary(visitor().post('/csrf', {}, { Origin: 'https://evil.example' })), ['Cookie'])
  assert.deepEqual(await post({ 'Sec-Fetch-Site': 'same-origin' }), [...decided, 'Cookie'])
  assert.deepEqual(await post({ 'Sec-Fetch-Site': 'cross-site' }), decided)
  assert.deepEqual(await post({ Origin: 'https://evil.example' }), decided)
  // Without either header the token decided, which is the session's.
  assert.deepEqual(await post({}), [...decided, 'Cookie'])
})

test('a refusal asks the store nothing and sets no cookie', async t => {
  const { store, calls } = watched(memoryStore({ clock: () => Date.now() }))
  const { visitor } = await aGuardedApp(t, { store: store as ReturnType<typeof memoryStore> })
  const ada = visitor()
  await ada.get('/csrf')
  calls.length = 0
  for (const headers of [{ 'Sec-Fetch-Site': 'cross-site' }, { Origin: 'null' }, {}]) {
    for (const someone of [ada, visitor()]) {
      const { status, text, setCookies } = await someone.post('/guarded', {}, headers as Headers)
      assert.equal(status, 403)
      assert.match(text, /^(?:Invalid CSRF token|The request came from another site)/)
      assert.deepEqual(setCookies, [])
    }
  }
  assert.deepEqual(calls, [])
})

test('each refusal is told as an event, without a token', async t => {
  const events: LifecycleEvent[] = []
  const listen = (event: unknown) => events.push(event as LifecycleEvent)
  subscribe('koa-atomic-session:lifecycle', listen)
  t.after(() => {
    unsubscribe('koa-atomic-session:lifecycle', listen)
  })
  const { visitor } = await aGuardedApp(t)
  const eve = visitor()
  await eve.post('/guarded', { _csrf: 'x'.repeat(65) })
  await eve.post('/guarded', {}, { 'Sec-Fetch-Site': 'cross-site' })
  await eve.post('/guarded', {}, { 'Sec-Fetch-Site': 'same-origin' })
  const failed = events.filter(({ type }) => type === 'CSRF failed')
  assert.deepEqual(failed, [
    { type: 'CSRF failed', reason: 'token' },
    { type: 'CSRF failed', reason: 'cross-site' },
  ])
})

test('an attacker’s anonymous session given to a visitor is of no use after the visitor has signed in', async t => {
  const { visitor } = await aGuardedApp(t)
  const own = { 'Sec-Fetch-Site': 'same-origin' }
  const mallory = visitor()
  await mallory.post('/write', {}, own)
  const token = String((await mallory.get('/csrf')).json)
  const planted = { Cookie: `sid=${mallory.jar.get('sid')}` }
  const victim = mallory.twin()
  t.after(() => victim.leave())

  const issued = String((await victim.post('/login', {}, own)).json)
  assert.notEqual(victim.jar.get('sid'), mallory.jar.get('sid'))
  // The anonymous data does not come along, the planted cookie is dead, and its token is not the new session's.
  assert.deepEqual((await victim.get('/read')).json, { user: 'ada' })
  assert.deepEqual((await visitor().get('/read', planted)).json, {})
  assert.equal((await victim.post('/guarded', {}, { 'X-CSRF-Token': token })).status, 403)
  const dead = await visitor().post('/guarded', {}, { ...planted, 'X-CSRF-Token': token })
  assert.equal(dead.status, 401)
  assert.equal((await victim.post('/guarded', {}, { 'X-CSRF-Token': issued })).status, 200)
  assert.deepEqual((await victim.get('/read')).json, { user: 'ada', done: 1 })
})

test('signing in needs a token too, which a visitor without a session is given', async t => {
  const { visitor } = await aGuardedApp(t)
  const ada = visitor()
  assert.equal((await ada.post('/login', {})).status, 403)
  const token = String((await ada.get('/csrf')).json)
  const headers = { 'X-CSRF-Token': token }
  assert.equal((await visitor().post('/login', {}, headers)).status, 403)
  assert.equal((await ada.post('/login', {}, headers)).status, 200)
  assert.equal((await ada.post('/guarded', {}, headers)).status, 403)
})

/** What a page's token is worth to the visitor who got it: whether a form that is sent with it is let through. */
async function isGood(visitor: Visitor, token: unknown): Promise<boolean> {
  const { status } = await visitor.post('/guarded', {}, { 'X-CSRF-Token': String(token) })
  return status === 200
}

test('a page’s token is good though its request found the session gone and made another', async t => {
  const { store, expire } = watched(memoryStore({ clock: () => Date.now() }))
  const more: Routes = {
    '/page': async ctx => {
      const token = ctx.session.createCSRF()
      await ctx.session.inc('seen')
      return [token, ctx.session.createCSRF()]
    },
    '/renew': ctx => ctx.session.touch(),
    '/sign-in': ctx => ctx.session.regenerate({ keep: true }).then(() => ctx.session.createCSRF()),
  }
  const { visitor } = await aGuardedApp(t, { store: store as ReturnType<typeof memoryStore>, more })
  const ada = visitor()
  await ada.get('/write')
  const before = ada.jar.get('sid')
  await expire()
  const tokens = (await ada.get('/page')).json as string[]
  assert.notEqual(ada.jar.get('sid')?.slice(0, 40), before?.slice(0, 40))
  for (const token of tokens) assert.ok(await isGood(ada, token))
  // It lasts as long as the session, and a new id ends it.
  await ada.get('/renew')
  assert.ok(await isGood(ada, tokens[0]))
  const { json } = await ada.get('/sign-in')
  assert.deepEqual([await isGood(ada, tokens[0]), await isGood(ada, json)], [false, true])
})

test('a page’s token is good though its request was led on to a session that was renewed meanwhile', async t => {
  const store = memoryStore()
  const more: Routes = {
    '/page': async ctx => {
      const token = ctx.session.createCSRF()
      await ctx.session.inc('seen')
      return token
    },
    '/rotate': async ctx => {
      const token = ctx.session.createCSRF()
      await ctx.session.regenerate({ keep: true, grace: '30s' })
      return token
    },
  }
  const { visitor } = await aGuardedApp(t, { store, more })
  const ada = visitor()
  await ada.get('/write')
  const old = ada.twin()
  const rotated = await ada.get('/rotate')
  assert.ok(await isGood(ada, rotated.json))
  const page = await old.get('/page')
  assert.equal(old.jar.get('sid')?.slice(0, 40), ada.jar.get('sid')?.slice(0, 40))
  assert.ok(await isGood(old, page.json))
})

test('who still has the cookie of a session that has ended gets a token to sign in with', async t => {
  const more: Routes = {
    '/page': async ctx => {
      const session = await ctx.session()
      return [{ ...session }, session.createCSRF()]
    },
    '/sign-out': async ctx => {
      await ctx.session.destroy()
      return ctx.session.createCSRF()
    },
  }
  const { visitor } = await aGuardedApp(t, { more })
  const own = { 'Sec-Fetch-Site': 'same-origin' }
  const ada = visitor()
  for (const isSentTwice of [false, true]) {
    await ada.post('/write', {}, own)
    // Its answer, which clears the cookie, never reaches Ada: she has clicked twice, or has left the page.
    await ada.twin().post('/logout', {}, own)
    const [fields, onPage] = (await ada.get('/page')).json as [object, string]
    assert.deepEqual(fields, {})
    const token = isSentTwice ? (await ada.post('/sign-out', {}, own)).json : onPage
    assert.equal((await ada.post('/login', {}, { 'X-CSRF-Token': String(token) })).status, 200)
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
  }
})

test('a token is not made while the session is being replaced or ended: it would be worthless', async t => {
  const more: Routes = {
    '/regenerate': async ctx => {
      const regenerated = ctx.session.regenerate()
      assert.throws(() => ctx.session.createCSRF(), /createCSRF\(\) was called while regenerate\(\)/)
      await regenerated
      return ctx.session.createCSRF()
    },
    '/destroy': async ctx => {
      const session = await ctx.session()
      const destroyed = session.destroy()
      assert.throws(() => session.createCSRF(), CommandError)
      await destroyed
      assert.throws(() => session.createCSRF(), SessionEndedError)
    },
  }
  const { visitor } = await aGuardedApp(t, { more })
  const ada = visitor()
  assert.ok(await isGood(ada, (await ada.get('/regenerate')).json))
  assert.equal((await ada.get('/destroy')).status, 200)
})

onEachStore('a change and then a token of a new visitor are one insert', async (t, { store, calls }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/page': ctx => {
        ctx.session.set('cart', ['tea'])
        return ctx.session.createCSRF()
      },
      '/check': ctx => ctx.session.assertCSRF(ctx.get('X-CSRF-Token')),
      '/read': async ctx => ({ ...(await ctx.session()) }),
    },
  )
  const ada = visitor()
  const { json } = await ada.get('/page')
  assert.deepEqual(calls, ['insert'])
  assert.equal((await ada.get('/check', { 'X-CSRF-Token': String(json) })).status, 200)
  assert.deepEqual((await ada.get('/read')).json, { cart: ['tea'] })
})

test('a page that is written to the response at once has a token whose cookie leaves with it', async t => {
  const { visitor } = await anApp(
    t,
    { store: memoryStore() },
    {
      '/streamed': ctx => {
        const token = ctx.session.createCSRF()
        ctx.respond = false
        ctx.res.end(JSON.stringify(token))
      },
      '/flushed': ctx => {
        const token = ctx.session.createCSRF()
        ctx.flushHeaders()
        return token
      },
      '/late': ctx => {
        ctx.flushHeaders()
        assert.throws(() => ctx.session.createCSRF(), HeadersSentError)
        return 'none'
      },
      '/check': ctx => ctx.session.assertCSRF(ctx.get('X-CSRF-Token')),
      '/read': async ctx => (await ctx.session()).isNew,
    },
  )
  for (const path of ['/streamed', '/flushed']) {
    const ada = visitor()
    const { json } = await ada.get(path)
    assert.equal(ada.jar.size, 1, path)
    assert.equal((await ada.get('/check', { 'X-CSRF-Token': String(json) })).status, 200, path)
    assert.equal((await ada.get('/read')).json, false, path)
  }
  assert.deepEqual((await visitor().get('/late')).setCookies, [])
})

test('whether a token is good does not depend on whether the session was looked for before', async t => {
  const { store, expire } = watched(memoryStore({ clock: () => Date.now() }))
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('before', true),
      '/page': ctx => ctx.session.createCSRF(),
      '/at-once': ctx => ctx.session.assertCSRF(ctx.get('X-CSRF-Token')),
      '/loaded': async ctx => (await ctx.session()).assertCSRF(ctx.get('X-CSRF-Token')),
      '/read': async ctx => {
        await ctx.session.get('before')
        ctx.session.assertCSRF(ctx.get('X-CSRF-Token'))
      },
    },
  )
  const ada = visitor()
  await ada.get('/write')
  await expire()
  const { json } = await ada.get('/page')
  for (const path of ['/at-once', '/loaded', '/read']) {
    assert.equal((await ada.get(path, { 'X-CSRF-Token': String(json) })).status, 200, path)
  }
  assert.equal((await ada.get('/loaded', { 'X-CSRF-Token': 'forged' })).status, 403)
})
