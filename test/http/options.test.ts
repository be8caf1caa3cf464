import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import Keygrip from 'keygrip'
import Koa from 'koa'
import { MongoClient } from 'mongodb'
import Session, {
  ConfigurationError,
  mongoStore,
  type Store,
  StoreUnavailableError,
} from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type AppOptions, anApp, type Handler, KEY, onEachStore, test } from '../support/frameworks.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import { altered } from '../support/watchedstore.ts'

const SECOND = 1000
const HOUR = 60 * 60 * SECOND
const DAY = 24 * HOUR

const routes: Record<string, Handler> = {
  '/plain': () => 'plain',
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('name', 'Ada'),
}

test('nonsense options are refused at once, by name', () => {
  const nonsense: [string, unknown[]][] = [
    [
      'maxAge',
      ['banana', '', '3 bananas 2 days', 'forever', -1, 0, Number.NaN, Infinity, {}, [], true, '-1h'],
    ],
    ['timeout', ['soon', -5, 0, Number.NaN, {}]],
    ['key', ['', 'a;b', 'a b', 'a=b', 'sid\r\nX: 1', 'süß', 5, {}, 'a,b', '"sid"']],
    ['property', ['', 5, 'cookies', 'body', 'app', 'toString', 'state']],
    ['store', ['mongodb', 5, true, {}, new Map()]],
  ]
  for (const [name, values] of nonsense) {
    for (const value of values) {
      assert.throws(
        () => Session(new Koa(), { [name]: value }),
        (error: Error) => error instanceof ConfigurationError && error.message.includes(name),
        `${name}: ${JSON.stringify(value)}`,
      )
    }
  }
})

test('an option that there is not is refused, and those there are are named', () => {
  assert.throws(
    () => Session(new Koa(), { maxage: 1 } as object),
    (error: Error) => error instanceof ConfigurationError && /"maxage".*maxAge/.test(error.message),
  )
})

test('an option that other libraries have, or that belongs elsewhere, is told its place', () => {
  const attributes = ['path', 'domain', 'sameSite', 'secure', 'partitioned', 'persistent']
  const misplaced: [object, RegExp][] = [
    ...attributes.map((name): [object, RegExp] => [
      { [name]: true },
      new RegExp(`"${name}": it belongs under cookie: Session\\(app, \\{ cookie: \\{ ${name}:`),
    ]),
    [{ samesite: 'lax' }, /"samesite": it belongs under cookie: .*sameSite/],
    [{ httpOnly: true }, /always HttpOnly/],
    [{ signed: true }, /always signed/],
    [{ rolling: true }, /extended; touchAfter/],
    [{ renew: true }, /extended; touchAfter/],
    [{ resave: false }, /a session is stored when/],
    [{ saveUninitialized: false }, /a session is stored when/],
    [{ name: 'sid' }, /option key/],
    [{ secret: 'x' }, /app\.keys/],
    [{ ttl: 1 }, /option maxAge/],
    [{ maxage: 1 }, /did you mean "maxAge"\?/],
    [{ max_age: 1 }, /did you mean "maxAge"\?/],
    [{ touchafter: 1 }, /did you mean "touchAfter"\?/],
    [{ Key: 'sid' }, /did you mean "key"\?/],
    [{ stores: memoryStore() }, /did you mean "store"\?/],
    [{ collection: {} }, /sessions\.collection/],
    [{ origins: [] }, /sessions\.csrf/],
    [{ cookie: { maxAge: 1 } }, /cookie has no option "maxAge": .*Session\(app, \{ maxAge \}\)/],
    [{ cookie: { expires: 1 } }, /"expires": .*maxAge/],
    [{ cookie: { httpOnly: true } }, /"httpOnly": .*always HttpOnly/],
    [{ cookie: { name: 'sid' } }, /option key/],
    [{ cookie: { samesite: 'lax' } }, /did you mean "sameSite"\?/],
    [{ cookie: { persistant: true } }, /did you mean "persistent"\?/],
  ]
  for (const [options, message] of misplaced) {
    assert.throws(() => Session(new Koa(), options as never), { name: 'ConfigurationError', message })
  }
})

