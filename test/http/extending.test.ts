import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { StoreUnavailableError } from '../../src/index.ts'
import {
  type AppOptions,
  anApp,
  type Handler,
  onEachStore,
  type RunningApp,
  test,
} from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import type { Answer, Visitor } from '../support/visitor.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set({ name: 'Ada', n: 0 }),
  '/noop': () => 'nothing',
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/get': ctx => ctx.session.get('name'),
  '/poll': async ctx => ({ ...(await ctx.session({ extend: false })) }),
  '/poll-and-write': async ctx => {
    const session = await ctx.session({ extend: false })
    await session.inc('n')
  },
  '/write': ctx => ctx.session.inc('n'),
  '/twice': async ctx => {
    await ctx.session.inc('n')
    await ctx.session.inc('n')
  },
  '/touch': ctx => ctx.session.touch(),
  '/touch-loaded': async ctx => {
    const session = await ctx.session()
    await session.touch()
    return { ...session }
  },
  '/remember': ctx => ctx.session.touch(String(ctx.query.for)),
  '/lifetime': async ctx => {
    const { maxAge, created, expires } = await ctx.session()
    return { maxAge, created: created.getTime(), expires: expires.getTime() }
  },
}

interface Time {
  readonly start: number
  /** Lets the time be so much after the start. */
  pass(ms: number): void
}

/** A visitor whose session began at the start of a time that the test lets pass. */
async function aVisit(
  t: TestContext,
  { store }: Pick<Watched, 'store'>,
  options: AppOptions = {},
  more: typeof routes = {},
): Promise<RunningApp & { ada: Visitor } & Time> {
  const start = Date.now()
  t.mock.timers.enable({ apis: ['Date'], now: start })
  const running = await anApp(t, { store, ...options }, { ...routes, ...more })
  const ada = running.visitor()
  await ada.get('/begin')
  return { ...running, ada, start, pass: ms => t.mock.timers.setTime(start + ms) }
}

async function onlyRecord(watched: Watched) {
  const [record, ...others] = await watched.records()
  assert.ok(record)
  assert.deepEqual(others, [])
  return record
}

/** When the cookie that an answer gives is over. */
function cookieUntil({ setCookies }: Answer): number | undefined {
  assert.ok(setCookies.length <= 1, 'more than one Set-Cookie')
  const expires = /; *expires=([^;]+)/i.exec(setCookies[0] ?? '')?.[1]
  return expires === undefined ? undefined : Date.parse(expires)
}

/** Cookies tell whole seconds. */
function sameSecond(one: number | undefined, other: number): void {
  assert.ok(one !== undefined, 'there is no cookie')
  assert.ok(Math.abs(one - other) < SECOND, `${one} is not ${other}`)
}

onEachStore('with a fresh cookie a session is used without being extended', async (t, watched) => {
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '10 days' })
  pass(DAY - 1)
  for (const [path, call] of [
    ['/read', 'load'],
    ['/get', 'read'],
    ['/write', 'update'],
  ] as const) {
    watched.calls.length = 0
    const { setCookies } = await ada.get(path)
    assert.deepEqual(setCookies, [], path)
    assert.deepEqual(watched.calls, [call])
  }
  assert.equal((await onlyRecord(watched)).expires.getTime(), start + 10 * DAY)
})

onEachStore('with an old cookie a write extends the session in the same command', async (t, watched) => {
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '10 days' })
  pass(DAY)
  watched.calls.length = 0
  const answer = await ada.get('/write')
  assert.deepEqual(watched.calls, ['update'])
  sameSecond(cookieUntil(answer), start + 11 * DAY)
  const { expires, fields } = await onlyRecord(watched)
  assert.equal(expires.getTime(), start + 11 * DAY)
  assert.deepEqual(fields, { name: 'Ada', n: 1 })

  // The cookie is fresh again.
  watched.calls.length = 0
  assert.deepEqual((await ada.get('/write')).setCookies, [])
  assert.deepEqual(watched.calls, ['update'])
})

