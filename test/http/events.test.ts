import assert from 'node:assert/strict'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import type { TestContext } from 'node:test'
import { setImmediate as aTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { idOf } from '../../src/ids.ts'
import {
  CommandError,
  ConfigurationError,
  IdTakenError,
  type LifecycleEvent,
  SessionEndedError,
  SessionTooLargeError,
  type Store,
  type StoreCall,
  StoreUnavailableError,
} from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, type Context, type Handler, onEachStore, test } from '../support/frameworks.ts'
import { lifecycle } from '../support/lifecycle.ts'
import type { Visitor } from '../support/visitor.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const VALUE = 'a value that is nobody’s business'
const SECOND = 1000

const routes: Record<string, Handler> = {
  '/noop': () => 'nothing',
  '/begin': ctx => ctx.session.set('text', VALUE),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/get': ctx => ctx.session.get('text'),
  '/write': ctx => ctx.session.set('text', VALUE).inc('n').push('list', VALUE),
  '/guarded': ctx => ctx.session.if('text', 'another').inc('n'),
  '/broken': ctx => ctx.session.inc('text'),
  '/nowhere': ctx => ctx.session.set('text.of.whom', 1),
  '/shrink': ctx => ctx.session.set('huge', 'x'.repeat(2 ** 21)),
  '/destroy': ctx => ctx.session.destroy(),
  '/regenerate': async ctx => (await ctx.session.regenerate({ keep: true })).id,
  '/form': ctx => ctx.session.createCSRF(),
  '/submit': ctx => ctx.session.assertCSRF(ctx.get('x-csrf-token')),
}

/** Far more turns of the event loop than any event takes. */
async function enough(): Promise<void> {
  for (let turns = 0; turns < 200; turns++) await aTurn()
}

/** A failure that the test expects. */
const noted = () => {}

/** The store calls that have ended while the test runs. */
function storeCalls(t: TestContext): StoreCall[] {
  const calls: StoreCall[] = []
  const channel = tracingChannel<'koa-atomic-session:store', StoreCall>('koa-atomic-session:store')
  const listeners = {
    start() {},
    end() {},
    asyncStart() {},
    asyncEnd: (call: StoreCall) => void calls.push(call),
    error() {},
  }
  channel.subscribe(listeners)
  t.after(() => channel.unsubscribe(listeners))
  return calls
}

async function aVisit(t: TestContext, store: Store) {
  const running = await anApp(t, { store, user: 'text' }, routes)
  const ada = running.visitor()
  await ada.get('/begin')
  return { ...running, ada }
}

function idIn({ jar }: Visitor): string {
  return idOf(jar.get('sid')?.split('.')[0] ?? '')
}

onEachStore(
  'each thing that happens to a session is told once, by the hash of its id',
  async (t, watched) => {
    const { ada, visitor, sessions } = await aVisit(t, watched.store)
    const events = lifecycle(t)
    const told = () => events.splice(0)

    const eve = visitor()
    await eve.get('/begin')
    assert.deepEqual(told(), [{ type: 'created', id: idIn(eve) }])
    for (const path of ['/noop', '/read', '/get', '/write', '/guarded', '/form']) await eve.get(path)
    assert.deepEqual(told(), [])

    const former = idIn(eve)
    const old = eve.twin()
    const { json: id } = await eve.get('/regenerate')
    assert.deepEqual(told(), [{ type: 'regenerated', id, former }])
    await old.get('/read')
    assert.deepEqual(told(), [])

    await eve.twin().get('/destroy')
    assert.deepEqual(told(), [{ type: 'ended', id }])
    await eve.get('/destroy')
    await visitor().get('/destroy')
    assert.deepEqual(told(), [])

    const admin = visitor()
    const { json: form } = await admin.get('/form')
    const admins = idIn(admin)
    assert.match(String(form), /^[\w-]{65}$/)
    assert.deepEqual(told(), [{ type: 'created', id: admins }])
    await sessions.end(admins)
    assert.deepEqual(told(), [{ type: 'ended', id: admins }])
    await admin.twin().get('/read')
    assert.deepEqual(told(), [{ type: 'unknown id', id: admins }])
    assert.equal(await sessions.endAll(VALUE), 1)
    assert.deepEqual(told(), [{ type: 'ended', id: idIn(ada) }])

    const first = visitor()
    const { json: firsts } = await first.get('/regenerate')
    assert.deepEqual(told(), [{ type: 'regenerated', id: firsts, former: undefined }])
  },
)

onEachStore('the end of a session’s life is told when its visitor comes', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const events = lifecycle(t)
  const id = idIn(ada)
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 15 * 24 * 60 * 60 * SECOND })
  const twin = ada.twin()
  await ada.get('/read', { Cookie: `sid=${twin.jar.get('sid')}` })
  assert.deepEqual(events, [{ type: 'expired', id }])
})