test('a value that is refused is shown as it was given', () => {
  const refused: [object, RegExp][] = [
    [{ maxAge: Infinity }, /^maxAge .*: Infinity;/],
    [{ maxAge: Number.NaN }, /^maxAge .*: NaN;/],
    [{ maxAge: 5n }, /^maxAge .*: 5n;/],
    [{ absoluteMaxAge: -Infinity }, /^absoluteMaxAge .*: -Infinity;/],
    [{ touchAfter: 1n }, /^touchAfter .*: 1n;/],
    [{ timeout: Infinity }, /^timeout .*: Infinity;/],
    [{ timeout: '1 year' }, /^timeout .*: '1 year';/],
    [{ maxSize: 5n }, /^maxSize .*: 5n;/],
    [{ maxSize: Number.NaN }, /^maxSize .*: NaN;/],
    [{ user: 5n }, /^user .*: 5n;/],
    [{ property: 5n }, /^property .*: 5n;/],
    [{ adopt: 5n }, /^adopt .*: 5n;/],
    [{ key: 5n }, /^key .*: 5n;/],
    [{ cookie: 5n }, /^cookie .*: 5n;/],
    [{ cookie: { path: 5n } }, /^cookie\.path .*: 5n;/],
    [{ cookie: { secure: Number.NaN } }, /^cookie\.secure .*: NaN;/],
  ]
  for (const [options, message] of refused) {
    assert.throws(() => Session(new Koa(), options as never), { name: 'ConfigurationError', message })
  }
})

test('arguments in another order, or without the app, are told', () => {
  const app = new Koa()
  const given: [unknown[], RegExp][] = [
    [[], /takes a Koa app first, not undefined/],
    [[{ maxAge: '1 month' }], /takes a Koa app first, not Object/],
    [[{ maxAge: '1 month' }, app], /app first and the options second; they are the other way round/],
    [['sid', app], /the other way round/],
    [[app, app], /takes one app/],
    [[Koa], /takes a Koa app first, not function/],
    [[createServer()], /takes a Koa app first, not Server/],
    [[null, {}], /takes a Koa app first, not null/],
    [[app, memoryStore()], /a store goes into the option store/],
    [[app, []], /The options are an instance of Array/],
  ]
  for (const [args, message] of given) {
    assert.throws(() => Reflect.apply(Session, undefined, args), { name: 'ConfigurationError', message })
  }
  // Nothing of all that was left behind.
  assert.ok(Session(app))
})

test('an app of another copy of Koa is an app', () => {
  const { middleware, context, callback } = new Koa()
  assert.ok(Session({ middleware, context, callback, on() {} } as never))
})

test('options that are no object are refused at once', () => {
  for (const wrong of [null, 'sid', 5, true]) {
    assert.throws(() => Session(new Koa(), wrong as never), {
      name: 'ConfigurationError',
      message: /options are no object/,
    })
  }
})

test('an address in the place of the options is refused and not told, since it may hold a password', () => {
  assert.throws(
    () => Session(new Koa(), 'mongodb://user:tr0ub4dor@localhost' as never),
    (error: Error) =>
      /options are no object, but string/.test(error.message) && !/tr0ub4dor/.test(error.message),
  )
})

test('a timeout that no timer can run for is refused at once', () => {
  assert.throws(() => Session(new Koa(), { timeout: '25 days' }), {
    name: 'ConfigurationError',
    message: "timeout is too long: '25 days'; a timer runs for at most 24 days",
  })
})

test('what is no collection is refused at once', () => {
  const sessions = Session(new Koa())
  for (const wrong of [undefined, null, {}, 'sessions']) {
    assert.throws(() => {
      sessions.collection = wrong as never
    }, ConfigurationError)
  }
})

onEachStore('a lifetime may be told in words or in milliseconds', async (t, { store, records }) => {
  const said: [string | number, number][] = [
    ['1 month', 30.4375 * DAY],
    ['14 days', 14 * DAY],
    ['2h', 2 * HOUR],
    ['1h 30m', 1.5 * HOUR],
    ['90 minutes', 1.5 * HOUR],
    [45 * SECOND, 45 * SECOND],
  ]
  for (const [maxAge, lifetime] of said) {
    const { visitor } = await anApp(t, { store, maxAge }, routes)
    assert.equal((await visitor().get('/write')).status, 200)
    const record = (await records()).at(-1)
    assert.equal(record?.maxAge, lifetime, String(maxAge))
    assert.equal(Number(record?.expires) - Number(record?.created), lifetime, String(maxAge))
  }
})

