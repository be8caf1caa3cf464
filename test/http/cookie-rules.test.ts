import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import Keygrip from 'keygrip'
import Koa from 'koa'
import Session, { ConfigurationError, type CookieOptions } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import {
  type App,
  type AppOptions,
  anApp,
  type Context,
  KEY,
  onEachStore,
  type Routes,
  test,
} from '../support/frameworks.ts'
import { altered, watched } from '../support/watchedstore.ts'

const DAY = 24 * 60 * 60 * 1000
const YOUNG = 'a younger key that is known to the tests only, long enough'

const routes: Routes = {
  '/noop': () => 'nothing',
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('name', 'Ada'),
  '/touch': async ctx => {
    await ctx.session.touch(ctx.query.maxAge as string | undefined)
  },
  '/rotate': async ctx => {
    await ctx.session.regenerate({ keep: true })
  },
  '/login': async ctx => {
    await ctx.session.regenerate()
  },
  '/destroy': ctx => ctx.session.destroy(),
}

/** Stops the clock: a cookie counts in seconds, and another may begin between any two steps of a test. */
function atOneMoment(t: TestContext): void {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
}

/** A store whose clock is the test's. */
function aStore() {
  return memoryStore({ clock: () => Date.now() })
}

interface SetCookie {
  readonly name: string
  readonly value: string
  /** By their names in small letters; `''` for those without a value. */
  readonly attributes: Record<string, string>
}

function parsed(line = ''): SetCookie {
  const [pair = '', ...attributes] = line.split('; ')
  const halves = (text: string): [string, string] => {
    const at = text.indexOf('=')
    return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
  }
  const [name, value] = halves(pair)
  return {
    name,
    value,
    attributes: Object.fromEntries(
      attributes.map(halves).map(([attribute, given]) => [attribute.toLowerCase(), given]),
    ),
  }
}

function onlyCookie({ setCookies }: { setCookies: readonly string[] }): SetCookie {
  assert.equal(setCookies.length, 1, `one Set-Cookie, not ${setCookies.length}`)
  return parsed(setCookies[0])
}

function without(attributes: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).filter(([other]) => other !== name))
}

/** What this library warns of until the test ends. */
function warningsOf(t: TestContext): string[] {
  const warnings: string[] = []
  const listen = (warning: Error) => {
    if (warning.name === 'SessionWarning') warnings.push(warning.message)
  }
  process.on('warning', listen)
  t.after(() => {
    process.off('warning', listen)
  })
  return warnings
}

/** Warnings are told after the current tick. */
function aTick(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** The answer to a request that has no cookie jar, over TLS. */
async function overTLS(
  t: TestContext,
  options: AppOptions,
): Promise<(path: string, cookie?: string) => Promise<{ status: number; setCookies: string[] }>> {
  const { app } = await anApp(t, { ...options, store: aStore() }, routes)
  const server = createServer(await aCertificate(t), app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return (path, cookie) =>
    new Promise((resolve, reject) => {
      // The certificate is nobody's but this test's.
      const to = { host: '127.0.0.1', port, path, agent: false as const, rejectUnauthorized: false }
      const sent = request({ ...to, headers: cookie ? { Cookie: cookie } : {} }, response => {
        response.resume()
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, setCookies: response.headers['set-cookie'] ?? [] }),
        )
      })
      sent.once('error', reject)
      sent.end()
    })
}

const run = promisify(execFile)

const withoutOpenSSL = await run('openssl', ['version']).then(
  () => false as const,
  () => 'openssl, which makes the certificate, is not installed',
)

async function aCertificate(t: TestContext): Promise<{ key: Buffer; cert: Buffer }> {
  const folder = await mkdtemp(join(tmpdir(), 'certificate-'))
  t.after(() => rm(folder, { recursive: true }))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  await run('openssl', ['req', ...kind, '-subj', '/CN=localhost', '-keyout', key, '-out', cert])
  return { key: await readFile(key), cert: await readFile(cert) }
}

/** One of every session cookie an app with these options sends: created, rotated, extended, ended. */
async function everyCookie(t: TestContext, options: AppOptions): Promise<SetCookie[]> {
  const { visitor } = await anApp(t, { store: aStore(), ...options }, routes)
  const ada = visitor()
  const sent: SetCookie[] = []
  for (const path of ['/write', '/rotate', '/touch', '/login', '/destroy']) {
    sent.push(onlyCookie(await ada.get(path)))
  }
  return sent
}

