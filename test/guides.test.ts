import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import type { SessionHandle, Sessions } from '../src/index.ts'
import { FORM, programIn, signedIn, testsIn, visiting, without } from './support/guides.ts'

// The programs in docs/guides, asked as their readers' visitors would ask them.

test('sign-in.md: signing in keeps the cart, once, and signing out ends it', async t => {
  const code = "async function userWith(name: unknown) { return name === 'ada' ? { id: 'ada' } : undefined }"
  const { app, sessions } = await programIn('sign-in.md', "'/sign-out'", ['app', 'sessions'], { code })
  const ada = (await visiting(t, app))()
  await signedIn(ada, sessions, { cart: { lines: [{ sku: 'tea', qty: 1 }] } })
  const form = { name: 'ada', password: 'secret' }
  assert.equal((await ada.post('/sign-in', form)).status, 403)
  assert.equal((await ada.post('/sign-in', { name: 'eve' }, FORM)).status, 401)
  const late = ada.twin()
  assert.equal((await ada.post('/sign-in', form, FORM)).status, 303)
  assert.equal((await late.post('/sign-in', form, FORM)).status, 303)
  const kept: unknown[] = []
  for await (const { fields } of sessions.find('ada')) kept.push(fields)
  assert.equal(kept.filter(fields => 'cart' in (fields as object)).length, 1)
  assert.equal((await ada.get('/account')).text, 'You are ada')
  assert.equal((await ada.post('/sign-out', {}, FORM)).status, 303)
  assert.equal((await ada.get('/account')).status, 401)
})

test('remember-me.md: the cookie ends with the browser, unless the box is ticked', async t => {
  const { app } = await programIn('remember-me.md', 'persistent: false', ['app'])
  const visitor = await visiting(t, app)
  const [plain = ''] = (await visitor().post('/', { user_id: 'ada' }, FORM)).setCookies
  assert.doesNotMatch(plain, /expires/)
  const [remembered = ''] = (await visitor().post('/', { user_id: 'ada', remember: 'yes' }, FORM)).setCookies
  const until = Date.parse(/expires=([^;]+)/.exec(remembered)?.[1] ?? '')
  assert.ok(until > Date.now() + 29 * 24 * 60 * 60 * 1000)
})

test('step-up.md: a payout asks for the password, and then works', async t => {
  const code = "async function isPasswordOf(_: string, password: unknown) { return password === 'secret' }"
  const { app, sessions } = await programIn('step-up.md', "'/payout'", ['app', 'sessions'], { code })
  const ada = (await visiting(t, app))()
  assert.equal((await ada.post('/payout', {}, FORM)).status, 401)
  await signedIn(ada, sessions, { user_id: 'ada' })
  assert.equal((await ada.post('/payout', {}, FORM)).headers.location, '/confirm')
  assert.equal((await ada.post('/confirm', { password: 'wrong' }, FORM)).status, 401)
  assert.equal((await ada.post('/confirm', { password: 'secret' }, FORM)).headers.location, '/payout')
  assert.equal((await ada.post('/payout', {}, FORM)).text, 'Paid out')
})

test('oauth.md: a state is good for one callback', { skip: without('openid-client') }, async t => {
  // No provider is asked what it can do.
  const endpoints = {
    issuer: 'https://id.example.com',
    authorization_endpoint: 'https://id.example.com/authorize',
    token_endpoint: 'http://127.0.0.1:9',
  }
  const instead = {
    "await oidc.discovery(new URL('https://id.example.com'), 'client id', 'client secret')": `new oidc.Configuration(${JSON.stringify(endpoints)}, 'client id')`,
  }
  const { app } = await programIn('oauth.md', 'oidc.discovery', ['app'], { instead })
  const ada = (await visiting(t, app))()
  // Over TLS, as the proxy says that the cookie's visitor is connected.
  const forwarded = { 'X-Forwarded-Proto': 'https' }
  const asked = new URL((await ada.get('/sign-in', forwarded)).headers.location ?? '')
  assert.equal(asked.origin, 'https://id.example.com')
  const state = asked.searchParams.get('state')
  assert.equal((await ada.get('/callback?state=$where', forwarded)).status, 400)
  // The provider cannot be reached from here.
  assert.equal((await ada.get(`/callback?code=1&state=${state}`, forwarded)).status, 500)
  assert.equal((await ada.get(`/callback?code=1&state=${state}`, forwarded)).status, 400)
})