test('two sessions at one property are refused', () => {
  const app = new Koa()
  Session(app)
  assert.throws(() => Session(app), /property: ctx.session is taken/)
})

test('an app without keys says so at the first use of a session', async t => {
  const { visitor, errors } = await anApp(t, { keys: null, store: memoryStore() }, routes)
  assert.equal((await visitor().get('/plain')).status, 200)
  assert.deepEqual(errors, [])
  for (const path of ['/read', '/write']) {
    const { status, text } = await visitor().get(path)
    assert.equal(status, 500)
    assert.equal(text, 'Internal Server Error')
    const error: unknown = errors.pop()
    assert.ok(error instanceof ConfigurationError)
    assert.match(error.message, /app\.keys/)
  }
})

test('keys that are empty are no keys', async t => {
  for (const keys of [[], ['']]) {
    const { visitor, errors } = await anApp(t, { keys, store: memoryStore() }, routes)
    assert.equal((await visitor().get('/read')).status, 500)
    assert.ok(errors[0] instanceof ConfigurationError)
  }
})

test('a short key is warned of, once, and works', async t => {
  const warnings: Error[] = []
  const listen = (warning: Error) => {
    if (warning.name === 'SessionWarning') warnings.push(warning)
  }
  process.on('warning', listen)
  t.after(() => process.off('warning', listen))
  const { visitor } = await anApp(t, { keys: ['keyboard cat'], store: memoryStore() }, routes)
  const ada = visitor()
  assert.equal((await ada.get('/write')).status, 200)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  assert.equal(warnings.length, 1)
  assert.match(warnings[0]?.message ?? '', /app\.keys/)
  assert.doesNotMatch(warnings[0]?.message ?? '', /keyboard cat/)

  const strong = await anApp(t, { keys: [KEY], store: memoryStore() }, routes)
  await strong.visitor().get('/write')
  assert.equal(warnings.length, 1)
})

onEachStore('keys may be rotated, and one that is gone is worth nothing', async (t, { store }) => {
  const old = KEY
  const young = 'a younger key that is known to the tests only, long enough'
  const app = (keys: string[]) => anApp(t, { store, keys }, routes)
  const [first, second, third] = [await app([old]), await app([young, old]), await app([young])]
  const ada = first.visitor()
  await ada.get('/write')
  const cookie = { Cookie: `sid=${ada.jar.get('sid')}` }
  assert.deepEqual((await second.visitor().get('/read', cookie)).json, { name: 'Ada' })
  const retired = await third.visitor().get('/read', cookie)
  assert.equal(retired.status, 200)
  assert.deepEqual(retired.json, {})
})