test('over TLS a secure session has a __Host- cookie, bound to the host that set it', {
  skip: withoutOpenSSL,
}, async t => {
  const warnings = warningsOf(t)
  const get = await overTLS(t, { cookie: { secure: true } })
  const answer = await get('/write')
  const { name, value, attributes } = onlyCookie(answer)
  assert.equal(name, '__Host-sid')
  assert.deepEqual(without(attributes, 'expires'), { path: '/', secure: '', httponly: '', samesite: 'lax' })
  const ended = onlyCookie(await get('/destroy', `${name}=${value}`))
  assert.equal(ended.value, '')
  assert.deepEqual(without(ended.attributes, 'expires'), without(attributes, 'expires'))
  assert.deepEqual(warnings, [])
})

test('over TLS the cookie is secure though nothing was said, and one that is told otherwise is not', {
  skip: withoutOpenSSL,
}, async t => {
  const auto = await overTLS(t, {})
  assert.equal(onlyCookie(await auto('/write')).attributes.secure, '')
  const never = await overTLS(t, { cookie: { secure: false } })
  assert.equal(onlyCookie(await never('/write')).attributes.secure, undefined)
})

test('a name with a prefix needs the attributes that the prefix stands for, in whatever case', async () => {
  const wrong: [string, CookieOptions][] = [
    ['__Host-x', {}],
    ['__HOST-x', { secure: false }],
    ['__host-x', { secure: true, path: '/app' }],
    ['__hOsT-x', { secure: true, domain: 'example.com' }],
    ['__Secure-x', {}],
    ['__SECURE-x', { secure: false, path: '/app' }],
  ]
  for (const [key, cookie] of wrong) {
    assert.throws(
      () => Session(new Koa(), { key, cookie }),
      (error: Error) => error instanceof ConfigurationError && error.message.startsWith('key: '),
      `${key} ${JSON.stringify(cookie)}`,
    )
  }
  const right: [string, CookieOptions][] = [
    ['__HOST-x', { secure: true }],
    ['__Secure-x', { secure: true, path: '/app', domain: 'example.com' }],
  ]
  for (const [key, cookie] of right) assert.ok(Session(new Koa(), { key, cookie }))
})

test('without a name a secure cookie gets the safest prefix that its attributes allow', async t => {
  const names: [CookieOptions, string][] = [
    [{}, 'sid'],
    [{ secure: false, path: '/app' }, 'sid'],
    [{ secure: true }, '__Host-sid'],
    [{ secure: true, path: '/app' }, '__Secure-sid'],
    [{ secure: true, domain: 'example.com' }, '__Secure-sid'],
  ]
  for (const [cookie, name] of names) {
    const { visitor } = await anApp(t, { store: aStore(), cookie }, routes)
    assert.equal(onlyCookie(await visitor().get('/write')).name, name, JSON.stringify(cookie))
  }
})

test('attributes that a browser would refuse, or that would break the header, are refused at once', () => {
  const wrong: [string, unknown][] = [
    ['cookie', 'lax'],
    ['cookie', null],
    ...['/;x', 'app', '', '/a\r\nb', '/süß', '/a\u0000', '/a<b', 5].map((path): [string, unknown] => [
      'cookie.path',
      { path },
    ]),
    ...['a;b', 'a\r\nb', 'süß.example', '', ' ', 'a b', '-', 'a..b', 'a-.b', `${'a'.repeat(64)}.b`, 5].map(
      (domain): [string, unknown] => ['cookie.domain', { domain }],
    ),
    ...['Lax', '', true, 'nonsense'].map((sameSite): [string, unknown] => ['cookie.sameSite', { sameSite }]),
    ['cookie.sameSite', { sameSite: 'none' }],
    ['cookie.sameSite', { sameSite: 'none', secure: false }],
    ['cookie.secure', { secure: 'auto' }],
    ['cookie.partitioned', { partitioned: true }],
    ['cookie.partitioned', { partitioned: 1, secure: true }],
    ['cookie.persistent', { persistent: 'yes' }],
    ['httpOnly', { httpOnly: false }],
    ['maxAge', { maxAge: 1 }],
    ['key', undefined],
  ]
  for (const [name, cookie] of wrong) {
    const options = name === 'key' ? { key: 'a;b' } : { cookie }
    assert.throws(
      () => Session(new Koa(), options as AppOptions),
      (error: Error) => error instanceof ConfigurationError && error.message.includes(name),
      `${name}: ${JSON.stringify(cookie)}`,
    )
  }
})

test('each attribute is sent as it was set, with every cookie of the session', async t => {
  const table: [CookieOptions, Record<string, string>][] = [
    [{}, { path: '/', samesite: 'lax', httponly: '' }],
    [{ sameSite: 'strict' }, { path: '/', samesite: 'strict', httponly: '' }],
    [
      { sameSite: 'none', secure: true },
      { path: '/', samesite: 'none', secure: '', httponly: '' },
    ],
    [
      { path: '/app', domain: 'example.com' },
      { path: '/app', domain: 'example.com', samesite: 'lax', httponly: '' },
    ],
    [
      { secure: true, partitioned: true },
      { path: '/', samesite: 'lax', secure: '', httponly: '', partitioned: '' },
    ],
    [
      { secure: false, partitioned: false },
      { path: '/', samesite: 'lax', httponly: '' },
    ],
  ]
  for (const [cookie, expected] of table) {
    for (const { name, attributes } of await everyCookie(t, { cookie })) {
      assert.deepEqual(without(attributes, 'expires'), expected, `${name} ${JSON.stringify(cookie)}`)
    }
  }
})