onEachStore('a cookie with a wrong signature and a wrong CSRF token are told', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched.store)
  const events = lifecycle(t)
  const value = ada.jar.get('sid') ?? ''
  const last = value.endsWith('A') ? 'B' : 'A'
  await visitor().get('/read', { Cookie: `sid=${value.slice(0, -1)}${last}` })
  assert.deepEqual(events.splice(0), [{ type: 'bad signature' }])
  await visitor().get('/noop', { Cookie: `sid=${value.slice(0, -1)}${last}` })
  await visitor().get('/read', { Cookie: 'sid=junk; other=1' })
  assert.deepEqual(events, [])

  for (const token of ['', 'x'.repeat(65), 'x'.repeat(10_000)]) {
    assert.equal((await ada.get('/submit', { 'x-csrf-token': token })).status, 403)
    assert.deepEqual(events.splice(0), [{ type: 'CSRF failed', reason: 'token' }])
  }
  const token = String((await ada.get('/form')).json)
  assert.equal((await ada.get('/submit', { 'x-csrf-token': token })).status, 200)
  assert.deepEqual(events, [])
})

onEachStore('a store that fails is told once for each call that it failed', async (t, watched) => {
  let down = false
  const store = altered(watched.store, () => {
    if (down) throw new StoreUnavailableError('It is down', 'none')
  })
  const { ada, visitor } = await aVisit(t, store)
  const events = lifecycle(t)
  down = true
  for (const path of ['/read', '/get', '/write', '/destroy', '/regenerate']) {
    assert.equal((await ada.get(path)).status, 503, path)
    const [event, ...others] = events.splice(0)
    assert.equal(event?.type, 'store error')
    assert.ok(event.error instanceof StoreUnavailableError)
    assert.deepEqual(others, [], path)
  }
  assert.equal((await visitor().get('/begin')).status, 503)
  assert.deepEqual(
    events.splice(0).map(({ type }) => type),
    ['store error'],
  )
  down = false
  assert.equal((await ada.get('/read')).status, 200)
  assert.deepEqual(events, [])
})

/** Calls `told` for each event of a failure while the test runs. */
function onFailures(t: TestContext, told: (event: LifecycleEvent) => unknown): void {
  const listen = (event: unknown) => {
    if ('error' in (event as LifecycleEvent)) told(event as LifecycleEvent)
  }
  subscribe('koa-atomic-session:lifecycle', listen)
  t.after(() => unsubscribe('koa-atomic-session:lifecycle', listen))
}

/** An app whose store can be down, and a visitor with a session; `'/write'` also leaves its context to a subscriber. */
async function anOutage(t: TestContext) {
  const outage = { isDown: false, ctx: undefined as Context | undefined }
  const store = altered(memoryStore(), () => {
    if (outage.isDown) throw new StoreUnavailableError('It is down', 'none')
  })
  const running = await anApp(
    t,
    { store },
    {
      ...routes,
      '/write': ctx => {
        outage.ctx = ctx
        return ctx.session.inc('n')
      },
    },
  )
  const ada = running.visitor()
  await ada.get('/begin')
  return { ...running, ada, id: idIn(ada), outage }
}

test('a subscriber that uses sessions is told of no store error of its own', async t => {
  const { ada, id, outage, sessions } = await anOutage(t)
  const told: string[] = []
  onFailures(t, ({ type }) => {
    told.push(type)
    // Or the test would not end.
    if (told.length > 100) return
    sessions.open(id).inc('errors')
    sessions.open(id).get('errors').catch(noted)
    sessions.open(id).regenerate().catch(noted)
    sessions.end(id).catch(noted)
    outage.ctx?.session.inc('errors')
  })
  outage.isDown = true
  assert.equal((await ada.get('/write')).status, 503)
  await enough()
  assert.deepEqual(told.splice(0), ['store error'])
  await sessions.close()
  assert.equal((await ada.get('/write')).status, 503)
  await enough()
  assert.deepEqual(told, ['store error'])
})

test('a subscriber’s change that can be made is made', async t => {
  const { ada, id, outage, sessions } = await anOutage(t)
  onFailures(t, () => {
    outage.isDown = false
    sessions.open(id).inc('errors')
  })
  outage.isDown = true
  assert.equal((await ada.get('/write')).status, 503)
  await enough()
  assert.deepEqual((await ada.get('/read')).json, { text: VALUE, errors: 1 })
})