test('the app’s keys may be a Keygrip, and may be set after the sessions', async t => {
  const { app, visitor } = await anApp(t, { keys: null, store: memoryStore() }, routes)
  app.keys = new Keygrip([KEY], 'sha256') as never
  const ada = visitor()
  await ada.get('/write')
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

test('keys that cannot tell which of them has signed are told to be no keys', async t => {
  const { sign, verify } = new Keygrip([KEY], 'sha256')
  const { app, visitor, errors } = await anApp(t, { keys: null, store: memoryStore() }, routes)
  app.keys = { sign, verify } as never
  assert.equal((await visitor().get('/write')).status, 500)
  assert.ok(errors[0] instanceof ConfigurationError)
})

test('the collection may be a promise, for which requests wait', { skip: withoutMongoDB }, async t => {
  const { sessions, visitor } = await anApp(t, {}, routes)
  const collection = aCollection(t)
  let connected = () => {}
  sessions.collection = new Promise(resolve => {
    connected = () => resolve(collection)
  })
  const ada = visitor()
  const answer = ada.get('/write')
  assert.equal((await visitor().get('/plain')).status, 200)
  connected()
  assert.equal((await answer).status, 200)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

test('a store may be a promise too', async t => {
  const { visitor } = await anApp(t, { store: Promise.resolve(memoryStore()) }, routes)
  const ada = visitor()
  await ada.get('/write')
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

test('a promise of what is no store is refused like the same value without the promise', async t => {
  const open: unknown = memoryStore
  for (const [wrong, name] of [
    [undefined, 'undefined'],
    [null, 'null'],
    [{}, 'an object'],
    [open, 'a function'],
  ] as const) {
    const { visitor, errors, sessions } = await anApp(t, { store: Promise.resolve(wrong as Store) }, routes)
    await assert.rejects(Promise.resolve(sessions.store), notAStore, name)
    for (const path of ['/write', '/write']) assert.equal((await visitor().get(path)).status, 500, name)
    assert.equal(errors.length, 2, name)
    for (const error of errors) assert.ok(notAStore(error), `${name}: ${error}`)
    assert.equal((await visitor().get('/plain')).status, 200)
    assert.throws(() => {
      sessions.store = wrong as Store
    }, notAStore)
    await sessions.close()
  }
})

function notAStore(error: unknown): boolean {
  return error instanceof ConfigurationError && error.message.startsWith('store is not a store')
}

test('a promise of a store that fails as it is set up makes requests fail, not the process', async t => {
  const fault = new Error('no such option')
  const store = Object.assign(memoryStore(), {
    useTimeout() {
      throw fault
    },
  })
  const { visitor, errors } = await anApp(t, { store: Promise.resolve(store) }, routes)
  assert.equal((await visitor().get('/write')).status, 503)
  const [error] = errors
  assert.ok(error instanceof StoreUnavailableError && error.cause === fault)
})

/** Whatever is the matter with the store: routes that use the session answer 503 in time, others 200. */
async function assertUnavailable(t: TestContext, options: AppOptions, prepare = (_: Prepared) => {}) {
  const running = await anApp(t, { timeout: '300ms', ...options }, routes)
  prepare(running)
  const { visitor, errors } = running
  const cookie = { Cookie: `sid=${await aCookie(t)}` }
  const started = performance.now()
  const answers = await Promise.all([
    visitor().get('/read', cookie),
    visitor().get('/write', cookie),
    visitor().get('/write'),
  ])
  const took = performance.now() - started
  for (const { status, text, headers, setCookies } of answers) {
    assert.equal(status, 503)
    assert.equal(text, 'Service Unavailable')
    assert.match(headers['retry-after'] ?? '', /^\d+$/)
    assert.deepEqual(setCookies, [])
  }
  assert.ok(took < 5000, `${took} ms`)
  assert.equal(errors.length, answers.length)
  for (const error of errors) assert.ok(error instanceof StoreUnavailableError, String(error))
  assert.equal((await visitor().get('/plain', cookie)).status, 200)
  // Who has no session needs no store.
  assert.equal((await visitor().get('/read')).status, 200)
}

type Prepared = Awaited<ReturnType<typeof anApp>>

/** A cookie with a good signature. */
async function aCookie(t: TestContext): Promise<string> {
  const { visitor } = await anApp(t, { store: memoryStore() }, routes)
  const ada = visitor()
  await ada.get('/write')
  return ada.jar.get('sid') ?? ''
}

test('without a store sessions are unavailable, and the rest of the app is not', async t => {
  await assertUnavailable(t, {})
})

test('a store that cannot be connected makes sessions unavailable, and crashes nothing', async t => {
  await assertUnavailable(t, { store: Promise.reject(new Error('no such host')) })
  await assertUnavailable(t, {}, ({ sessions }) => {
    sessions.collection = Promise.reject(new Error('no such host'))
  })
})

test('a store that never comes makes sessions unavailable', async t => {
  await assertUnavailable(t, { store: new Promise(() => {}) })
})

test('a store that does not answer makes sessions unavailable within the timeout', async t => {
  const store = new Proxy(memoryStore(), {
    get: (target, name) =>
      typeof Reflect.get(target, name) === 'function'
        ? () => new Promise(() => {})
        : Reflect.get(target, name),
  })
  await assertUnavailable(t, { store })
})

/** A store that answers nothing once it hangs, and the calls it was asked from then on. */
function aHangingStore(): { store: Store; calls: string[]; hang: (does?: boolean) => void } {
  const calls: string[] = []
  let hangs = false
  const store = altered(memoryStore(), name => {
    if (!hangs) return undefined
    calls.push(name)
    return new Promise(() => {})
  })
  return {
    store,
    calls,
    hang: (does = true) => {
      hangs = does
    },
  }
}

test('a request with many changes waits once for a store that does not answer', async t => {
  const { store, calls, hang } = aHangingStore()
  const outcomes: unknown[] = []
  const { visitor } = await anApp(
    t,
    { store, timeout: '50ms' },
    {
      ...routes,
      '/many': async ctx => {
        hang()
        const changes = Array.from({ length: 30 }, (_, n) => ctx.session.push('list', n))
        for (const result of await Promise.allSettled(changes)) {
          if (result.status === 'rejected') outcomes.push(result.reason.outcome)
        }
        ctx.session.inc('n')
      },
    },
  )
  const ada = visitor()
  await ada.get('/write')
  assert.equal((await ada.get('/many')).status, 503)
  // What is begun after that asks again.
  assert.deepEqual(calls, ['update', 'update'])
  assert.deepEqual(outcomes, ['unknown', ...Array(29).fill('none')])
})

test('a response does not wait once more for a store that has kept its request waiting', async t => {
  const { store, calls, hang } = aHangingStore()
  const { visitor } = await anApp(
    t,
    { store, timeout: '50ms', touchAfter: 1 },
    {
      ...routes,
      // What was extended would be looked at once more, since others may have ended it meanwhile.
      '/fails': async ctx => {
        await ctx.session.set('n', 1)
        hang()
        await ctx.session.set('n', 2)
      },
      // What was only read would be extended.
      '/copes': async ctx => {
        const session = await ctx.session()
        hang()
        await session.update().catch(() => {})
      },
      '/recovers': async ctx => {
        const session = await ctx.session()
        hang()
        await session.update().catch(() => {})
        hang(false)
        await session.update()
      },
    },
  )
  for (const [path, status, asked, cookies] of [
    ['/fails', 503, ['update'], 1],
    ['/copes', 200, ['load'], 0],
    ['/recovers', 200, ['load'], 1],
  ] as const) {
    const ada = visitor()
    await ada.get('/write')
    // A cookie tells its age in milliseconds.
    await delay(2)
    calls.length = 0
    const answer = await ada.get(path)
    hang(false)
    assert.equal(answer.status, status, path)
    assert.deepEqual(calls, asked, path)
    assert.equal(answer.setCookies.length, cookies, path)
  }
})

test('a database that accepts and never answers makes sessions unavailable within the timeout', async t => {
  const { port } = await aSilentServer(t)
  await assertUnavailable(t, { store: mongoStore({ collection: theCollectionAt(t, port) }) })
})

test('a database that is not there makes sessions unavailable', async t => {
  const { port, server } = await aSilentServer(t)
  server.close()
  await assertUnavailable(t, { store: mongoStore({ collection: theCollectionAt(t, port) }) })
})

test('no body and no message tells where the database is', async t => {
  const { port, server } = await aSilentServer(t)
  server.close()
  const store = mongoStore({ collection: theCollectionAt(t, port) })
  const { visitor, errors } = await anApp(t, { store }, routes)
  const { status, text } = await visitor().get('/write')
  assert.equal(status, 503)
  assert.ok(!text.includes(String(port)))
  assert.ok(errors[0] instanceof StoreUnavailableError)
  assert.equal(errors[0].outcome, 'none')
  assert.ok(!errors[0].message.includes(String(port)))
})

test('once the store is there again sessions are too, with what they held', async t => {
  let down = false
  const target = memoryStore()
  const store = new Proxy(target, {
    get(_, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) =>
        down ? Promise.reject(new StoreUnavailableError('down', 'none')) : member.apply(target, args)
    },
  })
  const { visitor } = await anApp(t, { store }, routes)
  const ada = visitor()
  await ada.get('/write')
  down = true
  const { status, setCookies } = await ada.get('/read')
  assert.equal(status, 503)
  assert.deepEqual(setCookies, [])
  down = false
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

async function aSilentServer(t: TestContext): Promise<{ port: number; server: Server }> {
  const sockets: Socket[] = []
  const server = createServer(socket => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port, server }
}

function theCollectionAt(t: TestContext, port: number) {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}`, {
    serverSelectionTimeoutMS: 500,
    connectTimeoutMS: 500,
    socketTimeoutMS: 500,
  })
  t.after(() => client.close())
  return client.db('tests').collection('sessions')
}