test('deleting the cookie repeats where it was set, and dates it to the epoch', async t => {
  const cookies: CookieOptions[] = [
    {},
    { path: '/app', domain: 'example.com', secure: true, sameSite: 'none' },
    { secure: true, partitioned: true },
    { persistent: false, sameSite: 'strict' },
  ]
  for (const cookie of cookies) {
    const { visitor } = await anApp(t, { store: aStore(), cookie }, routes)
    const ada = visitor()
    const created = onlyCookie(await ada.get('/write'))
    const ended = onlyCookie(await ada.get('/destroy'))
    assert.equal(ended.name, created.name)
    assert.equal(ended.value, '')
    assert.equal(Date.parse(ended.attributes.expires ?? ''), 0)
    assert.deepEqual(without(ended.attributes, 'expires'), without(created.attributes, 'expires'))
    assert.equal(ada.jar.size, 0)
  }
})

test('a cookie stays as short as it was, whatever the session holds', async t => {
  const { visitor } = await anApp(t, { store: aStore() }, {
    '/set': ctx => ctx.session.set('text', 'x'.repeat(Number(ctx.query.bytes))),
    '/touch': async ctx => void (await ctx.session.touch()),
  } as Routes)
  const ada = visitor()
  const { name, value } = onlyCookie(await ada.get('/set?bytes=1'))
  await ada.get('/set?bytes=100000')
  const later = onlyCookie(await ada.get('/touch'))
  assert.equal(later.value.length, value.length)
  assert.ok(name.length + value.length < 120, `${name.length + value.length} bytes`)
})

/** What one request may do to its session, in any order. */
const acts: Record<string, (ctx: Context) => unknown> = {
  set: ctx => ctx.session.set('a', 1),
  touch: ctx => ctx.session.touch(),
  'touch(1h)': ctx => ctx.session.touch('1h'),
  regenerate: ctx => ctx.session.regenerate({ keep: true }),
  csrf: ctx => ctx.session.createCSRF(),
  destroy: ctx => ctx.session.destroy(),
  load: ctx => ctx.session(),
}

onEachStore('a response never has two session cookies, whatever happened in it', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, async ctx => {
    try {
      for (const act of String(ctx.query.acts).split(',')) await acts[act]?.(ctx)
    } catch (error) {
      return { error: (error as { code?: string }).code }
    }
    return 'done'
  })
  const names = Object.keys(acts)
  const visitors = [visitor(), visitor()]
  for (const first of names) {
    for (const second of names) {
      for (const third of names) {
        const order = [first, second, third].join()
        await Promise.all(
          visitors.map(async (ada, n) => {
            if (n === 0) ada.jar.clear()
            const { status, setCookies } = await ada.get(`/?acts=${encodeURIComponent(order)}`)
            assert.equal(status, 200, order)
            assert.ok(setCookies.length <= 1, `${order}: ${setCookies.length}`)
          }),
        )
      }
    }
  }
})

onEachStore('a write followed by the end of the session sends no more than its deletion', async (t, w) => {
  const { visitor } = await anApp(
    t,
    { store: w.store },
    {
      '/all': async ctx => {
        await ctx.session.set('a', 1)
        await ctx.session.regenerate({ keep: true })
        await ctx.session.set('b', 1)
        await ctx.session.destroy()
      },
    },
  )
  const ada = visitor()
  assert.equal(onlyCookie(await ada.get('/all')).value, '')
  assert.equal(ada.jar.size, 0)
  assert.deepEqual(await w.records(), [])
})

test('a cookie lives for 400 days at most, and who asks for more is warned', async t => {
  const warnings = warningsOf(t)
  const { visitor } = await anApp(t, { store: aStore(), maxAge: '500 days' }, routes)
  const { attributes } = onlyCookie(await visitor().get('/write'))
  const ahead = Date.parse(attributes.expires ?? '') - Date.now()
  assert.ok(ahead <= 400 * DAY && ahead > 399 * DAY, `${ahead / DAY} days`)
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /maxAge.*400 days/)
  Session(new Koa(), { maxAge: '400 days' })
  await aTick()
  assert.equal(warnings.length, 1)
})