test('oauth.md: a callback that another site posts is known by its own cookie', async t => {
  const code = "async function checked() { return 'ada' }"
  const names = ['app', 'sessions', 'trips']
  const program = await programIn('oauth.md', "ctx.trip.take(['logins', state])", names, { code })
  const visitor = await visiting(t, program.app)
  const foreign = { 'Sec-Fetch-Site': 'cross-site', 'X-Forwarded-Proto': 'https' }
  const ada = visitor()
  await signedIn(ada, program.trips as Sessions, { logins: { s: { nonce: 'n' } } })
  assert.equal((await ada.get('/finish', foreign)).status, 400)
  assert.equal((await ada.post('/callback', { state: 's' }, foreign)).status, 200)
  assert.equal((await ada.get('/finish', foreign)).status, 302)
  assert.deepEqual([...ada.jar.keys()].sort(), ['__Host-sid', '__Host-trip'])
  assert.equal((await ada.post('/callback', { state: 's' }, foreign)).status, 400)
  assert.equal((await visitor().post('/callback', { state: 'x' }, foreign)).status, 400)
  assert.equal((await visitor().post('/callback', { state: { $ne: 1 } }, foreign)).status, 400)
  assert.equal((await visitor().post('/elsewhere', {}, foreign)).status, 403)
})

test('oauth.md: of many requests that find a token expired, one refreshes it', {
  skip: without('openid-client'),
}, async t => {
  let refreshes = 0
  const provider = createServer((_, response) => {
    refreshes++
    response.setHeader('Content-Type', 'application/json')
    response.end(JSON.stringify({ access_token: 'new', token_type: 'bearer', expires_in: 3600 }))
  }).listen(0, '127.0.0.1')
  t.after(() => provider.close())
  await once(provider, 'listening')
  const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  const endpoints = { issuer, token_endpoint: `${issuer}/token` }
  const instead = {
    'declare const provider: oidc.Configuration': `const provider = new oidc.Configuration(${JSON.stringify(endpoints)}, 'client id', 'client secret')`,
  }
  const code = 'oidc.allowInsecureRequests(provider)'
  const { accessToken } = await programIn('oauth.md', 'refreshTokenGrant', [], { code, instead })
  const { sessions } = await programIn('jobs.md', 'sessions.create', ['sessions'])
  const { id } = await sessions.create({ tokens: { access: 'old', refresh: 'r', expires: 0 } })
  const asked = accessToken as (session: SessionHandle) => Promise<string>
  const got = await Promise.all(Array.from({ length: 20 }, () => asked(sessions.open(id))))
  assert.deepEqual(new Set(got), new Set(['new']))
  assert.equal(refreshes, 1)
})

test('oauth.md: a cart is ordered once', async () => {
  const code = `
    let orders = 0
    async function placed() { return { number: String(++orders) } }`
  const { checkOut } = await programIn('oauth.md', 'checkOut', [], { code })
  const { sessions } = await programIn('jobs.md', 'sessions.create', ['sessions'])
  const { id } = await sessions.create({ cart: { id: 'c1', lines: ['tea'] } })
  const clicked = checkOut as (session: SessionHandle) => Promise<string>
  const got = await Promise.all(Array.from({ length: 10 }, () => clicked(sessions.open(id))))
  assert.deepEqual(new Set(got), new Set(['1']))
})

test('passport.md: Passport decides, and the session keeps who it is', {
  skip: without('passport-local'),
}, async t => {
  const code =
    "async function userWith(name: string, password: string) { return password === 'secret' ? { id: name } : undefined }"
  const { app, sessions } = await programIn('passport.md', 'passport-local', ['app', 'sessions'], { code })
  const ada = (await visiting(t, app))()
  assert.equal((await ada.post('/sign-in', { username: 'ada', password: 'wrong' }, FORM)).status, 401)
  assert.equal((await ada.post('/sign-in', {}, FORM)).status, 401)
  assert.equal((await ada.post('/sign-in', { username: 'ada', password: 'secret' }, FORM)).text, 'Welcome')
  assert.equal(await sessions.count(), 1)
})

test('passport.md: an OAuth 2 state is found once', async () => {
  const { states } = await programIn('passport.md', 'verify(request', [])
  const { sessions } = await programIn('jobs.md', 'sessions.create', ['sessions'])
  const { id } = await sessions.create({})
  const request = { session: sessions.open(id) }
  type Act = (...args: unknown[]) => void
  const { store, verify } = states as { store: Act; verify: Act }
  const answered = (act: Act, ...args: unknown[]) =>
    new Promise((resolve, reject) =>
      act(request, ...args, (error: unknown, result: unknown) => (error ? reject(error) : resolve(result))),
    )
  const state = await answered(store)
  assert.equal(await answered(verify, '$where'), false)
  assert.equal(await answered(verify, state), true)
  assert.equal(await answered(verify, state), false)
})