for (const what of ['that is down', 'that is closed']) {
  test(`a subscriber that calls a store ${what} for ever keeps nobody waiting`, async t => {
    const { ada, id, outage, sessions } = await anOutage(t)
    let times = 0
    onFailures(t, async () => {
      await null
      // Or the test would not end.
      if (outage.isDown && ++times < 50_000) sessions.end(id).catch(noted)
    })
    outage.isDown = true
    if (what === 'that is closed') await sessions.close()
    assert.equal((await ada.get('/write')).status, 503)
    const before = times
    assert.equal((await ada.get('/noop')).status, 200)
    assert.ok(times > before && times < 50_000, `${times} calls`)
    outage.isDown = false
  })
}

test('that a session is not in the store is told when its visitor comes, and not when it is opened', async t => {
  const { id: gone, sessions } = await anOutage(t)
  await sessions.end(gone)
  const events = lifecycle(t)
  await assert.rejects(sessions.open(gone).get('text'), SessionEndedError)
  await assert.rejects(async () => sessions.open(gone).inc('n'), SessionEndedError)
  await assert.rejects(sessions.open(gone)(), SessionEndedError)
  assert.deepEqual(events, [])
})

onEachStore('each call to the store is traced: what, how long, and what became of it', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched.store)
  const calls = storeCalls(t)
  const eve = visitor()
  const old = ada.twin()
  const id = idIn(ada)
  const steps: [visitor: Visitor, path: string, ...told: string[]][] = [
    [eve, '/begin', 'insert  applied'],
    [ada, '/noop'],
    [ada, '/read', 'load  found'],
    [ada, '/get', 'read  found'],
    [ada, '/write', 'update $set,$inc,$push applied'],
    [ada, '/guarded', 'update $inc refused'],
    [ada, '/regenerate', 'load  found', 'insert  applied', 'end  applied'],
    [old, '/read', 'load  ended'],
    [old, '/get', 'read  ended'],
    [old, '/write', 'update $set,$inc,$push ended', 'load  ended'],
    [ada, '/destroy', 'end  applied'],
    [old, '/destroy', 'end  refused', 'load  ended'],
  ]
  for (const [who, path, ...told] of steps) {
    calls.length = 0
    await who.get(path)
    assert.deepEqual(
      calls.map(call => `${call.method} ${call.operators} ${call.result}`),
      told,
      path,
    )
    for (const call of calls) {
      assert.match(call.id ?? '', /^[0-9a-f]{64}$/)
      assert.ok((call.milliseconds ?? -1) >= 0 && (call.milliseconds ?? 0) < 60_000)
      assert.equal(call.error, undefined)
    }
  }
  calls.length = 0
  await old.get('/read')
  assert.equal(calls[0]?.id, id)
})

onEachStore('finding, counting and making indexes is traced as other calls are', async (t, { store }) => {
  const { sessions } = await aVisit(t, store)
  const calls = storeCalls(t)
  const told = () =>
    calls.splice(0).map(({ method, id, operators, result }) => ({ method, id, operators, result }))
  const found = async (user: string, most = 9) => {
    for await (const _ of sessions.find(user)) if (--most === 0) break
    return told()
  }
  const call = { id: undefined, operators: [] }
  await sessions.ensureIndex()
  assert.deepEqual(told(), [{ ...call, method: 'ensureIndex', result: 'applied' }])
  assert.deepEqual(await found(VALUE), [{ ...call, method: 'find', result: 'found' }])
  assert.deepEqual(await found(VALUE, 1), [{ ...call, method: 'find', result: 'found' }])
  assert.deepEqual(await found('nobody'), [{ ...call, method: 'find', result: 'absent' }])
  const count = await sessions.count().catch(error => error)
  const result = store.count ? 'found' : undefined
  assert.equal(store.count ? count : count.name, store.count ? 1 : 'ConfigurationError')
  assert.deepEqual(told(), [{ ...call, method: 'count', result }])
  await sessions.sweep()
  assert.deepEqual(told(), [{ ...call, method: 'sweep', result: 'applied' }])
  await sessions.endAll(VALUE)
  assert.deepEqual(
    told().map(({ method, result }) => `${method} ${result}`),
    ['find found', 'delete applied', 'find absent', 'find absent'],
  )
})

test('of a search that is traced the time is what the store took, and a failure its own', async t => {
  let isAway = false
  const store = altered(memoryStore(), name => {
    if (name === 'find' && isAway) throw new StoreUnavailableError('It is away', 'none')
  })
  const { sessions } = await aVisit(t, store)
  const calls = storeCalls(t)
  let now = performance.now()
  t.mock.method(performance, 'now', () => now)
  for await (const _ of sessions.find(VALUE)) now += 200
  assert.equal(calls[0]?.milliseconds, 0)
  isAway = true
  await assert.rejects(sessions.find(VALUE).next(), StoreUnavailableError)
  assert.equal(calls[1]?.result, undefined)
  assert.match(String(calls[1]?.error), /It is away$/)
})