test('a session given more than 400 days of its own has a cookie that a browser keeps', async t => {
  const { visitor } = await anApp(t, { store: aStore() }, routes)
  const ada = visitor()
  await ada.get('/write')
  const { attributes } = onlyCookie(await ada.get('/touch?maxAge=5%20years'))
  const ahead = Date.parse(attributes.expires ?? '') - Date.now()
  assert.ok(ahead <= 400 * DAY && ahead > 399 * DAY, `${ahead / DAY} days`)
})

onEachStore('the cookie’s end is the session’s, to the second', async (t, { store, records }) => {
  atOneMoment(t)
  // More than 2³¹ milliseconds, and fewer than a second's.
  for (const maxAge of [1500, '1h', '14 days', '300 days']) {
    const { visitor } = await anApp(t, { store, maxAge, touchAfter: 1 }, routes)
    const ada = visitor()
    for (const path of ['/write', '/touch']) {
      const { attributes } = onlyCookie(await ada.get(path))
      const stored = (await records()).at(-1)?.expires
      // A cookie counts in seconds, and must not end before its session.
      const difference = Date.parse(attributes.expires ?? '') - Number(stored)
      assert.ok(difference >= 0 && difference < 1000, `${maxAge} ${path}: ${difference} ms`)
      t.mock.timers.tick(1)
    }
  }
})

test('a browser-session cookie has no end, however often the session is changed', async t => {
  const cookies = await everyCookie(t, { cookie: { persistent: false } })
  const ended = cookies.pop()
  for (const { attributes } of cookies) {
    assert.equal(attributes.expires, undefined)
    assert.equal(attributes['max-age'], undefined)
  }
  assert.equal(Date.parse(ended?.attributes.expires ?? ''), 0)
})

onEachStore('a browser-session cookie is worth nothing once the session has expired', async (t, w) => {
  const { visitor } = await anApp(t, { store: w.store, cookie: { persistent: false } }, routes)
  const ada = visitor()
  await ada.get('/write')
  await ada.get('/write')
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  await w.expire()
  assert.deepEqual((await ada.get('/read')).json, {})
})

