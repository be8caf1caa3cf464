import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { StoreUnavailableError } from '../../src/index.ts'
import {
  type AppOptions,
  anApp,
  type Handler,
  KEY,
  onEachStore,
  type RunningApp,
} from '../support/frameworks.ts'
import type { Answer, Visitor } from '../support/visitor.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const YOUNG = 'another key that is known to the tests only, and long enough'

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set({ name: 'Ada', n: 0 }),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/get': ctx => ctx.session.get('name'),
  '/write': ctx => ctx.session.inc('n'),
  '/touch': ctx => ctx.session.touch().then(() => undefined),
  '/remember': ctx => ctx.session.touch(String(ctx.query.for)).then(() => undefined),
  '/blind': ctx => {
    ctx.session.set('seen', true)
    return 'done'
  },
  '/poll': async ctx => ({ ...(await ctx.session({ extend: false })) }),
  '/rotate': ctx => ctx.session.regenerate({ keep: true }).then(() => undefined),
}

interface Visit extends RunningApp {
  readonly ada: Visitor
  readonly start: number
  /** The id of Ada's session, whichever it is by now. */
  id(): Promise<string>
  /** Lets the time be so much after the start. */
  pass(ms: number): void
}

/** A visitor whose session began at the start of a time that the test lets pass. */
async function aVisit(t: TestContext, watched: Watched, options: AppOptions): Promise<Visit> {
  const start = Date.now()
  t.mock.timers.enable({ apis: ['Date'], now: start })
  const running = await anApp(t, { store: watched.store, ...options }, routes)
  const ada = running.visitor()
  await ada.get('/begin')
  return {
    ...running,
    ada,
    start,
    id: async () => (await onlyRecord(watched)).id,
    pass: ms => t.mock.timers.setTime(start + ms),
  }
}

async function onlyRecord(watched: Watched) {
  const [record, ...others] = await watched.records()
  assert.ok(record)
  assert.deepEqual(others, [])
  return record
}

/** When the cookie that an answer gives is over. */
function cookieUntil({ setCookies }: Answer): number {
  assert.equal(setCookies.length, 1, 'not one Set-Cookie')
  return Date.parse(/; *expires=([^;]+)/i.exec(setCookies[0] ?? '')?.[1] ?? '')
}

/** Cookies tell whole seconds, and are rounded up. */
function sameSecond(one: number, other: number): void {
  assert.ok(Math.abs(one - other) < SECOND, `${one} is not ${other}`)
}

/** A request as a WebSocket's upgrade has it. */
function upgradeOf(visitor: Visitor): IncomingMessage {
  return { headers: { cookie: `sid=${visitor.jar.get('sid')}` } } as IncomingMessage
}

onEachStore(
  'the cookie tells the absolute limit, so that a change which is due stays within it unread',
  async (t, watched) => {
    const { ada, pass, start } = await aVisit(t, watched, { maxAge: '1h', absoluteMaxAge: '2h' })
    // A process that has been given no limit, as while an app is deployed anew.
    const other = await anApp(t, { store: watched.store, maxAge: '1h' }, routes)
    const there = other.visitor()
    for (const [minutes, end] of [
      [50, 110],
      [100, 120],
      [110, 120],
    ] as const) {
      pass(minutes * MINUTE)
      there.jar.set('sid', ada.jar.get('sid') ?? '')
      watched.calls.length = 0
      const answer = await there.get('/write')
      assert.equal(answer.status, 200, answer.text)
      assert.deepEqual(watched.calls, ['update'])
      sameSecond(cookieUntil(answer), start + end * MINUTE)
      assert.equal((await onlyRecord(watched)).expires.getTime(), start + end * MINUTE)
      ada.jar.set('sid', there.jar.get('sid') ?? '')
    }
    pass(2 * HOUR)
    assert.deepEqual((await ada.get('/read', { Cookie: `sid=${ada.jar.get('sid')}` })).json, {})
  },
)

onEachStore('a limit that nobody set is not in the cookie', async (t, watched) => {
  const without = await anApp(t, { store: watched.store }, routes)
  const within = await anApp(t, { store: watched.store, absoluteMaxAge: '30 days' }, routes)
  const [ada, eve] = [without.visitor(), within.visitor()]
  await ada.get('/begin')
  await eve.get('/begin')
  assert.equal(ada.jar.get('sid')?.split('.').length, 4)
  assert.equal(eve.jar.get('sid')?.split('.').length, 5)
})

onEachStore('a job reads the absolute limit before it touches a session', async (t, watched) => {
  const { sessions, start, id } = await aVisit(t, watched, { maxAge: '1h', absoluteMaxAge: '2h' })
  for (const maxAge of [undefined, '3h', '90m']) {
    const opened = sessions.open(await id())
    watched.calls.length = 0
    await opened.touch(maxAge)
    assert.deepEqual(watched.calls, ['load', 'update'])
    const { expires } = await onlyRecord(watched)
    const minutes = { '3h': 120, '90m': 90 }[maxAge ?? ''] ?? 60
    assert.equal(expires.getTime(), start + minutes * MINUTE)
  }
})