for (const [path, ...calls] of [
  ['/read', 'load', 'update'],
  ['/get', 'read', 'update'],
  ['/twice', 'update', 'update'],
] as const) {
  onEachStore(`with an old cookie ${path} extends the session once, ${calls}`, async (t, watched) => {
    const { ada, pass, start } = await aVisit(t, watched, { maxAge: '10 days' })
    pass(2 * DAY)
    watched.calls.length = 0
    const answer = await ada.get(path)
    assert.equal(answer.status, 200)
    assert.deepEqual(watched.calls, calls)
    sameSecond(cookieUntil(answer), start + 12 * DAY)
    assert.equal((await onlyRecord(watched)).expires.getTime(), start + 12 * DAY)
    assert.deepEqual((await ada.get(path)).setCookies, [])
  })
}

onEachStore('a request that does not use its session does not extend it', async (t, watched) => {
  const { ada, pass } = await aVisit(t, watched, { maxAge: '10 days' })
  pass(5 * DAY)
  watched.calls.length = 0
  assert.deepEqual((await ada.get('/noop')).setCookies, [])
  assert.deepEqual(watched.calls, [])
})

onEachStore('polling reads and even writes without keeping a session alive', async (t, watched) => {
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '10 days' })
  for (const days of [2, 5, 9]) {
    pass(days * DAY)
    for (const path of ['/poll', '/poll-and-write']) {
      assert.deepEqual((await ada.get(path)).setCookies, [])
    }
    assert.equal((await onlyRecord(watched)).expires.getTime(), start + 10 * DAY)
  }
  assert.deepEqual((await ada.get('/poll')).json, { name: 'Ada', n: 3 })
  pass(10 * DAY)
  assert.deepEqual((await ada.get('/poll')).json, {})
})

onEachStore('touching moves the end of the session and of its cookie', async (t, watched) => {
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '1h' })
  for (const [minutes, path, ...calls] of [
    [1, '/touch', 'update'],
    [2, '/touch-loaded', 'load', 'update'],
    // Not only when it is due.
    [2, '/touch', 'update'],
  ] as const) {
    pass(minutes * MINUTE)
    watched.calls.length = 0
    const answer = await ada.get(path)
    assert.equal(answer.status, 200, answer.text)
    assert.deepEqual(watched.calls.slice(0, calls.length), calls)
    sameSecond(cookieUntil(answer), start + minutes * MINUTE + HOUR)
    assert.equal((await onlyRecord(watched)).expires.getTime(), start + minutes * MINUTE + HOUR)
  }
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 0 })
})

onEachStore('touching what is not stored, or is empty, stores nothing', async (t, watched) => {
  const { visitor } = await anApp(t, { store: watched.store }, routes)
  for (const path of ['/touch', '/touch-loaded', '/remember?for=30d', '/read']) {
    const answer = await visitor().get(path)
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.setCookies, [])
  }
  assert.deepEqual(watched.calls, [])
})

onEachStore('a slow request that touches keeps what was written meanwhile', async (t, watched) => {
  const reached = gate()
  const go = gate()
  const { ada } = await aVisit(
    t,
    watched,
    { maxAge: '10 days' },
    {
      '/slow': async ctx => {
        const session = await ctx.session()
        reached.open()
        await go.opened
        await session.touch()
        return { ...session }
      },
    },
  )
  const answer = ada.twin().get('/slow')
  await reached.opened
  await ada.get('/write')
  go.open()
  assert.deepEqual((await answer).json, { name: 'Ada', n: 1 })
  assert.deepEqual((await onlyRecord(watched)).fields, { name: 'Ada', n: 1 })
})

onEachStore('touch(maxAge) of a cookie that is old enough is still one command', async (t, watched) => {
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '1h' })
  pass(30 * MINUTE)
  watched.calls.length = 0
  const answer = await ada.get('/remember?for=30d')
  assert.deepEqual(watched.calls, ['update'])
  sameSecond(cookieUntil(answer), start + 30 * MINUTE + 30 * DAY)
  const { expires, maxAge } = await onlyRecord(watched)
  assert.equal(maxAge, 30 * DAY)
  assert.equal(expires.getTime(), start + 30 * MINUTE + 30 * DAY)
})

