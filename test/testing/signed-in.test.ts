import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigurationError, FieldError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { signedIn } from '../../src/testing/index.ts'
import { anApp } from '../support/app.ts'
import { launchChromium, withoutChromium } from '../support/chromium.ts'

const routes = {
  '/who': async (ctx: { session: { get(path: string): PromiseLike<unknown> } }) => ({
    user: (await ctx.session.get('user_id')) ?? null,
  }),
}

test('a request with the headers of who is signed in is theirs', async t => {
  const { sessions, url } = await anApp(t, { store: memoryStore() }, routes)
  const { id, cookie, headers } = await signedIn(sessions, { user_id: 'ada', 'cart.total': 3 })
  const answer = await fetch(`${url}/who`, { headers })
  assert.deepEqual(await answer.json(), { user: 'ada' })
  assert.deepEqual(headers, { cookie })
  assert.equal(await sessions.open(id).get('cart.total'), 3)
  const anybody = await fetch(`${url}/who`)
  assert.deepEqual(await anybody.json(), { user: null })
})

test('fields that a session cannot hold are refused, and nobody is signed in', async t => {
  const { sessions } = await anApp(t, { store: memoryStore() }, routes)
  await assert.rejects(signedIn(sessions, { $where: 1 }), FieldError)
  assert.equal(await sessions.count(), 0)
})

test('the cookie for a browser has the attributes that the app gives it', async t => {
  const cookie = { domain: 'shop.example', path: '/my', sameSite: 'strict', secure: true } as const
  const { sessions } = await anApp(t, { store: memoryStore(), cookie, maxAge: '1h' }, routes)
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const before = Math.floor(Date.now() / 1000)
  const ada = await signedIn(sessions, { user_id: 'ada' })
  const { expires, ...rest } = ada.browserCookie('https://www.shop.example/')
  assert.deepEqual(rest, {
    name: '__Secure-sid',
    value: ada.cookie.slice('__Secure-sid='.length),
    domain: '.shop.example',
    path: '/my',
    httpOnly: true,
    secure: true,
    sameSite: 'Strict',
  })
  assert.ok(expires >= before + 3600 && expires <= before + 3602, `${expires - before} s`)
})

test('the cookie for a browser is secure where the app has TLS, unless the app says otherwise', async t => {
  const { sessions } = await anApp(t, { store: memoryStore() }, routes)
  const { browserCookie } = await signedIn(sessions, {})
  assert.equal(browserCookie('https://localhost').secure, true)
  assert.equal(browserCookie(new URL('http://localhost:3000/page')).secure, false)
  assert.equal(browserCookie('http://localhost:3000').domain, 'localhost')
})

test('the cookie for a browser goes with the browser where the app wants it so', async t => {
  const options = { store: memoryStore(), cookie: { persistent: false } }
  const { sessions } = await anApp(t, options, routes)
  const passing = await signedIn(sessions, {})
  assert.equal(passing.browserCookie('http://localhost').expires, -1)
  const kept = await signedIn(sessions, {}, { maxAge: '30 days' })
  assert.ok(kept.browserCookie('http://localhost').expires > Date.now() / 1000)
})

test('what is no address of an app is refused, and named', async t => {
  const { sessions } = await anApp(t, { store: memoryStore() }, routes)
  const { browserCookie } = await signedIn(sessions, {})
  for (const url of ['localhost:3000', '/page', 'ftp://localhost', '']) {
    assert.throws(() => browserCookie(url), {
      name: ConfigurationError.name,
      message: /http:\/\/localhost:3000/,
    })
  }
})

test('a browser that is given the cookie is signed in from its first page on', {
  skip: withoutChromium,
}, async t => {
  const browser = await launchChromium()
  t.after(() => browser.close())
  for (const options of [{}, { cookie: { secure: true } }, { key: 'shop', cookie: { persistent: false } }]) {
    const { sessions, url } = await anApp(t, { store: memoryStore(), ...options }, routes)
    const at = url.replace('127.0.0.1', 'localhost')
    const context = await browser.newContext()
    const { browserCookie } = await signedIn(sessions, { user_id: 'ada' })
    await context.addCookies([browserCookie(at)])
    const page = await context.newPage()
    const answer = await page.goto(`${at}/who`)
    assert.deepEqual(await answer?.json(), { user: 'ada' }, JSON.stringify(options))
    await context.close()
  }
})