onEachStore('a job’s touch is made anew where somebody writes meanwhile', async (t, watched) => {
  let writes = 3
  const { store } = watched
  const { ada, sessions, id, start, pass } = await aVisit(
    t,
    {
      ...watched,
      store: altered(store, async (name, args) => {
        const [id, change] = args as [string, { expires?: Date }]
        if (name !== 'update' || !change.expires || writes-- <= 0) return
        // Another gives it a life of its own.
        await store.update(id, { guards: [], operations: [], maxAge: (10 + writes) * MINUTE })
      }),
    },
    { maxAge: '1h', absoluteMaxAge: '2h' },
  )
  pass(MINUTE)
  watched.calls.length = 0
  await sessions.open(await id()).touch()
  const { maxAge, expires } = await onlyRecord(watched)
  assert.equal(maxAge, 10 * MINUTE)
  // It was to end later than that already.
  assert.equal(expires.getTime(), start + HOUR)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 0 })
})

/** What may happen to a session that has a limit, in any order, on any process, each of which has a clock of its own. */
const someAct = fc.oneof(
  fc.constantFrom('/read', '/get', '/write', '/touch', '/rotate', '/remember?for=1h', '/remember?for=30d'),
  fc.constantFrom('open', 'open 30d', 'load', 'load 30d'),
)
const someDay = fc.array(
  fc.record({
    act: someAct,
    after: fc.integer({ min: 0, max: 20 * MINUTE }),
    skew: fc.constantFrom(0, -2, 2),
  }),
  { minLength: 3, maxLength: 12 },
)

onEachStore(
  'whatever is done to a session, and by whose clock, none outlives its limit',
  async (t, watched) => {
    const start = Date.now()
    t.mock.timers.enable({ apis: ['Date'], now: start })
    const options = { store: watched.store, maxAge: '1h', touchAfter: '5m', absoluteMaxAge: '3h' }
    const { sessions, visitor } = await anApp(t, options, routes)
    const property = fc.asyncProperty(someDay, async day => {
      let now = start
      t.mock.timers.setTime(now)
      const ada = visitor()
      await ada.get('/begin')
      const limit = start + 3 * HOUR
      for (const { act, after, skew } of day) {
        now += after
        t.mock.timers.setTime(now + skew * MINUTE)
        const [kind, maxAge] = act.split(' ')
        const [record] = await watched.records()
        if (!record) break
        if (kind === 'open') await sessions.open(record.id).touch(maxAge)
        else if (kind === 'load') await (await sessions.load(upgradeOf(ada))).touch(maxAge)
        else assert.equal((await ada.get(act)).status, 200)
        for (const { expires, absolute } of await watched.records()) {
          assert.ok(expires.getTime() <= limit, `${act}: ${expires.getTime() - limit} ms too late`)
          assert.equal(absolute?.getTime(), limit)
        }
        const told = (await sessions.load(upgradeOf(ada))).expires.getTime()
        assert.ok(told <= limit)
      }
      // The next day begins anew: what has expired must not live again.
      t.mock.timers.setTime(start)
      for (const { id } of await watched.records()) await sessions.end(id)
    })
    await fc.assert(property, { numRuns: 25, endOnFailure: true })
  },
)

/** Those who give a session another lifetime than its visitor's cookie says. */
const others: [who: string, touch: (visit: Visit, maxAge: string) => Promise<unknown>][] = [
  ['a job', async ({ sessions, id }, maxAge) => sessions.open(await id()).touch(maxAge)],
  ['a socket', async ({ sessions, ada }, maxAge) => (await sessions.load(upgradeOf(ada))).touch(maxAge)],
]

for (const [who, touch] of others) {
  for (const [path, ...calls] of [
    ['/write', 'update', 'update'],
    ['/blind', 'update', 'update'],
    ['/touch', 'update', 'update'],
    ['/get', 'read', 'update', 'update'],
    ['/read', 'load', 'update'],
  ] as const) {
    onEachStore(
      `a session to which ${who} has given a longer life is extended by that: ${path}`,
      async (t, watched) => {
        const visit = await aVisit(t, watched, { maxAge: '1h' })
        const { ada, start, pass } = visit
        await touch(visit, '10h')
        pass(HOUR / 2)
        watched.calls.length = 0
        const answer = await ada.get(path)
        assert.equal(answer.status, 200, answer.text)
        assert.deepEqual(watched.calls.splice(0), calls)
        sameSecond(cookieUntil(answer), start + 10.5 * HOUR)
        const { maxAge, expires } = await onlyRecord(watched)
        assert.deepEqual([maxAge, expires.getTime()], [10 * HOUR, start + 10.5 * HOUR])
        // From then on the cookie says so.
        pass(HOUR)
        cookieUntil(await ada.get('/write'))
        assert.deepEqual(watched.calls, ['update'])
      },
    )

    onEachStore(
      `a session to which ${who} has given a shorter life lives while it is used: ${path}`,
      async (t, watched) => {
        const visit = await aVisit(t, watched, { maxAge: '1h', touchAfter: '1m' })
        const { ada, start, pass } = visit
        await touch(visit, '10m')
        for (let minutes = 5; minutes <= 60; minutes += 5) {
          pass(minutes * MINUTE)
          const answer = await ada.get(path)
          sameSecond(cookieUntil(answer), start + (minutes + 10) * MINUTE)
          assert.equal((await onlyRecord(watched)).expires.getTime(), start + (minutes + 10) * MINUTE)
        }
        pass(70 * MINUTE)
        assert.deepEqual(await watched.records(), [])
      },
    )
  }
}