onEachStore('a session’s own maxAge lasts, through extensions and for every process', async (t, watched) => {
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '1h', touchAfter: '10m' })
  const other = await anApp(t, { store: watched.store, maxAge: '1h', touchAfter: '10m' }, routes)
  await ada.get('/remember?for=30d')
  let now = 0
  for (const path of ['/read', '/write', '/touch', '/get', '/touch-loaded']) {
    now += 20 * DAY
    pass(now)
    const there = other.visitor().withCookiesOf(ada)
    const answer = await there.get(path)
    assert.equal(answer.status, 200)
    sameSecond(cookieUntil(answer), start + now + 30 * DAY)
    const record = await onlyRecord(watched)
    assert.equal(record.maxAge, 30 * DAY, path)
    assert.equal(record.expires.getTime(), start + now + 30 * DAY)
    ada.jar.set('sid', there.jar.get('sid') ?? '')
  }
  const { json } = await ada.get('/lifetime')
  assert.equal((json as { maxAge: number }).maxAge, 30 * DAY)
  // And it can be taken back.
  await ada.get('/remember?for=1h')
  assert.equal((await onlyRecord(watched)).maxAge, HOUR)
  pass(now + HOUR)
  assert.deepEqual((await ada.get('/read')).json, {})
})

onEachStore(
  'a session whose own maxAge is shorter than touchAfter lives while it is used',
  async (t, watched) => {
    const { ada, pass } = await aVisit(t, watched, { maxAge: '10 days', touchAfter: '1 day' })
    await ada.get('/remember?for=1h')
    for (let minutes = 50; minutes <= 500; minutes += 50) {
      pass(minutes * MINUTE)
      assert.equal(Object((await ada.get('/read')).json).name, 'Ada')
    }
    // A tenth of its life is as long as a day is to the others'.
    pass(506 * MINUTE - 1)
    assert.deepEqual((await ada.get('/write')).setCookies, [])
    pass(506 * MINUTE)
    assert.equal((await ada.get('/write')).setCookies.length, 1)
    pass(566 * MINUTE)
    assert.deepEqual((await ada.get('/read')).json, {})
  },
)

onEachStore('a maxAge that the store did not take changes neither session nor cookie', async (t, watched) => {
  let isFailing = false
  const store = altered(watched.store, name => {
    if (!isFailing || name !== 'update') return
    isFailing = false
    throw new StoreUnavailableError('It did not answer', 'none')
  })
  const remember: Handler = ctx => {
    isFailing = true
    return ctx.session.touch('1h').catch(() => {})
  }
  const { ada, pass, start } = await aVisit(
    t,
    { store },
    { maxAge: '10 days' },
    {
      '/blind': async (ctx, next) => {
        await remember(ctx, next)
        await ctx.session.inc('n')
      },
      '/loaded': async (ctx, next) => {
        const session = await ctx.session()
        await remember(ctx, next)
        await session.inc('n')
        return session.maxAge
      },
    },
  )
  let days = 0
  for (const path of ['/blind', '/write', '/loaded', '/write']) {
    days += 2
    pass(days * DAY)
    const answer = await ada.get(path)
    assert.equal(answer.status, 200, answer.text)
    if (path === '/loaded') assert.equal(answer.json, 10 * DAY)
    sameSecond(cookieUntil(answer), start + (days + 10) * DAY)
    const [record] = await watched.records()
    assert.equal(record?.expires.getTime(), start + (days + 10) * DAY, path)
    assert.equal(record?.maxAge, 10 * DAY)
  }
})

onEachStore('one session’s maxAge is no other’s', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched, { maxAge: '1h' })
  await ada.get('/remember?for=30d')
  const eve = visitor()
  await eve.get('/begin')
  assert.deepEqual(
    (await watched.records()).map(({ maxAge }) => maxAge),
    [30 * DAY, HOUR],
  )
})

onEachStore('a maxAge that is none is refused and changes nothing', async (t, watched) => {
  const { ada } = await aVisit(t, watched, { maxAge: '1h' })
  const before = await onlyRecord(watched)
  for (const wrong of ['banana', '0', '-1h', 'Infinity', '']) {
    const { status, setCookies } = await ada.get(`/remember?for=${wrong}`)
    assert.equal(status, 500, wrong)
    assert.deepEqual(setCookies, [])
  }
  assert.deepEqual(await onlyRecord(watched), before)
})

