import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setImmediate as aTurn } from 'node:timers/promises'
import Koa from 'koa'
import Session, {
  CommandError,
  HeadersSentError,
  SessionEndedError,
  StoreUnavailableError,
} from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, answering, KEY, listening, type Routes } from '../support/app.ts'
import { gate } from '../support/gate.ts'
import { heldAfter } from '../support/heap.ts'
import { altered } from '../support/watchedstore.ts'

/** Of the failure of a session that was opened there is no `ctx`. */
type Listener = (
  error: unknown,
  ctx: Koa.Context | undefined,
  sessions: ReturnType<typeof Session>,
) => unknown

/** Nobody's session. */
const DEAD = 'd'.repeat(64)

/** Far more turns of the event loop than any report takes. */
async function enough(): Promise<void> {
  for (let turns = 0; turns < 200; turns++) await aTurn()
}

/** An app that is told of errors by what uses sessions, and what it was told. */
async function aListeningApp(
  t: TestContext,
  { store = memoryStore(), listener, routes }: { store?: object; listener: Listener; routes: Routes },
) {
  const app = new Koa()
  app.keys = [KEY]
  const sessions = Session(app, { store: store as ReturnType<typeof memoryStore> })
  const told: unknown[] = []
  app.on('error', (error, ctx) => {
    told.push(error)
    // Or the test would not end.
    if (told.length < 50) listener(error, ctx, sessions)
  })
  app.use(answering(routes))
  return { ...(await listening(t, app)), app, sessions, told }
}

const routes: Routes = {
  '/fine': () => 'fine',
  '/write': ctx => ctx.session.set('name', 'Ada'),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/fail': ctx => ctx.throw(400, 'one'),
  '/write-and-fail': async ctx => {
    await ctx.session.set('name', 'Ada')
    ctx.throw(400, 'one')
  },
  // Fails in Koa, when the app has done its part.
  '/body': ctx => {
    ctx.body = { n: 1n }
  },
}

/** What fails for a visitor without a session, once a response is on its way. */
const listeners: Record<string, Listener> = {
  'changes the session': (_, ctx) => void ctx?.session.inc('errors'),
  'chains several changes': (_, ctx) => void ctx?.session.inc('errors').push('log', 1).then(),
  'changes the session and renews it': (_, ctx) => {
    ctx?.session.inc('errors')
    ctx?.session.regenerate()
  },
  'opens a session that is over': (_, __, sessions) => void sessions.open(DEAD).inc('errors'),
  'does all of it': (_, ctx, sessions) => {
    ctx?.session.inc('errors')
    ctx?.session.inc('name')
    sessions.open(DEAD).inc('errors')
    sessions.open(DEAD).destroy()
  },
}

for (const [what, listener] of Object.entries(listeners)) {
  test(`a listener that ${what} is told of no failure of its own`, async t => {
    const { visitor, told } = await aListeningApp(t, { listener, routes })
    for (const path of ['/fail', '/write-and-fail', '/body']) {
      await visitor().get(path)
      await enough()
      assert.equal(told.splice(0).length, 1, path)
    }
    assert.equal((await visitor().get('/fine')).status, 200)
  })

  test(`a listener that waits first and then ${what} is told of one failure of each kind`, async t => {
    const { visitor, told } = await aListeningApp(t, {
      listener: async (...given) => {
        await aTurn()
        listener(...given)
      },
      routes,
    })
    await visitor().get('/fail')
    await enough()
    const codes = told.slice(1).map(error => (error as { code?: unknown }).code)
    assert.deepEqual(codes, [...new Set(codes)])
    assert.equal((await visitor().get('/fine')).status, 200)
  })
}

/** What changes a session in vain, in part before it waits and in part after that. */
const returning: Record<string, (session: Koa.Context['session']) => unknown> = {
  'loads the session and then changes it': async session => {
    await session().catch(() => {})
    session.inc('name')
  },
  'catches a failure and then changes the session': async session => {
    try {
      await session.push('name', 1)
    } catch {}
    session.inc('name')
  },
  'changes the session, waits and changes it again': async session => {
    session.inc('name')
    await null
    session.inc('name')
  },
  'changes the session once more if that fails': session =>
    session.inc('name').then(undefined, () => void session.inc('name')),
}