onEachStore('“remember me” makes the cookie outlive the browser, and can be taken back', async (t, w) => {
  const { visitor } = await anApp(t, { store: w.store, cookie: { persistent: false } }, routes)
  const ada = visitor()
  const eve = visitor()
  const start = Date.now()
  await ada.get('/write')
  const remembered = onlyCookie(await ada.get('/touch?maxAge=60%20days'))
  const ahead = Date.parse(remembered.attributes.expires ?? '') - start
  assert.ok(Math.abs(ahead - 60 * DAY) < 10_000, `${ahead / DAY} days`)
  // Rotation and extension remember it too; others are not concerned.
  assert.ok(onlyCookie(await ada.get('/rotate')).attributes.expires)
  assert.equal(onlyCookie(await eve.get('/write')).attributes.expires, undefined)
  t.mock.timers.enable({ apis: ['Date'], now: start + 30 * DAY })
  assert.deepEqual((await eve.get('/read')).json, {})
  const extended = onlyCookie(await ada.get('/read'))
  const further = Date.parse(extended.attributes.expires ?? '') - start
  assert.ok(Math.abs(further - 90 * DAY) < 10_000, `${further / DAY} days`)
  assert.equal(onlyCookie(await ada.get('/touch?maxAge=14%20days')).attributes.expires, undefined)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

test('a lifetime asked for before anything is stored is the new session’s', async t => {
  const { visitor } = await anApp(t, { store: aStore(), cookie: { persistent: false } }, async ctx => {
    await ctx.session.touch('60 days')
    await ctx.session.set('name', 'Ada')
  })
  const { attributes } = onlyCookie(await visitor().get('/'))
  const ahead = Date.parse(attributes.expires ?? '') - Date.now()
  assert.ok(Math.abs(ahead - 60 * DAY) < 10_000, `${ahead / DAY} days`)
})

test('one session’s lifetime changes neither the options nor another session', async t => {
  const cookie: CookieOptions = { sameSite: 'strict' }
  const options = { maxAge: '1h', cookie, store: aStore() }
  const before = structuredClone({ maxAge: options.maxAge, cookie })
  const { visitor } = await anApp(t, options, routes)
  const [ada, eve] = [visitor(), visitor()]
  await ada.get('/write')
  await ada.get('/touch?maxAge=30%20days')
  const { attributes } = onlyCookie(await eve.get('/write'))
  assert.ok(Date.parse(attributes.expires ?? '') - Date.now() < 1.01 * 60 * 60 * 1000)
  assert.deepEqual({ maxAge: options.maxAge, cookie }, before)
  // Nor does changing the options afterwards change the app.
  cookie.sameSite = 'lax'
  assert.equal(onlyCookie(await visitor().get('/write')).attributes.samesite, 'strict')
})

test('a lifetime that is none is refused at the call', async t => {
  const { visitor, errors } = await anApp(t, { store: aStore() }, routes)
  const ada = visitor()
  await ada.get('/write')
  for (const maxAge of ['banana', '-1h', '0', '']) {
    const { status, setCookies } = await ada.get(`/touch?maxAge=${maxAge}`)
    assert.equal(status, 500, maxAge)
    assert.deepEqual(setCookies, [])
    assert.ok(errors.pop() instanceof ConfigurationError, maxAge)
  }
})

test('without a trusted proxy, X-Forwarded-Proto is the visitor’s word: warned of once, secure all the same', async t => {
  const warnings = warningsOf(t)
  const { visitor } = await anApp(t, { store: aStore(), cookie: { secure: true } }, routes)
  for (const headers of [{ 'X-Forwarded-Proto': 'https' }, {}, { 'X-Forwarded-Proto': 'https' }]) {
    const { status, setCookies } = await visitor().get('/write', headers)
    assert.equal(status, 200)
    assert.equal(onlyCookie({ setCookies }).attributes.secure, '')
  }
  await aTick()
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /app\.proxy/)
})

test('a trusted proxy’s X-Forwarded-Proto counts, the first of a list, and nothing is warned of', async t => {
  const warnings = warningsOf(t)
  const prepare = (app: App) => {
    app.proxy = true
  }
  const strict = await anApp(t, { store: aStore(), prepare, cookie: { secure: true } }, routes)
  for (const proto of ['https', 'https, http', 'https,https']) {
    const answer = await strict.visitor().get('/write', { 'X-Forwarded-Proto': proto })
    assert.equal(onlyCookie(answer).attributes.secure, '', proto)
  }
  await aTick()
  assert.deepEqual(warnings, [])

  const auto = await anApp(t, { store: aStore(), prepare }, routes)
  const secure: [string | undefined, string | undefined][] = [
    ['https', ''],
    ['https, http', ''],
    ['http, https', undefined],
    ['http', undefined],
    [undefined, undefined],
  ]
  for (const [proto, expected] of secure) {
    const answer = await auto.visitor().get('/write', proto ? { 'X-Forwarded-Proto': proto } : {})
    assert.equal(onlyCookie(answer).attributes.secure, expected, proto)
  }
  await aTick()
  assert.deepEqual(warnings, [])
})

test('a proxy that ends TLS and is not trusted is warned of once, where the cookie is as the request is', async t => {
  const warnings = warningsOf(t)
  const https = { 'X-Forwarded-Proto': 'https' }
  const { visitor } = await anApp(t, { store: aStore() }, routes)
  await visitor().get('/write')
  // Which uses no session's cookie.
  await visitor().get('/noop', https)
  await visitor().get('/read', https)
  await visitor().get('/write', { 'X-Forwarded-Proto': 'http, https' })
  await aTick()
  assert.deepEqual(warnings, [])
  for (const proto of ['https', 'HTTPS , http', 'https']) {
    const answer = await visitor().get('/write', { 'X-Forwarded-Proto': proto })
    assert.equal(onlyCookie(answer).attributes.secure, undefined)
  }
  await aTick()
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /cookie sid is not secure.*app\.proxy = true/)

  const trusting = { prepare: (app: App) => Object.assign(app, { proxy: true }) }
  for (const options of [trusting, { cookie: { secure: false } }]) {
    const settled = await anApp(t, { store: aStore(), ...options }, routes)
    await settled.visitor().get('/write', https)
  }
  await aTick()
  assert.equal(warnings.length, 1)
})

const rotated: [string, AppOptions][] = [
  ['as it is by default', {}],
  [
    'with every attribute',
    { cookie: { domain: 'example.com', path: '/', sameSite: 'none', secure: true, partitioned: true } },
  ],
  ['of a browser session', { cookie: { persistent: false } }],
]

for (const [kind, options] of rotated) {
  onEachStore(
    `a cookie ${kind} is sent again as a whole under the new key, and once only`,
    async (t, { store, records }) => {
      atOneMoment(t)
      const appOf = (...keys: string[]) => anApp(t, { ...options, store, keys }, routes)
      const [before, between, after] = [await appOf(KEY), await appOf(YOUNG, KEY), await appOf(YOUNG)]
      const created = onlyCookie(await before.visitor().get('/write'))
      const old = { Cookie: `${created.name}=${created.value}` }
      const [record] = await records()

      // Unused, it is left alone.
      assert.deepEqual((await between.visitor().get('/noop', old)).setCookies, [])
      for (const path of ['/read', '/write']) {
        const answer = await between.visitor().get(path, old)
        const again = onlyCookie(answer)
        assert.equal(again.name, created.name)
        assert.deepEqual(again.attributes, created.attributes)
        const payload = (value: string) => value.slice(0, value.lastIndexOf('.'))
        assert.equal(payload(again.value), payload(created.value))
        assert.notEqual(again.value, created.value)
        assert.equal(answer.headers['cache-control'], 'no-store')
        const young = { Cookie: `${again.name}=${again.value}` }
        assert.deepEqual((await between.visitor().get('/read', young)).setCookies, [])
        // Once the old key is gone the new cookie is as good as before, and the old one is nothing.
        const kept = await after.visitor().get('/read', young)
        assert.deepEqual(kept.json, { name: 'Ada' })
        assert.deepEqual(kept.setCookies, [])
      }
      const retired = await after.visitor().get('/read', old)
      assert.equal(retired.status, 200)
      assert.deepEqual(retired.json, {})
      assert.equal((await records()).length, 1)
      assert.equal((await records())[0]?.expires.getTime(), record?.expires.getTime())
    },
  )
}