onEachStore('no touching takes a session past its absolute limit', async (t, watched) => {
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '1s', absoluteMaxAge: '3s' })
  const { id } = await onlyRecord(watched)
  await ada.get('/remember?for=30d')
  for (let now = 500; now < 3000; now += 500) {
    pass(now)
    for (const path of ['/read', '/write', '/touch', '/touch-loaded']) {
      assert.equal((await ada.get(path)).status, 200)
    }
    assert.deepEqual((await ada.get('/lifetime')).json, {
      maxAge: 30 * DAY,
      created: start,
      expires: start + 3000,
    })
  }
  pass(2999)
  assert.equal(Object((await ada.get('/read')).json).name, 'Ada')
  pass(3000)
  // For the store too, whoever asks it.
  assert.equal(await watched.store.load(id), undefined)
  assert.equal(await watched.store.update(id, { guards: [], operations: [] }), 'absent')
  assert.deepEqual((await ada.get('/read')).json, {})
})

onEachStore('a rotated session keeps its absolute limit, a new sign-in has its own', async (t, watched) => {
  const { ada, pass, start } = await aVisit(
    t,
    watched,
    { maxAge: '1h', absoluteMaxAge: '3h' },
    {
      '/rotate': ctx => ctx.session.regenerate({ keep: true }).then(() => undefined),
      '/sign-in': ctx => ctx.session.regenerate({ keep: ['name'] }).then(() => undefined),
    },
  )
  pass(50 * MINUTE)
  await ada.get('/rotate')
  assert.equal((await onlyRecord(watched)).absolute?.getTime(), start + 3 * HOUR)
  pass(100 * MINUTE)
  await ada.get('/sign-in')
  assert.equal((await onlyRecord(watched)).absolute?.getTime(), start + 100 * MINUTE + 3 * HOUR)
})

onEachStore('a session that is used often enough lives; one that is not ends', async (t, watched) => {
  const { ada, pass } = await aVisit(t, watched, { maxAge: '1h' })
  const idle = ada.twin()
  for (let minutes = 50; minutes <= 500; minutes += 50) {
    pass(minutes * MINUTE)
    assert.equal(Object((await ada.get('/read')).json).name, 'Ada')
  }
  pass(500 * MINUTE + HOUR)
  assert.deepEqual((await ada.get('/read')).json, {})
  assert.deepEqual((await idle.get('/read')).json, {})
})

onEachStore('to the millisecond, a session is there until its end and not after it', async (t, watched) => {
  const { ada, pass } = await aVisit(t, watched, { maxAge: '1h', touchAfter: '59m' })
  const value = `sid=${ada.jar.get('sid')}`
  pass(HOUR - 1)
  assert.deepEqual((await ada.get('/poll', { Cookie: value })).json, { name: 'Ada', n: 0 })
  pass(HOUR)
  for (const path of ['/poll', '/read']) {
    assert.deepEqual((await ada.get(path, { Cookie: value })).json, {}, path)
  }
  // A touch that comes too late brings nothing back, and neither does a longer life.
  for (const path of ['/touch', '/touch-loaded', '/remember?for=30d']) {
    const { status, setCookies } = await ada.get(path, { Cookie: value })
    assert.equal(status, 200, path)
    assert.doesNotMatch(setCookies[0] ?? '', /sid=[^;]/)
  }
  assert.deepEqual((await ada.get('/read', { Cookie: value })).json, {})
  assert.deepEqual(await watched.records(), [])
})

onEachStore('a session that ends between its reading and its extension stays ended', async (t, watched) => {
  const { ada, pass } = await aVisit(
    t,
    {
      store: altered(watched.store, name => {
        if (name === 'update') pass(2 * HOUR)
      }),
    },
    { maxAge: '1h' },
  )
  pass(HOUR - 1)
  const { status, json, setCookies } = await ada.get('/read')
  assert.equal(status, 200)
  assert.deepEqual(json, { name: 'Ada', n: 0 })
  assert.deepEqual(setCookies, [])
  assert.deepEqual(await watched.records(), [])
})