/** Each has two failures: one that is reported, and one that answers the request. */
const failingTwice: Routes = {
  ...routes,
  '/twice': ctx => {
    ctx.session.inc('name')
    ctx.session.push('name', 1)
  },
  '/change-and-fail': ctx => {
    ctx.session.inc('name')
    ctx.throw(400, 'one')
  },
}

for (const [what, listener] of Object.entries(returning)) {
  test(`a listener that ${what} is told of one late failure`, async t => {
    let isDown = false
    const store = altered(memoryStore(), () => {
      if (isDown) throw new StoreUnavailableError('It is down', 'none')
    })
    const { visitor, told } = await aListeningApp(t, {
      store,
      listener: (_, ctx) => ctx && listener(ctx.session),
      routes: failingTwice,
    })
    const ada = visitor()
    await ada.get('/write')
    const codesOf = async (path: string) => {
      await ada.get(path)
      await enough()
      return told.splice(0).map(error => (error as { code?: unknown }).code)
    }
    const refused = 'SESSION_COMMAND'
    assert.deepEqual(await codesOf('/twice'), [refused, refused, refused])
    assert.deepEqual(await codesOf('/change-and-fail'), [refused, refused, undefined])
    isDown = true
    const away = 'SESSION_STORE_UNAVAILABLE'
    assert.deepEqual(await codesOf('/twice'), [away, away, away])
    assert.deepEqual(await codesOf('/change-and-fail'), [away, away, undefined])
    isDown = false
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  })
}

test('a change that a listener makes after it has waited is made', async t => {
  const { visitor } = await aListeningApp(t, {
    listener: async (_, ctx) => {
      await ctx?.session()
      ctx?.session.inc('errors')
    },
    routes: failingTwice,
  })
  const ada = visitor()
  await ada.get('/write')
  await ada.get('/twice')
  await enough()
  // One for what is reported, and one for what answers the request.
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', errors: 2 })
})

test('a listener’s change that can be made is made', async t => {
  const { visitor, told } = await aListeningApp(t, {
    listener: (_, ctx) => void ctx?.session.inc('errors'),
    routes,
  })
  const ada = visitor()
  await ada.get('/write')
  await ada.get('/fail')
  await ada.get('/fail')
  await enough()
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', errors: 2 })
  assert.equal(told.length, 2)
})

test('what an app tells of itself while it answers may be counted in a new session', async t => {
  const { visitor, told } = await aListeningApp(t, {
    listener: (_, ctx) => void ctx?.session.inc('errors'),
    routes: (ctx, next) => {
      if (ctx.path !== '/handled')
        return (routes as Record<string, (c: unknown, n: unknown) => unknown>)[ctx.path]?.(ctx, next)
      ctx.app.emit('error', new Error('one'), ctx)
      return 'handled'
    },
  })
  const ada = visitor()
  const { json, setCookies } = await ada.get('/handled')
  assert.equal(json, 'handled')
  assert.equal(setCookies.length, 1)
  assert.deepEqual((await ada.get('/read')).json, { errors: 1 })
  assert.equal(told.length, 1)
})

test('of what fails in one request after its response one of each kind is told', async t => {
  let go = gate()
  let done = gate()
  const { visitor, errors } = await anApp(
    t,
    { store: memoryStore() },
    {
      '/write': ctx => ctx.session.set('name', 'Ada'),
      '/late': ctx => {
        go.opened.then(async () => {
          for (let times = 0; times < 10; times++) ctx.session.inc('name')
          for (let times = 0; times < 10; times++) ctx.session.regenerate()
          await ctx.session.get('name')
          done.open()
        })
      },
    },
  )
  const ada = visitor()
  await ada.get('/write')
  for (let times = 0; times < 2; times++) {
    go = gate()
    done = gate()
    await ada.get('/late')
    go.open()
    await done.opened
    await enough()
    const told = errors.splice(0)
    assert.equal(told.length, 2)
    assert.ok(told[0] instanceof CommandError)
    assert.ok(told[1] instanceof HeadersSentError)
  }
})