onEachStore('a remembered session is remembered under the new key', async (t, { store }) => {
  atOneMoment(t)
  const cookie: CookieOptions = { persistent: false }
  const before = await anApp(t, { store, cookie }, routes)
  const between = await anApp(t, { store, cookie, keys: [YOUNG, KEY] }, routes)
  const ada = before.visitor()
  await ada.get('/write')
  const remembered = onlyCookie(await ada.get('/touch?maxAge=60%20days'))
  const again = onlyCookie(await between.visitor().get('/read', { Cookie: `sid=${remembered.value}` }))
  assert.deepEqual(again.attributes, remembered.attributes)
})

onEachStore(
  'an old key’s cookie that is also due is sent once, and one that ends is deleted',
  async (t, w) => {
    const before = await anApp(t, { store: w.store }, routes)
    const between = await anApp(t, { store: w.store, keys: [YOUNG, KEY] }, routes)
    const created = onlyCookie(await before.visitor().get('/write'))
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * DAY })
    const Cookie = `sid=${created.value}`
    const extended = onlyCookie(await between.visitor().get('/read', { Cookie }))
    assert.ok(Date.parse(extended.attributes.expires ?? '') > Date.parse(created.attributes.expires ?? ''))
    assert.equal(onlyCookie(await between.visitor().get('/destroy', { Cookie })).value, '')
  },
)

onEachStore('the first key signs, and each of them verifies', async (t, { store }) => {
  const keys = [KEY, YOUNG, 'a third key that is known to the tests only, long enough']
  const all = await anApp(t, { store, keys }, routes)
  for (const [at, key] of keys.entries()) {
    const one = await anApp(t, { store, keys: [key] }, routes)
    const { value } = onlyCookie(await one.visitor().get('/write'))
    const answer = await all.visitor().get('/read', { Cookie: `sid=${value}` })
    assert.deepEqual(answer.json, { name: 'Ada' })
    assert.equal(answer.setCookies.length, at === 0 ? 0 : 1, `key ${at}`)
  }
  const { value } = onlyCookie(await all.visitor().get('/write'))
  const [payload, signature] = [value.slice(0, value.lastIndexOf('.')), value.split('.').at(-1)]
  assert.equal(new Keygrip([KEY], 'sha256').sign(`sid=${payload}`), signature)
})

onEachStore('two different cookies of our name that verify make an anonymous visitor', async (t, w) => {
  const { visitor } = await anApp(t, { store: w.store }, routes)
  const [ada, eve] = [visitor(), visitor()]
  await ada.get('/write')
  await eve.get('/write')
  const [a, b] = [ada.jar.get('sid'), eve.jar.get('sid')]
  w.calls.length = 0
  for (const pair of [`sid=${a}; sid=${b}`, `sid=${b}; sid=${a}`, `sid=junk; sid=${a}; sid=${b}`]) {
    const { status, json } = await visitor().get('/read', { Cookie: pair })
    assert.equal(status, 200)
    assert.deepEqual(json, {})
  }
  assert.deepEqual(w.calls, [])
})

