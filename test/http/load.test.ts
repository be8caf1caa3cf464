import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { type CSRFOptions, InvalidCSRFTokenError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, test } from '../support/frameworks.ts'
import { lifecycle } from '../support/lifecycle.ts'

type Headers = Record<string, string>

interface Greeting {
  readonly status: number
  readonly user: string | undefined
}

/** A WebSocket server that greets whose session it can load, and a visitor who is signed in. */
async function aGreeter(
  t: TestContext,
  options?: CSRFOptions,
  prepare?: Parameters<typeof anApp>[1]['prepare'],
) {
  const { app, sessions, visitor } = await anApp(
    t,
    { store: memoryStore(), ...(prepare && { prepare }) },
    ctx => ctx.session.set('user', 'ada'),
  )
  const errors: unknown[] = []
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.on('upgrade', (upgrade: IncomingMessage, socket: Duplex) => {
    sessions.load(upgrade, options).then(
      ({ user }) =>
        socket.end(
          `HTTP/1.1 101 Hello\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-User: ${user}\r\n\r\n`,
        ),
      error => {
        errors.push(error)
        socket.end(`HTTP/1.1 ${error.status} No\r\nContent-Length: 0\r\n\r\n`)
      },
    )
  })
  t.after(() => server.close())
  const ada = visitor()
  await ada.get('/')
  const greeted = async (headers: Headers): Promise<Greeting> => {
    const sent = request({
      port,
      host: '127.0.0.1',
      headers: {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        Cookie: `sid=${ada.jar.get('sid')}`,
        ...headers,
      },
    }).end()
    const [response] = (await Promise.race([once(sent, 'upgrade'), once(sent, 'response')])) as [
      IncomingMessage,
    ]
    response.destroy()
    return { status: response.statusCode ?? 0, user: response.headers['x-user'] as string | undefined }
  }
  return { greeted, errors, host: `127.0.0.1:${port}`, sessions, ada }
}

test('an upgrade that another site’s page began is refused, and one of the own page or of no browser is not', async t => {
  const { greeted, host } = await aGreeter(t)
  const table: [Headers, number][] = [
    [{ Origin: `http://${host}` }, 101],
    // Whether TLS ends before this process cannot be told here.
    [{ Origin: `https://${host}` }, 101],
    [{}, 101],
    [{ 'Sec-Fetch-Site': 'same-origin', Origin: 'https://app.example' }, 101],
    [{ 'Sec-Fetch-Site': 'none' }, 101],
    [{ Origin: 'https://evil.example' }, 403],
    [{ Origin: 'null' }, 403],
    [{ Origin: 'file://' }, 403],
    [{ Origin: `http://${host}.evil.example` }, 403],
    [{ Origin: `ws://${host}` }, 403],
    [{ Origin: `http://${host.replace(/:.*/, '')}` }, 403],
    [{ Origin: 'http://app.example', Host: 'evil@app.example' }, 403],
    [{ Origin: 'https://app.example', 'X-Forwarded-Host': 'app.example' }, 403],
    [{ 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }, 403],
    [{ 'Sec-Fetch-Site': 'same-site' }, 403],
  ]
  for (const [headers, status] of table) {
    const user = status === 101 ? 'ada' : undefined
    assert.deepEqual(await greeted(headers), { status, user }, JSON.stringify(headers))
  }
})

test('other origins may be named whose pages may begin an upgrade', async t => {
  const { greeted, host, sessions } = await aGreeter(t, {
    origins: ['https://admin.example', 'capacitor://localhost'],
  })
  for (const Origin of ['https://admin.example', 'capacitor://localhost', `http://${host}`]) {
    assert.equal((await greeted({ Origin })).status, 101, Origin)
  }
  for (const Origin of ['http://admin.example', 'capacitor://localhost:1', 'null']) {
    assert.equal((await greeted({ Origin })).status, 403, Origin)
  }
  const nobody = { headers: {} } as IncomingMessage
  for (const [options, message] of [
    [{ origins: ['https://admin.example/'] }, /load\(\): .*give 'https:\/\/admin\.example'/],
    [{ origins: ['null'] }, /browsers send null/],
    [{ origins: 'https://admin.example' }, /give a list/],
    [{ origin: [] }, /load\(\) has no option "origin"; did you mean "origins"/],
    [() => {}, /load\(\) returns a promise/],
  ] as const) {
    const load = async () => sessions.load(nobody, options as never)
    await assert.rejects(load, { name: 'ConfigurationError', message })
  }
})

test('behind a proxy that is trusted, the origin is compared with what the proxy forwards', async t => {
  const { greeted } = await aGreeter(t, undefined, app => {
    app.proxy = true
  })
  const forwarded = { 'X-Forwarded-Host': 'app.example', 'X-Forwarded-Proto': 'https' }
  assert.equal((await greeted({ ...forwarded, Origin: 'https://app.example' })).status, 101)
  assert.equal((await greeted({ ...forwarded, Origin: 'http://app.example' })).status, 403)
  assert.equal((await greeted({ ...forwarded, Origin: 'https://evil.example' })).status, 403)
  const withUser = { ...forwarded, 'X-Forwarded-Host': 'evil@app.example' }
  assert.equal((await greeted({ ...withUser, Origin: 'https://app.example' })).status, 403)
})

test('the refusal of an upgrade says what to do, is told as an event, and asks the store nothing', async t => {
  const { greeted, errors } = await aGreeter(t)
  const events = lifecycle(t)
  await greeted({ Origin: 'https://evil.example' })
  await greeted({ 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' })
  assert.deepEqual(events, [
    { type: 'CSRF failed', reason: 'origin' },
    { type: 'CSRF failed', reason: 'cross-site' },
  ])
  for (const error of errors) {
    assert.ok(error instanceof InvalidCSRFTokenError)
    assert.deepEqual([error.status, error.code], [403, 'SESSION_CSRF'])
    assert.match(error.message, /load\(request, \{ origins \}\)/)
    assert.match(String(error.cause), /evil\.example/)
  }
})

test('what is no request of Node is refused, and not taken for a visitor without a session', async t => {
  const { sessions } = await aGreeter(t)
  const cookie = 'sid=x'
  for (const wrong of [
    undefined,
    null,
    {},
    'sid=x',
    { headers: cookie },
    new Request('http://localhost', { headers: { cookie } }),
    { headers: new Headers({ cookie }) },
  ]) {
    await assert.rejects(sessions.load(wrong as never), {
      name: 'ConfigurationError',
      message: /load\(request\) takes a request as Node's http server has it/,
    })
  }
})