test('each session that was opened tells one failure of a kind a minute', async t => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const { sessions, errors } = await anApp(t, { store: memoryStore() }, {})
  const fail = async () => {
    for (const id of [DEAD, DEAD, 'e'.repeat(64)]) sessions.open(id).inc('n')
    await enough()
    return errors.splice(0).map(error => error instanceof SessionEndedError)
  }
  assert.deepEqual(await fail(), [true, true])
  assert.deepEqual(await fail(), [])
  t.mock.timers.tick(60_000)
  assert.deepEqual(await fail(), [true, true])
  // The clock is set back: nobody waits until it has come so far again.
  t.mock.timers.setTime(Date.now() - 24 * 60 * 60 * 1000)
  assert.deepEqual(await fail(), [true, true])
  assert.deepEqual(await fail(), [])
})

test('a listener that opens another dead session each time is told of a thousand failures a minute', async t => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const { app, sessions, errors } = await anApp(t, { store: memoryStore() }, {})
  let opened = 0
  const fail = () => void sessions.open((opened++).toString(16).padStart(64, '0')).inc('n')
  app.on('error', async () => {
    await null
    // Or the test would not end.
    if (opened < 3000) fail()
  })
  for (let turns = 0; turns < 2; turns++) {
    fail()
    await enough()
    assert.equal(errors.splice(0).length, 1000)
    opened = 0
    t.mock.timers.tick(60_000)
  }
})

test('store errors may be passed on to a listener that uses sessions', async t => {
  let isDown = false
  const store = altered(memoryStore(), () => {
    if (isDown) throw new StoreUnavailableError('It is down', 'none')
  })
  const { app, visitor, told } = await aListeningApp(t, {
    store,
    listener: (_, __, sessions) => void sessions.open(DEAD).inc('errors'),
    routes,
  })
  const passOn = (event: unknown) => void app.emit('error', (event as { error?: unknown }).error)
  subscribe('koa-atomic-session:lifecycle', passOn)
  t.after(() => unsubscribe('koa-atomic-session:lifecycle', passOn))
  isDown = true
  assert.equal((await visitor().get('/write')).status, 503)
  await enough()
  // The event, and the answer.
  assert.equal(told.length, 2)
})

test('an id that was cut out of a large text does not keep that text in memory when a change of it has failed', async t => {
  const { sessions, errors } = await anApp(t, { store: memoryStore() }, {})
  const held = await heldAfter(async () => {
    for (let time = 10; time < 40; time++) {
      const job = Buffer.from(`${'x'.repeat(2 ** 20)}${String(time).repeat(32)}`).toString()
      sessions.open(job.slice(2 ** 20)).inc('n')
      await enough()
    }
  })
  assert.equal(errors.splice(0).length, 30)
  assert.ok(held < 10 * 2 ** 20, `${held} bytes are held`)
})

