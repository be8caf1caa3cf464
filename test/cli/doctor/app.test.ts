import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as ask, createServer as createPlain, type OutgoingHttpHeaders } from 'node:http'
import { createServer, globalAgent } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import Koa from 'koa'
import { hstsFound } from '../../../src/cli/app/proxy.ts'
import Session, { type SessionOptions } from '../../../src/index.ts'
import type { Store } from '../../../src/store/store.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { KEY } from '../../support/app.ts'
import { aPath, aStore } from '../../support/sqlite/files.ts'
import { altered } from '../../support/watchedstore.ts'
import { assertFound, assertWell, diagnosed, of } from '../diagnosed.ts'
import { given } from '../terminal.ts'

const withoutTLS = spawnSync('openssl', ['version']).status === 0 ? false : 'NOT TESTED: needs openssl'
if (withoutTLS && process.env.CI) throw new Error('CI needs openssl')

interface AppOptions extends SessionOptions {
  /** Whether the app believes its proxy. */
  readonly proxy?: boolean
}

/** The address of an app whose page counts in the session, asked over HTTP, as by its proxy. */
async function overHTTP(
  t: TestContext,
  { proxy = false, ...options }: AppOptions = {},
  second?: SessionOptions & { readonly property: string },
): Promise<string> {
  const app = new Koa({ proxy })
  app.keys = [KEY]
  app.silent = true
  Session(app, { store: memoryStore(), ...options })
  if (second) Session(app, second)
  app.use(async ctx => {
    await ctx.session.inc('views')
    if (second) await ctx[second.property].inc('views')
    if (ctx.path === '/away') ctx.redirect(`${ctx.protocol}://${ctx.host}/`)
    else ctx.body = 'A page'
  })
  const server = createPlain(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

interface Proxy {
  /** Hands on what visitors say in its name. */
  readonly isGullible?: boolean
  /** What it does to the headers of a response. */
  readonly alter?: (headers: OutgoingHttpHeaders) => void
}

/** The address of an app behind a proxy that ends TLS. */
async function overTLS(t: TestContext, options: AppOptions = {}, proxy: Proxy = {}): Promise<string> {
  const address = await overHTTP(t, { proxy: true, cookie: { secure: true }, ...options })
  const { key, cert } = aCertificate()
  const given = globalAgent.options.ca
  globalAgent.options.ca = cert
  t.after(() => {
    globalAgent.options.ca = given
  })
  const server = createServer({ key, cert }, (request, response) => {
    const said = { 'x-forwarded-proto': 'https', 'x-forwarded-host': request.headers.host }
    const headers = proxy.isGullible ? { ...said, ...request.headers } : { ...request.headers, ...said }
    const inner = ask(new URL(request.url ?? '/', address), { headers }, answer => {
      const altered: OutgoingHttpHeaders = {
        ...answer.headers,
        'strict-transport-security': 'max-age=31536000',
      }
      proxy.alter?.(altered)
      response.writeHead(answer.statusCode ?? 0, altered)
      answer.pipe(response)
    })
    inner.on('error', () => response.destroy())
    request.pipe(inner)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `https://localhost:${(server.address() as AddressInfo).port}/`
}

let made: { readonly key: Buffer; readonly cert: Buffer } | undefined

/** For localhost, and signed by itself. */
function aCertificate(): NonNullable<typeof made> {
  if (made) return made
  const folder = mkdtempSync(join(tmpdir(), 'tls-'))
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  const args = ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject]
  execFileSync('openssl', args, { stdio: 'ignore' })
  made = { key: readFileSync(key), cert: readFileSync(cert) }
  rmSync(folder, { recursive: true })
  return made
}

function onCookie(change: (line: string) => string): Proxy {
  return {
    alter(headers) {
      headers['set-cookie'] = [headers['set-cookie'] ?? []].flat().map(line => change(String(line)))
    },
  }
}

suite('of an app behind TLS the doctor', { skip: withoutTLS }, () => {
  test('finds nothing wrong where all is right', async t => {
    const findings = await diagnosed('--app', await overTLS(t))
    assertWell(findings)
    assert.deepEqual(
      findings.map(({ check }) => check),
      ['app', 'cookie', 'proxy', 'hsts', 'cache'],
    )
  })

  test('finds a cookie without what protects it', async t => {
    for (const [attribute, severity, message] of [
      ['httponly', 'error', /no HttpOnly/],
      ['secure', 'error', /no Secure/],
      ['samesite=lax', 'warning', /no SameSite/],
      ['path=/', 'error', /another Path than \/, so browsers drop it/],
    ] as const) {
      const pattern = new RegExp(`; ?${attribute}(?=;|$)`, 'i')
      const address = await overTLS(
        t,
        {},
        onCookie(line => line.replace(pattern, '')),
      )
      assertFound(await diagnosed('--app', address), 'cookie', severity, message)
    }
  })

  test('finds a cookie that other sites and hosts get or set', async t => {
    const none = await overTLS(t, { cookie: { secure: true, sameSite: 'none' } })
    assertFound(await diagnosed('--app', none), 'cookie', 'warning', /SameSite=None/)
    const domain = await overTLS(t, { cookie: { secure: true, domain: 'localhost' } })
    assertFound(await diagnosed('--app', domain), 'cookie', 'warning', /has a Domain/)
    const plain = await overTLS(t, { key: 'sid' })
    assertFound(await diagnosed('--app', plain), 'cookie', 'note', /does not begin with __Host-/)
  })

  test('finds a proxy that hands on what visitors say in its name', async t => {
    const address = await overTLS(t, { key: 'sid', cookie: {} }, { isGullible: true })
    const findings = await diagnosed('--app', `${address}away`)
    assertFound(findings, 'proxy', 'error', /cookie without Secure/)
    assertFound(findings, 'proxy', 'error', /believes the X-Forwarded-Host/)
  })

  test('finds that browsers may ask over HTTP', async t => {
    const hsts = 'strict-transport-security'
    const without = await overTLS(t, {}, { alter: headers => delete headers[hsts] })
    assertFound(await diagnosed('--app', without), 'hsts', 'warning', /no Strict-Transport-Security/)
    const soon = (headers: OutgoingHttpHeaders) => Object.assign(headers, { [hsts]: 'max-age=60' })
    const short = await overTLS(t, {}, { alter: soon })
    assertFound(await diagnosed('--app', short), 'hsts', 'warning', /for 60 seconds only/)
  })

  test('finds responses that caches may give to others', async t => {
    const alter = (headers: OutgoingHttpHeaders) => {
      Object.assign(headers, { 'cache-control': 'public, max-age=60', age: '7' })
      delete headers.vary
    }
    const findings = await diagnosed('--app', await overTLS(t, {}, { alter }))
    assertFound(findings, 'cache', 'error', /came from a cache/)
    assertFound(findings, 'cache', 'error', /neither private nor no-store/)
    assertFound(findings, 'cache', 'warning', /neither Vary: Cookie/)
  })

  test('finds a certificate that browsers refuse', async t => {
    const address = await overTLS(t)
    const findings = await diagnosed('--app', address.replace('localhost', '127.0.0.1'))
    assertFound(findings, 'app', 'error', /does not answer: .*certificate/)
  })
})

suite('of an app over HTTP the doctor', () => {
  test('finds a public page that does not lead to HTTPS', () => {
    const at = (address: string, status: number, location?: string) =>
      hstsFound(new URL(address), { status, headers: { ...(location && { location }) }, cookies: [] })
    assert.match(JSON.stringify(at('http://shop.example/', 200)), /plain HTTP/)
    assert.match(JSON.stringify(at('http://shop.example/', 301, 'http://www.shop.example/')), /plain HTTP/)
    assert.match(String(at('http://shop.example/', 301, 'https://shop.example/')), /leads to HTTPS/)
    for (const inside of [
      'http://localhost:3000/',
      'http://app:3000/',
      'http://10.1.2.3/',
      'http://[::1]:3000/',
    ]) {
      assert.equal(typeof at(inside, 200), 'string', inside)
    }
  })

  test('finds nothing wrong where it believes its proxy', async t => {
    assertWell(await diagnosed('--app', await overHTTP(t, { proxy: true })))
    assertWell(await diagnosed('--app', await overHTTP(t, { cookie: { secure: true } })))
  })

  test('finds that it does not know of its proxy', async t => {
    assertFound(await diagnosed('--app', await overHTTP(t)), 'proxy', 'warning', /without Secure/)
  })

  test('finds that it does not answer, or with a failure', async t => {
    assertFound(await diagnosed('--app', 'http://127.0.0.1:1/'), 'app', 'error', /ECONNREFUSED/)
    const failing = memoryStore()
    failing.insert = () => Promise.reject(new Error('down'))
    const address = await overHTTP(t, { store: failing, proxy: true })
    assertFound(await diagnosed('--app', address), 'app', 'error', /answers with 500/)
  })

  test('prints nothing of it that could control the terminal', async t => {
    const cookie = `${'a'.repeat(40)}.a.b.${'s'.repeat(43)}`
    const server = createPlain((_, response) => {
      response.writeHead(200, { 'Set-Cookie': `sid\x9b31m=${cookie}` }).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    for (const more of [[], ['--json']]) {
      const { printed } = await given(['doctor', '--app', address, ...more])
      assert.match(printed, /The cookie sid\\u009b31m has no HttpOnly/)
      assert.doesNotMatch(printed, /[\x7f-\x9f]/)
    }
  })

  test('says so where a page begins no session', async t => {
    const findings = await diagnosed('--app', await overHTTP(t), '--cookie', 'other')
    assertFound(findings, 'cookie', 'note', /gave no cookie other of a session/)
  })

  test('finds whether it keeps its sessions in the store, and ends those that it began for this', async t => {
    const path = aPath(t)
    const store = aStore(t, path)
    const right = await diagnosed(path, '--app', await overHTTP(t, { store, proxy: true }))
    assert.deepEqual(
      of(right, 'same-store').map(({ severity }) => severity),
      ['ok'],
    )
    assert.equal(await store.count(), 0)
    const wrong = await diagnosed(path, '--app', await overHTTP(t, { proxy: true }))
    assertFound(wrong, 'same-store', 'error', /the app uses another one/)
  })

  test('ends them where the check is skipped, and those of each kind that the page has', async t => {
    const path = aPath(t)
    const store = aStore(t, path)
    const one = await overHTTP(t, { store, proxy: true })
    await diagnosed(path, '--app', one, '--skip', 'same-store')
    assert.equal(await store.count(), 0)
    const two = await overHTTP(t, { store, proxy: true }, { store, key: 'cart', property: 'cart' })
    for (const more of [[], ['--cookie', 'sid'], ['--cookie', 'cart'], ['--cookie', 'other']]) {
      await diagnosed(path, '--app', two, ...more)
      assert.equal(await store.count(), 0, more.join(' '))
    }
  })

  test('asks for the store of the cookie that is meant, where the page begins two kinds of session', async t => {
    const path = aPath(t)
    const store = aStore(t, path)
    const elsewhere = { store: memoryStore(), key: 'cart', property: 'cart' }
    const address = await overHTTP(t, { store, proxy: true }, elsewhere)
    assertWell(await diagnosed(path, '--app', address, '--cookie', 'sid'))
    const wrong = await diagnosed(path, '--app', address, '--cookie', 'cart')
    assertFound(wrong, 'same-store', 'error', /the app uses another one/)
    assert.equal(await store.count(), 0)
  })

  test('says so where it cannot end them, though the check is skipped', async t => {
    const store = memoryStore()
    const missing = `${aPath(t)}.missing`
    const address = await overHTTP(t, { store, proxy: true })
    const findings = await diagnosed(missing, '--app', address, '--skip', 'same-store')
    assertFound(findings, 'same-store', 'note', /could not be looked at/)
  })

  for (const { says, headers } of [
    { says: 'Age', headers: { Age: '30' } },
    { says: 'X-Cache', headers: { 'X-Cache': 'TCP_MEM_HIT from edge' } },
    { says: 'Cache-Status', headers: { 'Cache-Status': 'edge; hit; ttl=30' } },
    { says: 'nothing', headers: {} },
  ]) {
    test(`leaves a visitor alone whose session a cache gives, which says so by ${says}`, async t => {
      const path = aPath(t)
      const store = aStore(t, path)
      const { cookie, id } = await aVisitor(store)
      const sent: (string | undefined)[] = []
      const cache = createPlain((request, response) => {
        sent.push(request.headers.cookie)
        response.writeHead(200, { ...headers, 'Set-Cookie': `${cookie}; path=/; httponly; samesite=lax` })
        response.end('A page')
      }).listen(0, '127.0.0.1')
      await once(cache, 'listening')
      t.after(() => cache.close())
      const address = `http://127.0.0.1:${(cache.address() as AddressInfo).port}/`
      const findings = await diagnosed(path, '--app', address)
      assert.ok(await store.load(id))
      if (says === 'nothing') {
        assertFound(findings, 'same-store', 'warning', /created before it was asked/)
      } else {
        assertFound(findings, 'cache', 'error', /came from a cache/)
        assert.ok(!findings.some(({ check }) => check === 'same-store'))
        assert.deepEqual(new Set(sent), new Set([undefined]))
      }
    })
  }
})

/** A visitor who came a minute ago. */
async function aVisitor(store: Store): Promise<{ readonly cookie: string; readonly id: string }> {
  const app = new Koa()
  app.keys = [KEY]
  const sessions = Session(app, {
    store: altered(store, (name, [record]) => {
      if (name === 'insert') Object.assign(record as object, { created: new Date(Date.now() - 60_000) })
    }),
  })
  return sessions.create({ user_id: 'ada' })
}