test('a header stuffed with cookies is refused by Node, and the app goes on', async t => {
  const { visitor } = await anApp(t, { store: aStore() }, routes)
  const ada = visitor()
  await ada.get('/write')
  const stuffed = Array.from({ length: 200 }, (_, n) => `c${n}=${'x'.repeat(100)}`).join('; ')
  assert.equal((await visitor().get('/read', { Cookie: stuffed })).status, 431)
  const nearly = `${stuffed.slice(0, 15_000)}; sid=${ada.jar.get('sid')}`
  assert.deepEqual((await visitor().get('/read', { Cookie: nearly })).json, { name: 'Ada' })
  // The browser may have thrown ours away instead.
  const lost = await visitor().get('/read', { Cookie: stuffed.slice(0, 15_000) })
  assert.equal(lost.status, 200)
  assert.deepEqual(lost.json, {})
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

test('names are compared exactly: only spaces and tabs around them do not count', async t => {
  const { visitor } = await anApp(t, { store: aStore() }, routes)
  const ada = visitor()
  await ada.get('/write')
  const value = ada.jar.get('sid')
  const others = [
    `\u00a0sid=${value}`,
    `sid\u00a0=${value}`,
    `\u000bsid=${value}`.replace('\u000b', '\u0085'),
    `SID=${value}`,
    `%73id=${value}`,
    `sid="${value}"`,
    `"sid"=${value}`,
    `sid=\u00a0${value}`,
    `sid[]=${value}`,
    `sid=${value},`,
    `x=sid=${value}`,
    `=sid=${value}`,
  ]
  for (const cookie of others) {
    assert.deepEqual((await visitor().get('/read', { Cookie: cookie })).json, {}, JSON.stringify(cookie))
  }
  for (const cookie of [` sid=${value}`, `a=1;\tsid=${value}\t;b=2`, `a; sid=${value};`]) {
    assert.deepEqual((await visitor().get('/read', { Cookie: cookie })).json, { name: 'Ada' }, cookie)
  }
})

onEachStore('a signature that does not verify is not tried in another way', async (t, w) => {
  const { visitor } = await anApp(t, { store: w.store, key: 'sid' }, routes)
  const ada = visitor()
  await ada.get('/write')
  const value = ada.jar.get('sid') ?? ''
  const [secret = '', issued = '', maxAge = ''] = value.split('.')
  const payload = `${secret}.${issued}.${maxAge}`
  const by = (algorithm: string, text: string) => new Keygrip([KEY], algorithm).sign(text)
  const wrong = {
    unsigned: `sid=${payload}`,
    'an empty signature': `sid=${payload}.`,
    'a signature without the name': `sid=${payload}.${by('sha256', payload)}`,
    'a signature of another name': `sid=${payload}.${by('sha256', `basket=${payload}`)}`,
    'a SHA-1': `sid=${payload}.${by('sha1', `sid=${payload}`)}`,
    'a SHA-1 of full length': `sid=${payload}.${by('sha1', `sid=${payload}`).padEnd(43, 'A')}`,
    'the secret in base64': `sid=${Buffer.from(secret, 'hex').toString('base64url')}.${issued}.${maxAge}.${by(
      'sha256',
      `sid=${Buffer.from(secret, 'hex').toString('base64url')}.${issued}.${maxAge}`,
    )}`,
    'a pair as Koa signs it': `sid=${payload}; sid.sig=${by('sha1', `sid=${payload}`)}`,
    'a pair with a SHA-256': `sid=${secret}; sid.sig=${by('sha256', `sid=${secret}`)}`,
    'another session’s signature': `sid=${'ab'.repeat(20)}.${issued}.${maxAge}.${value.split('.').at(-1)}`,
    'a longer life': `sid=${secret}.${issued}.zzzzzzzz.${value.split('.').at(-1)}`,
    'a later issue': `sid=${secret}.zzzzzzzz.${maxAge}.${value.split('.').at(-1)}`,
  }
  w.calls.length = 0
  for (const [kind, cookie] of Object.entries(wrong)) {
    const { status, json } = await visitor().get('/read', { Cookie: cookie })
    assert.equal(status, 200, kind)
    assert.deepEqual(json, {}, kind)
  }
  assert.deepEqual(w.calls, [])
})

onEachStore('an app’s cookie is worth nothing to another app on the same store and keys', async (t, w) => {
  const [shop, forum] = [
    await anApp(t, { store: w.store, key: 'shop' }, routes),
    await anApp(t, { store: w.store, key: 'forum' }, routes),
  ]
  const ada = shop.visitor()
  await ada.get('/write')
  const value = ada.jar.get('shop') ?? ''
  w.calls.length = 0
  for (const cookie of [`shop=${value}`, `forum=${value}`]) {
    assert.deepEqual((await forum.visitor().get('/read', { Cookie: cookie })).json, {}, cookie)
  }
  assert.deepEqual(w.calls, [])
})

onEachStore('who reads the database can make no cookie of what is there', async (t, w) => {
  const { visitor } = await anApp(t, { store: w.store }, routes)
  const ada = visitor()
  await ada.get('/write')
  const [record] = await w.records()
  const id = record?.id ?? ''
  const times = `${record?.created.getTime().toString(36)}.${record?.maxAge.toString(36)}`
  const made = [id, `${id}.${times}`, `${id.slice(0, 40)}.${times}`].flatMap(payload => [
    payload,
    `${payload}.${new Keygrip([id], 'sha256').sign(`sid=${payload}`)}`,
  ])
  // Even signed by the app itself, which no reader of the database can have done, an id is no secret.
  made.push(
    `${id.slice(0, 40)}.${times}.${new Keygrip([KEY], 'sha256').sign(`sid=${id.slice(0, 40)}.${times}`)}`,
  )
  for (const value of made) {
    assert.deepEqual((await visitor().get('/read', { Cookie: `sid=${value}` })).json, {}, value)
  }
})

onEachStore('an answer varies on Cookie once its session was asked for in any way', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, {
    ...(routes as object),
    '/get': ctx => ctx.session.get('name').then(name => name ?? null),
    '/keys': async ctx => Object.keys(await ctx.session()),
    '/has': async ctx => 'name' in (await ctx.session()),
    '/new': async ctx => (await ctx.session()).isNew,
    '/csrf': ctx => ctx.session.createCSRF(),
    '/poll': async ctx => Object.keys(await ctx.session({ extend: false })),
  } as Routes)
  const ada = visitor()
  await ada.get('/write')
  for (const path of ['/get', '/keys', '/has', '/new', '/csrf', '/poll', '/touch', '/rotate']) {
    for (const someone of [ada, visitor()]) {
      assert.equal((await someone.get(path)).headers.vary, 'Cookie', path)
    }
  }
  assert.equal((await ada.get('/noop')).headers.vary, undefined)
})