onEachStore('a call to the store that fails is traced with its error', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const calls = storeCalls(t)
  assert.equal((await ada.get('/broken')).status, 500)
  const [update, ...others] = calls
  assert.equal(update?.method, 'update')
  assert.equal(update.result, undefined)
  assert.equal((update.error as Error).name, 'CommandError')
  assert.ok((update.milliseconds ?? -1) >= 0)
  assert.deepEqual(others, [])
})

onEachStore('events and traces hold neither values nor secrets', async (t, watched: Watched) => {
  const { ada, visitor, sessions } = await aVisit(t, watched.store)
  const events = lifecycle(t)
  const calls = storeCalls(t)
  const eve = visitor()
  const secrets = new Set<string>()
  for (const who of [ada, eve]) {
    for (const path of [
      '/begin',
      '/read',
      '/get',
      '/write',
      '/guarded',
      '/form',
      '/submit',
      '/regenerate',
      '/read',
    ]) {
      await who.get(path)
      for (const part of who.jar.get('sid')?.split('.') ?? []) if (part.length > 20) secrets.add(part)
    }
  }
  await sessions.endAll(VALUE)
  await ada.get('/read')
  assert.ok(events.length > 4)
  assert.ok(calls.length > 10)
  assert.ok(secrets.size >= 8)
  const told = inspect([events, calls], { depth: Infinity, showHidden: true })
  assert.ok(!told.includes(VALUE.slice(0, 12)), 'a value was told')
  for (const secret of secrets) assert.ok(!told.includes(secret), 'a secret was told')
})

onEachStore(
  'what a driver says of a failure is thrown, and told in no event',
  async (t, watched: Watched) => {
    const cause = Object.assign(new Error(`Cannot create field in {text: "${VALUE}"}`), {
      name: 'MongoServerError',
      code: 28,
      errorResponse: { errmsg: VALUE },
    })
    const failures = [
      new StoreUnavailableError('It is down', 'none', { cause }),
      new CommandError('It was refused', 'text', { cause }),
      new SessionTooLargeError('It is too large', { cause }),
      new ConfigurationError('It is set up wrongly', { cause }),
      new IdTakenError('The id is taken', { cause }),
      new StoreUnavailableError('It is away', 'unknown', {
        cause: new CommandError(VALUE, VALUE, { cause }),
      }),
      cause,
    ]
    let failure: Error | undefined
    const store = altered(watched.store, () => {
      if (failure) throw failure
    })
    const { ada, visitor, errors } = await aVisit(t, store)
    const events = lifecycle(t)
    const calls = storeCalls(t)
    for (failure of failures) {
      for (const who of [ada, visitor()]) {
        events.length = calls.length = 0
        await who.get('/begin')
        assert.ok(errors.splice(0).includes(failure))
        const told = calls[0]?.error as Error & { code?: unknown }
        assert.equal(told.name, failure.name)
        assert.equal(told.code, (failure as { code?: unknown }).code)
        assert.ok(
          failure === cause || (told.message === failure.message && told instanceof failure.constructor),
        )
        assert.ok(told.stack)
        for (const one of [...events, ...calls]) {
          const text = inspect(one, { depth: Infinity, showHidden: true })
          assert.ok(!text.includes(VALUE.slice(0, 12)), text)
        }
      }
    }
    failure = undefined
    for (const path of ['/broken', '/nowhere', '/shrink']) {
      events.length = calls.length = 0
      assert.ok((await ada.get(path)).status >= 413, path)
      const text = inspect([events, calls], { depth: Infinity, showHidden: true })
      assert.ok(!text.includes(VALUE.slice(0, 12)), text)
    }
  },
)

/** Who asked what time it is. */
function readerIn({ stack = '' }: Error): string {
  return stack.split('\n').find(line => line.includes('/src/')) ?? ''
}

test('while nobody listens no call is timed or told', async t => {
  const clock = t.mock.method(performance, 'now')
  const { ada } = await aVisit(t, memoryStore())
  const timesOf = async (path: string) => {
    const before = clock.mock.calls.length
    await ada.get(path)
    return clock.mock.calls.slice(before).filter(({ stack }) => /tracing/.test(readerIn(stack))).length
  }
  for (const path of ['/read', '/write', '/regenerate', '/destroy'])
    assert.equal(await timesOf(path), 0, path)
  const calls = storeCalls(t)
  await ada.get('/begin')
  assert.equal(await timesOf('/read'), 2)
  assert.deepEqual(
    calls.map(({ method }) => method),
    ['insert', 'load'],
  )
})