onEachStore(
  'where the store refuses writes, a session that is due to be extended is read as ever',
  async (t, watched) => {
    let isFull = false
    const store = altered(watched.store, name => {
      if (isFull && name === 'update') throw new StoreUnavailableError('The disk is full', 'none')
    })
    const { ada, pass, start, errors } = await aVisit(t, { store }, { maxAge: '10 days' })
    const before = await onlyRecord(watched)
    pass(2 * DAY)
    isFull = true
    for (const path of ['/read', '/get', '/read']) {
      const { status, setCookies } = await ada.get(path)
      assert.equal(status, 200, path)
      assert.deepEqual(setCookies, [])
    }
    assert.deepEqual(errors, [])
    // Who asks for it is told.
    for (const path of ['/touch', '/touch-loaded', '/write']) assert.equal((await ada.get(path)).status, 503)
    assert.deepEqual(await onlyRecord(watched), before)
    isFull = false
    sameSecond(cookieUntil(await ada.get('/read')), start + 12 * DAY)
  },
)

onEachStore('a lifetime never grows by hopping between processes whose clocks differ', async (t, watched) => {
  // The clock of this process is the store's too, so a hop is a step of the one clock.
  const { ada, pass, start } = await aVisit(t, watched, { maxAge: '5m' })
  for (const skew of [90, -90, 90, -90, 0]) {
    pass(skew * SECOND)
    assert.equal(Object((await ada.get('/write')).json).n > 0, true)
    const { expires } = await onlyRecord(watched)
    assert.ok(expires.getTime() <= start + 90 * SECOND + 5 * MINUTE)
    assert.ok(expires.getTime() >= start - 90 * SECOND + 5 * MINUTE)
  }
})

test('a document whose expires is missing or no date is no session', { skip: withoutMongoDB }, async t => {
  const collection = aCollection<{ _id: string }>(t)
  const { sessions, visitor, errors } = await anApp(t, {}, routes)
  sessions.collection = collection as never
  const whole = { v: 2, created: new Date(), maxAge: HOUR, rev: 1, data: { name: 'Ada', n: 0 } }
  for (const expires of [undefined, null, 'tomorrow', '2999-01-01', Number.MAX_SAFE_INTEGER, true, {}, []]) {
    const ada = visitor()
    await ada.get('/begin')
    const [mine] = await collection.find().sort({ $natural: -1 }).limit(1).toArray()
    assert.ok(mine)
    const document = { ...whole, ...(expires !== undefined && { expires }) }
    await collection.replaceOne({ _id: mine._id }, document as never)
    const kept = await collection.findOne({ _id: mine._id })
    const twin = ada.twin()
    const read = await twin.get('/read')
    assert.equal(read.status, 200)
    assert.deepEqual(read.json, {}, String(expires))
    const written = await ada.get('/write')
    assert.deepEqual(written.json, { n: 1 }, String(expires))
    assert.equal(written.setCookies.length, 1)
    // It is nobody's to change: its visitor goes on in a new session.
    assert.deepEqual(await collection.findOne({ _id: mine._id }), kept)
    await collection.deleteMany({})
  }
  assert.deepEqual(errors, [])
})

test('a session is over even while MongoDB still has its document', { skip: withoutMongoDB }, async t => {
  const collection = aCollection<{ _id: string }>(t)
  const { sessions, visitor } = await anApp(t, { maxAge: '1s' }, routes)
  sessions.collection = collection as never
  const ada = visitor()
  await ada.get('/begin')
  await collection.updateOne({}, { $set: { expires: new Date(Date.now() - 1) } })
  const document = await collection.findOne()
  for (const path of ['/read', '/poll', '/touch', '/remember?for=1h']) {
    const answer = await ada.twin().get(path)
    assert.equal(answer.status, 200)
    assert.doesNotMatch(answer.text, /Ada/)
  }
  assert.deepEqual(await collection.findOne(), document)
  assert.equal(await collection.countDocuments(), 1)
  assert.match(document?._id ?? '', /^[0-9a-f]{64}$/)
})