test('devices.md: devices are listed, and one or all others are signed out', async t => {
  const { app, sessions } = await programIn('devices.md', "'/devices'", ['app', 'sessions'])
  const visitor = await visiting(t, app)
  const [phone, laptop, stranger] = [visitor(), visitor(), visitor()]
  const phoneId = await signedIn(phone, sessions, { user_id: 'ada', device: 'Phone' })
  await signedIn(laptop, sessions, { user_id: 'ada', device: 'Laptop' })
  await signedIn(stranger, sessions, { user_id: 'eve' })
  const listed = (await laptop.get('/devices')).json as { device: string; isThisOne: boolean }[]
  assert.deepEqual(listed.map(({ device, isThisOne }) => [device, isThisOne]).sort(), [
    ['Laptop', true],
    ['Phone', false],
  ])
  await stranger.post('/devices/end', { id: phoneId }, FORM)
  assert.equal((await phone.get('/devices')).status, 200)
  assert.equal((await laptop.post('/devices/end', { id: phoneId }, FORM)).status, 302)
  assert.equal((await phone.get('/devices')).status, 401)
  await signedIn(phone, sessions, { user_id: 'ada', device: 'Phone' })
  assert.equal((await laptop.post('/devices/end-others', {}, FORM)).text, '1 signed out')
})

test('websockets.md: who is signed in may talk, others and other sites may not', {
  skip: without('ws'),
}, async t => {
  const { app, sessions, server } = await programIn('websockets.md', 'WebSocketServer', [
    'app',
    'sessions',
    'server',
  ])
  await visiting(t, app, server as Server)
  const { port } = (server as Server).address() as AddressInfo
  const { cookie } = await sessions.create({ user_id: 'ada' })
  const upgraded = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const upgrade = {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      }
      const sent = request({ port, host: '127.0.0.1', headers: { ...upgrade, ...headers } })
      sent.on('upgrade', (response, socket) => {
        socket.destroy()
        resolve(response.statusCode)
      })
      sent.on('response', response => {
        response.resume()
        resolve(response.statusCode)
      })
      sent.on('error', reject)
      sent.end()
    })
  assert.equal(await upgraded({ cookie }), 101)
  assert.equal(await upgraded({ cookie, origin: 'https://admin.example.com' }), 101)
  assert.equal(await upgraded({ cookie, origin: 'https://evil.example' }), 403)
  assert.equal(await upgraded({}), 401)
})

test('streams.md: a session that exists may be changed while the body streams', async t => {
  const { app } = await programIn('streams.md', "inc('finished')", ['app'])
  const ada = (await visiting(t, app))()
  assert.equal((await ada.get('/')).text, 'Download 1\nDone\n')
  assert.equal((await ada.get('/')).text, 'Download 2\nDone\n')
})

test('several-sessions.md: two kinds have a cookie each, and a mounted app its own', async t => {
  const two = await programIn('several-sessions.md', 'cartSession', ['app'])
  const ada = (await visiting(t, two.app))()
  await ada.get('/')
  assert.deepEqual([...ada.jar.keys()], ['cart'])
  const mounted = await programIn('several-sessions.md', "mount('/admin'", ['app'])
  const eve = (await visiting(t, mounted.app))()
  await eve.get('/')
  await eve.get('/admin')
  assert.equal((await eve.get('/admin')).text, 'Visit 2 of the admin pages')
  assert.deepEqual([...eve.jar.keys()].sort(), ['admin', 'sid'])
})

test('testing.md: each of its tests passes', async () => {
  const files = await testsIn('guides/testing.md')
  assert.equal(files.length, 4)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  await promisify(execFile)(process.execPath, ['--import', 'tsx', '--test', ...files], { env })
})

test('jobs.md: a job changes a session by its id, and does nothing where there is none', async () => {
  const { exported, sessions } = await programIn('jobs.md', 'exported', ['sessions'])
  const { id } = await sessions.create({})
  const job = exported as (id: string, url: string) => Promise<void>
  await job(id, '/a.csv')
  const [first] = (await sessions.open(id).get('exports')) as { url: string }[]
  assert.equal(first?.url, '/a.csv')
  await sessions.end(id)
  await job(id, '/b.csv')
  assert.equal(await sessions.count(), 0)
})