test('while the store is down a listener that uses it is told once of each failing request', async t => {
  let isDown = false
  const store = altered(memoryStore(), () => {
    if (isDown) throw new StoreUnavailableError('It is down', 'none')
  })
  const { app, visitor, told } = await aListeningApp(t, {
    store,
    listener: (_, ctx, sessions) => {
      ctx?.session.inc('errors')
      sessions.open(DEAD).inc('errors')
    },
    routes,
  })
  const ada = visitor()
  await ada.get('/write')
  isDown = true
  const answers = [ada.get('/read'), ada.get('/write'), ada.get('/fail')]
  await once(app, 'error')
  assert.deepEqual((await Promise.all(answers)).map(({ status }) => status).sort(), [400, 503, 503])
  await enough()
  assert.equal(told.length, 3)
  isDown = false
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

/** What Koa's own listener cannot write down, and what is written in its place. */
const unwritable: Record<string, { error: unknown; told: RegExp }> = {
  'a text': { error: 'rate limited', told: /non-error thrown: "rate limited"/ },
  'an object': { error: { code: 429 }, told: /non-error thrown: \{"code":429\}/ },
  null: { error: null, told: /non-error thrown: null/ },
  'an object that cannot be written out': { error: { n: 1n }, told: /cannot be read/ },
  'an error whose stack is no text': {
    error: Object.assign(new Error('rate limited'), { stack: {} }),
    told: /Error: rate limited/,
  },
  'an error without a stack, whose name is no text': {
    error: Object.assign(new Error('rate limited'), { stack: '', name: Symbol('limited') }),
    told: /cannot be read/,
  },
  'an error of which nothing says whether it may be shown': {
    error: Object.defineProperty(new Error('rate limited'), 'expose', {
      get() {
        throw new Error('Nobody may read this')
      },
    }),
    told: /cannot be read/,
  },
  'an error that cannot be read': {
    error: new Proxy(new Error('rate limited'), {
      get() {
        throw new Error('Nobody may touch this')
      },
    }),
    told: /cannot be read/,
  },
}

for (const [what, { error, told }] of Object.entries(unwritable)) {
  test(`without a listener of the app’s own, a late failure is written down and ends nothing: ${what}`, async t => {
    const written = t.mock.method(console, 'error', () => {})
    const go = gate()
    const fail = () => {
      throw error
    }
    const { app, visitor, sessions } = await anApp(t, { store: memoryStore() }, ctx => {
      go.opened.then(() => void ctx.session.once('token', fail))
      return ctx.session.set('name', 'Ada')
    })
    app.removeAllListeners('error')
    const assertToldOnce = () => {
      const [text, ...others] = written.mock.calls.map(({ arguments: [first] }) => String(first))
      assert.match(text ?? '', told)
      assert.deepEqual(others, [])
      written.mock.resetCalls()
    }
    // As `app.callback()` adds it, and of a session that was opened before that.
    for (const prepare of [() => app.on('error', app.onerror), () => app.removeAllListeners('error')]) {
      prepare()
      const { id } = await sessions.create({})
      sessions.open(id).once('token', fail)
      await enough()
      assertToldOnce()
    }
    app.on('error', app.onerror)
    await visitor().get('/')
    go.open()
    await enough()
    assertToldOnce()
  })
}

/** Milliseconds. Closing waits so long for a request that it takes to be under way. */
const LONG = 30_000

async function assertClosesAtOnce(sessions: { close(): Promise<void> }): Promise<void> {
  const begun = performance.now()
  await sessions.close()
  assert.ok(performance.now() - begun < LONG / 2)
}

test('a request whose second failure is no error is answered, and closing does not wait for it', async t => {
  const written = t.mock.method(console, 'error', () => {})
  const { app, visitor, sessions } = await anApp(t, { store: memoryStore(), timeout: LONG }, ctx => {
    for (const failure of [Object.assign(new Error('one'), { status: 503 }), 'two']) {
      ctx.session.once(String(failure), () => {
        throw failure
      })
    }
  })
  app.removeAllListeners('error').on('error', app.onerror)
  assert.equal((await visitor().get('/')).status, 503)
  const told = written.mock.calls.map(({ arguments: [text] }) => String(text))
  assert.equal(told.length, 2)
  assert.match(told[0] ?? '', /non-error thrown: "two"/)
  assert.match(told[1] ?? '', /Error: one/)
  await assertClosesAtOnce(sessions)
})

test('closing does not wait for a request whose second failure a listener could not take', async t => {
  const { app, visitor, sessions } = await anApp(t, { store: memoryStore(), timeout: LONG }, ctx => {
    ctx.session.inc('name')
    ctx.session.set('name', 'Ada')
    ctx.session.inc('name')
    ctx.session.push('name', 1)
  })
  app.once('error', () => {
    throw new Error('The log is full')
  })
  const ada = visitor()
  assert.equal((await ada.get('/')).status, 500)
  await assertClosesAtOnce(sessions)
})