onEachStore('who cannot extend a session gives no cookie that says so', async (t, watched) => {
  let isFull = false
  const store = altered(watched.store, (name, args) => {
    const { operations = [] } = Object(args[1])
    if (isFull && name === 'update' && operations.length === 0)
      throw new StoreUnavailableError('It is full', 'none')
  })
  const visit = await aVisit(t, { ...watched, store }, { maxAge: '1h' })
  const { ada, sessions, id, start, pass, errors } = visit
  await sessions.open(await id()).touch('10h')
  pass(HOUR / 2)
  isFull = true
  // What was asked for is made; it is only not extended yet.
  for (const path of ['/write', '/blind']) {
    const { status, setCookies } = await ada.get(path)
    assert.deepEqual([status, setCookies], [200, []])
  }
  assert.equal((await ada.get('/touch')).status, 503)
  assert.equal((await onlyRecord(watched)).expires.getTime(), start + 10 * HOUR)
  assert.equal(errors.length, 1)
  isFull = false
  sameSecond(cookieUntil(await ada.get('/write')), start + 10.5 * HOUR)
})

onEachStore('a cookie that is only signed anew says what it has said', async (t, watched) => {
  const visit = await aVisit(t, watched, { maxAge: '1h' })
  const { ada, start, pass } = visit
  const young = await anApp(t, { store: watched.store, maxAge: '1h', keys: [YOUNG, KEY] }, routes)
  pass(20 * MINUTE)
  await visit.sessions.open(await visit.id()).touch('10m')
  pass(25 * MINUTE)
  const there = young.visitor()
  const answer = await there.get('/poll', { Cookie: `sid=${ada.jar.get('sid')}` })
  assert.deepEqual(answer.json, { name: 'Ada', n: 0 })
  sameSecond(cookieUntil(answer), start + HOUR)
})

/** What its visitor and others may do to a session that is used all the time. */
const someUse = fc.oneof(
  fc.constantFrom(
    '/read',
    '/get',
    '/write',
    '/blind',
    '/touch',
    '/remember?for=10m',
    '/remember?for=2h',
    '/rotate',
  ),
  fc.constantFrom('open 10m', 'open 3h', 'load 20m', 'load 5h', 'open'),
)
const someHours = fc.array(fc.record({ use: someUse, after: fc.integer({ min: 2, max: 4 }) }), {
  minLength: 5,
  maxLength: 25,
})

onEachStore(
  'a session in use lives, and no cookie says more of its life than the store',
  async (t, watched) => {
    const start = Date.now()
    t.mock.timers.enable({ apis: ['Date'], now: start })
    const options = { store: watched.store, maxAge: '1h', touchAfter: '1m', absoluteMaxAge: '90 days' }
    const { sessions, visitor } = await anApp(t, options, routes)
    const property = fc.asyncProperty(someHours, async hours => {
      t.mock.timers.setTime(start)
      let now = start
      const ada = visitor()
      await ada.get('/begin')
      for (const { use, after } of hours) {
        const [kind, maxAge] = use.split(' ')
        const { id } = await onlyRecord(watched)
        if (kind === 'open') await sessions.open(id).touch(maxAge)
        if (kind === 'load') await (await sessions.load(upgradeOf(ada))).touch(maxAge)
        now += after * MINUTE
        t.mock.timers.setTime(now)
        const answer = await ada.get(use.startsWith('/') ? use : '/blind')
        assert.equal(answer.status, 200, answer.text)
        const record = await onlyRecord(watched)
        assert.equal(record.fields.name, 'Ada')
        assert.ok(cookieUntil(answer) - SECOND < record.expires.getTime(), use)
        assert.equal(Number.parseInt(ada.jar.get('sid')?.split('.')[2] ?? '', 36), record.maxAge, use)
        assert.equal(record.expires.getTime(), Math.max(record.expires.getTime(), now + record.maxAge), use)
      }
      for (const { id } of await watched.records()) await sessions.end(id)
    })
    await fc.assert(property, { numRuns: 20, endOnFailure: true })
  },
)