/** Calls `listener` just before the headers are sent, as the package on-headers does for other middleware. */
function onHeaders(res: ServerResponse, listener: () => void): void {
  const { writeHead } = res
  res.writeHead = function (this: ServerResponse, ...given: unknown[]) {
    listener()
    return Reflect.apply(writeHead, this, given)
  }
}

test('a listener for the headers may replace them, whether it came before or after the session', async t => {
  const listen = ({ res }: Context) =>
    onHeaders(res, () => {
      res.setHeader('Set-Cookie', ['theirs=1; Path=/'])
      res.setHeader('Vary', 'Accept-Encoding')
      res.setHeader('Cache-Control', 'public, max-age=600')
    })
  const { visitor, errors } = await anApp(
    t,
    { store: memoryStore() },
    {
      '/before': async ctx => {
        listen(ctx)
        await ctx.session.inc('n')
      },
      '/after': async ctx => {
        await ctx.session.inc('n')
        listen(ctx)
      },
      '/by-hand': async ctx => {
        listen(ctx)
        await ctx.session.inc('n')
        ctx.respond = false
        ctx.res.writeHead(200, 'Fine', { 'X-More': 'more' }).end()
      },
      '/error': async ctx => {
        listen(ctx)
        await ctx.session.inc('n')
        ctx.throw(400)
      },
      '/untouched': ctx => listen(ctx),
    },
  )
  for (const path of ['/before', '/after', '/by-hand', '/error']) {
    const { headers, setCookies } = await visitor().get(path)
    assert.deepEqual(
      setCookies.map(line => line.split('=')[0]),
      ['theirs', 'sid'],
      path,
    )
    assert.equal(headers.vary, 'Accept-Encoding, Cookie', path)
    assert.equal(headers['cache-control'], 'no-store', path)
    assert.equal(headers['x-more'], path === '/by-hand' ? 'more' : undefined)
  }
  const { headers, setCookies } = await visitor().get('/untouched')
  assert.deepEqual(setCookies, ['theirs=1; Path=/'])
  assert.equal(headers.vary, 'Accept-Encoding')
  assert.equal(headers['cache-control'], 'public, max-age=600')
  assert.equal(errors.length, 1)
})

onEachStore('an extension that nobody wrote for is stored by no cache', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, {
    '/write': ctx => ctx.session.set('name', 'Ada'),
    '/ask': async ctx => void (await ctx.session.get('name')),
  } as Routes)
  const ada = visitor()
  await ada.get('/write')
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * DAY })
  const { headers, setCookies } = await ada.get('/ask')
  assert.equal(setCookies.length, 1)
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers.vary, 'Cookie')
})

test('a session that cannot be read is an error and not an empty session, and other routes do not mind', async t => {
  const target = watched(aStore())
  let down = false
  const store = altered(target.store, () => {
    if (down) throw new Error('no connection to 10.0.0.5:27017')
  })
  const { visitor } = await anApp(t, { store }, {
    ...(routes as object),
    '/get': ctx => ctx.session.get('name'),
    '/own': async ctx => {
      await ctx.session()
      ctx.throw(418)
    },
  } as Routes)
  const ada = visitor()
  await ada.get('/write')
  const value = ada.jar.get('sid')
  down = true
  for (const path of ['/read', '/get', '/write', '/rotate', '/touch', '/destroy', '/own']) {
    const { status, text, setCookies } = await ada.get(path)
    assert.ok(status >= 500, `${path}: ${status}`)
    assert.deepEqual(setCookies, [], path)
    assert.ok(!text.includes('10.0.0.5'), path)
  }
  assert.equal((await ada.get('/noop')).status, 200)
  assert.equal((await visitor().get('/read')).status, 200)
  down = false
  assert.equal(ada.jar.get('sid'), value)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})
