import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { idOf } from '../../src/ids.ts'
import {
  type Change,
  FieldError,
  type SessionId,
  type Store,
  StoreUnavailableError,
} from '../../src/index.ts'
import type { SessionRecord } from '../../src/store/record.ts'
import { anApp, type Handler, onEachStore } from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import type { Visitor } from '../support/visitor.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const GRACE = 30_000

const increment: Change = { guards: [], operations: [{ op: '$inc', path: 'n', arg: 1 }] }

const routes: Record<string, Handler> = {
  '/fill': ctx => ctx.session.set({ name: 'Ada', n: 1 }),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/get': async ctx => ({ name: await ctx.session.get('name') }),
  '/inc': ctx => ctx.session.inc('n'),
  '/blind': ctx => {
    ctx.session.inc('n')
  },
  '/guarded': ctx => ctx.session.if('n', 1).inc('n'),
  '/touch': ctx => ctx.session.touch(),
  '/destroy': ctx => ctx.session.destroy(),
  '/rotate': async ctx => (await ctx.session.regenerate({ keep: true, grace: '30s' })).id,
  '/renew': async ctx => (await ctx.session.regenerate({ keep: true })).id,
  '/sign-in': async ctx => (await ctx.session.regenerate()).id,
}

/** A store that can go away while it is asked to end a session: `last` is done, and nobody is told. */
function anOutage({ store }: Watched, last: (...args: Parameters<Store['end']>) => Promise<unknown>) {
  let isLosing = false
  let isAway = false
  return {
    store: altered(store, async (name, args) => {
      if (isAway) throw new StoreUnavailableError('It is away', 'none')
      if (name !== 'end' || !isLosing) return
      isAway = true
      await last(...(args as Parameters<Store['end']>))
      throw new StoreUnavailableError('The connection was reset', 'unknown')
    }),
    begin() {
      isLosing = true
    },
    end() {
      isLosing = false
      isAway = false
    },
  }
}

interface Visit {
  readonly ada: Visitor
  readonly reached: Promise<void>
  readonly go: () => void
  visitor(): Visitor
}

/** A visitor with a session, and a route that has loaded it and goes on when it is let. */
async function aVisit(t: TestContext, store: Store, more: typeof routes = {}): Promise<Visit> {
  const reached = gate()
  const go = gate()
  const { visitor } = await anApp(
    t,
    { store },
    {
      ...routes,
      '/slow': async ctx => {
        const session = await ctx.session()
        reached.open()
        await go.opened
        await session.inc('n')
        return { ...session }
      },
      ...more,
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  return { ada, visitor, reached: reached.opened, go: go.open }
}

function secretOf({ jar }: Visitor): string | undefined {
  return jar.get('sid')?.split('.')[0]
}

/** Whether more has been inserted than the session that there was. */
function isRenewing({ calls }: Watched): boolean {
  return calls.indexOf('insert') < calls.lastIndexOf('insert')
}

async function fieldsIn(watched: Watched): Promise<unknown[]> {
  return (await watched.records()).map(({ fields }) => fields)
}

for (const [path, answer, left] of [
  ['/read', { name: 'Ada', n: 1 }, 1],
  ['/get', { name: 'Ada' }, 1],
  ['/inc', { n: 2 }, 2],
  ['/blind', undefined, 2],
  ['/guarded', { n: 2 }, 2],
  ['/touch', undefined, 1],
] as const) {
  onEachStore(
    `with grace, ${path} with the old cookie goes on in the new session and gets its cookie`,
    async (t, watched) => {
      const { ada } = await aVisit(t, watched.store)
      const late = ada.twin()
      const id = (await ada.get('/rotate')).json as string
      assert.equal(idOf(secretOf(ada) ?? ''), id)
      const { status, text, setCookies } = await late.get(path)
      assert.equal(status, 200, text)
      if (answer) assert.deepEqual(JSON.parse(text), answer)
      assert.equal(setCookies.length, 1)
      assert.equal(secretOf(late), secretOf(ada))
      assert.deepEqual((await late.get('/read')).json, { name: 'Ada', n: left })
      const records = await watched.records()
      assert.deepEqual(
        records.map(record => [record.id, record.fields]),
        [[id, { name: 'Ada', n: left }]],
      )
    },
  )
}

onEachStore(
  'with grace, a request that had loaded the session goes on in the new one',
  async (t, watched) => {
    const { ada, reached, go } = await aVisit(t, watched.store)
    const late = ada.twin()
    const answer = late.get('/slow')
    await reached
    await ada.get('/rotate')
    await ada.get('/inc')
    go()
    assert.deepEqual((await answer).json, { name: 'Ada', n: 3 })
    assert.equal((await answer).setCookies.length, 1)
    assert.equal(secretOf(late), secretOf(ada))
    assert.deepEqual(await fieldsIn(watched), [{ name: 'Ada', n: 3 }])
  },
)

/** Makes tokens at different moments of a request, and checks them. */
const tokenRoutes: typeof routes = {
  '/page': ctx => ctx.session.createCSRF(),
  '/page-then-inc': async ctx => {
    const token = ctx.session.createCSRF()
    await ctx.session.inc('n')
    return token
  },
  '/inc-then-page': async ctx => {
    await ctx.session.inc('n')
    return ctx.session.createCSRF()
  },
  '/page-then-rotate': async ctx => {
    const token = ctx.session.createCSRF()
    await ctx.session.inc('n')
    await ctx.session.regenerate({ keep: true, grace: '30s' })
    return token
  },
  '/submit': ctx => ctx.session.assertCSRF(ctx.get('x-csrf-token')),
  '/load-then-submit': async ctx => {
    await ctx.session()
    ctx.session.assertCSRF(ctx.get('x-csrf-token'))
  },
}

/** A page's token, once it is there. */
async function tokenOf(visitor: Visitor, path: string): Promise<string> {
  return String((await visitor.get(path)).json)
}

async function submit(visitor: Visitor, token: string, path = '/submit'): Promise<number> {
  return (await visitor.get(path, { 'X-CSRF-Token': token })).status
}

onEachStore(
  'with grace, tokens of all pages stay valid, whichever response is the last to set the cookie',
  async (t, watched) => {
    const { ada } = await aVisit(t, watched.store, tokenRoutes)
    const open = await tokenOf(ada, '/page')
    const [late, submitting] = [ada.twin(), ada.twin()]
    const [page, before, after, rotating] = [ada.twin(), ada.twin(), ada.twin(), ada.twin()]
    await ada.get('/rotate')
    // The cookies of all these requests are older than the rotation.
    await late.get('/inc')
    assert.equal(await submit(submitting, open, '/load-then-submit'), 200)
    const tokens = [
      open,
      await tokenOf(page, '/page'),
      await tokenOf(before, '/page-then-inc'),
      await tokenOf(after, '/inc-then-page'),
      await tokenOf(ada, '/page'),
    ]
    for (const visitor of [ada, late, before, after, submitting]) {
      assert.equal(secretOf(visitor), secretOf(ada))
      for (const token of tokens) assert.equal(await submit(visitor, token), 200)
    }
    tokens.push(await tokenOf(rotating, '/page-then-rotate'))
    await ada.get('/rotate')
    for (const visitor of [ada, rotating]) {
      for (const token of tokens) assert.equal(await submit(visitor, token), 200)
    }
    await ada.get('/renew')
    for (const token of tokens) assert.equal(await submit(ada, token), 403)
    assert.equal(await submit(ada, await tokenOf(ada, '/page')), 200)
  },
)

onEachStore(
  'a renewal without grace ends the tokens of open pages, though its outcome was unknown',
  async (t, watched) => {
    const outage = anOutage(watched, (...end) => watched.store.end(...end))
    const { ada } = await aVisit(t, outage.store, tokenRoutes)
    await ada.get('/rotate')
    const open = await tokenOf(ada, '/page')
    outage.begin()
    assert.equal((await ada.get('/renew')).status, 503)
    outage.end()
    assert.equal(await submit(ada, open), 200)
    const before = secretOf(ada)
    await ada.get('/inc')
    assert.notEqual(secretOf(ada), before)
    assert.equal(await submit(ada, open), 403)
  },
)

onEachStore('with grace, what has no response of its own is led on too', async (t, watched) => {
  for (const key of ['sid', 'shop']) {
    const { sessions, visitor } = await anApp(t, { store: watched.store, key }, routes)
    const ada = visitor()
    await ada.get('/fill')
    const upgrade = { headers: { cookie: `${key}=${ada.jar.get(key)}` } } as IncomingMessage
    await ada.get('/rotate')
    const session = await sessions.load(upgrade)
    await session.inc('n')
    assert.deepEqual({ ...session }, { name: 'Ada', n: 2 })
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 2 })
  }
})

for (const path of ['/rotate', '/renew', '/sign-in']) {
  onEachStore(
    `a response that leaves while a session is renewed has its cookie: ${path}`,
    async (t, watched) => {
      const written = gate()
      const store = altered(watched.store, async name => {
        if (name === 'end') await written.opened
      })
      const { ada } = await aVisit(t, store, {
        '/stream': async (ctx, next) => {
          ctx.respond = false
          const renewed = routes[String(ctx.query.path)]?.(ctx, next)
          while (!isRenewing(watched)) await setImmediate()
          ctx.res.flushHeaders()
          await ctx.session.inc('n')
          ctx.res.end(JSON.stringify(await renewed))
        },
      })
      // Others write meanwhile: what is copied again has the id that the visitor was told.
      const late = ada.twin()
      const answer = ada.get(`/stream?path=${path}`)
      while (!isRenewing(watched)) await setImmediate()
      await late.get('/inc')
      written.open()
      const { json, setCookies } = await answer
      assert.equal(setCookies.length, 1)
      assert.equal(idOf(secretOf(ada) ?? ''), json)
      assert.deepEqual(await fieldsIn(watched), [path === '/sign-in' ? { n: 1 } : { name: 'Ada', n: 3 }])
      assert.deepEqual((await ada.get('/read')).json, (await fieldsIn(watched))[0])
    },
  )
}

onEachStore('with grace, signing out with the old cookie ends the new session', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const late = ada.twin()
  await ada.get('/rotate')
  const { status } = await late.get('/destroy')
  assert.equal(status, 200)
  assert.equal(late.jar.size, 0)
  assert.deepEqual((await ada.get('/read')).json, {})
  assert.equal((await ada.get('/inc')).status, 401)
  assert.deepEqual(await watched.records(), [])
})

onEachStore('once the grace is over, the old cookie is worth nothing', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const start = Date.now()
  t.mock.timers.enable({ apis: ['Date'], now: start })
  const late = ada.twin()
  await ada.get('/rotate')
  t.mock.timers.setTime(start + GRACE - 1)
  assert.deepEqual((await ada.twin().get('/read')).json, { name: 'Ada', n: 1 })
  assert.deepEqual((await late.twin().get('/read')).json, { name: 'Ada', n: 1 })
  t.mock.timers.setTime(start + GRACE)
  const { json, setCookies } = await late.get('/read')
  assert.deepEqual(json, {})
  assert.deepEqual(setCookies, [])
  assert.equal((await late.get('/inc')).status, 401)
  assert.equal((await late.get('/destroy')).status, 401)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 1 })
})

onEachStore(
  'who knows all that the store holds cannot follow a session to its new id',
  async (t, watched) => {
    const seen: string[] = []
    const spying = altered(watched.store, (_, args) => void seen.push(JSON.stringify(args)))
    const { ada, visitor } = await aVisit(t, spying)
    const old = secretOf(ada) ?? ''
    await ada.get('/rotate')
    const secret = secretOf(ada) ?? ''
    assert.notEqual(secret, old)
    const tombstone = await watched.store.load(idOf(old))
    assert.ok(tombstone && 'ended' in tombstone)
    const nonce = tombstone.next ?? ''
    seen.push(JSON.stringify(await watched.records()), JSON.stringify(tombstone))
    for (const told of seen) {
      for (const hidden of [old, secret]) assert.ok(!told.includes(hidden), 'the store was told a secret')
    }
    // Nor does the new one follow from the old one alone, without the app's key.
    for (const guess of [idOf(old + nonce), idOf(nonce + old), idOf(`grace ${old} ${nonce}`), idOf(nonce)]) {
      assert.notEqual(guess.slice(0, 40), secret)
    }
    const mallory = visitor()
    for (const forged of [nonce, idOf(old), `${nonce}.${idOf(old)}`, `${old}.${nonce}`]) {
      mallory.jar.set('sid', forged)
      assert.deepEqual((await mallory.get('/read')).json, {})
    }
  },
)

onEachStore('two rotations at once, and any requests beside them, end in one session', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const twins = Array.from({ length: 20 }, () => ada.twin())
  const answers = await Promise.all(
    twins.map((twin, index) => twin.get(index % 2 === 0 ? '/rotate' : '/inc')),
  )
  for (const { status, text } of answers) assert.equal(status, 200, text)
  const records = await watched.records()
  assert.deepEqual(
    records.map(({ fields }) => fields),
    [{ name: 'Ada', n: 11 }],
  )
  for (const twin of [ada, ...twins]) {
    assert.deepEqual((await twin.get('/read')).json, { name: 'Ada', n: 11 })
    assert.equal(idOf(secretOf(twin) ?? ''), records[0]?.id)
  }
})

onEachStore('two rotations of a session that both had loaded end in one session', async (t, watched) => {
  const both = gate()
  let loaded = 0
  const { ada } = await aVisit(t, watched.store, {
    '/rotate-loaded': async ctx => {
      const session = await ctx.session()
      if (++loaded === 2) both.open()
      await both.opened
      await session.regenerate({ keep: true, grace: '30s' })
      return session.id
    },
  })
  const [one, other] = [ada.twin(), ada.twin()]
  const answers = await Promise.all([one.get('/rotate-loaded'), other.get('/rotate-loaded')])
  assert.equal(answers[0]?.json, answers[1]?.json)
  assert.equal(secretOf(one), secretOf(other))
  assert.deepEqual(await fieldsIn(watched), [{ name: 'Ada', n: 1 }])
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 1 })
})

onEachStore('through several rotations the oldest cookie still leads to the session', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const oldest = ada.twin()
  for (let times = 0; times < 3; times++) await ada.get('/rotate')
  assert.deepEqual((await oldest.get('/inc')).json, { n: 2 })
  assert.equal(secretOf(oldest), secretOf(ada))
  assert.deepEqual(await fieldsIn(watched), [{ name: 'Ada', n: 2 }])
})

onEachStore(
  'a cookie that is hundreds of rotations behind has ended, and costs a few calls',
  async (t, watched) => {
    // All within the grace.
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    const { ada } = await aVisit(t, watched.store)
    const oldest = [ada.twin(), ada.twin(), ada.twin()]
    for (let times = 0; times < 200; times++) await ada.get('/rotate')
    const answers: number[] = []
    for (const [index, path] of ['/read', '/inc', '/destroy'].entries()) {
      watched.calls.length = 0
      answers.push((await (oldest[index] as Visitor).get(path)).status)
      assert.ok(watched.calls.length <= 15, `${path}: ${watched.calls.length} calls`)
    }
    assert.deepEqual(answers, [200, 401, 401])
    assert.equal(secretOf(oldest[0] as Visitor) === secretOf(ada), false)
    assert.deepEqual(await fieldsIn(watched), [{ name: 'Ada', n: 1 }])
  },
)

onEachStore('grace is for routine rotation only', async (t, watched) => {
  const refused: unknown[] = []
  const wrong: object[] = [
    { grace: '30s' },
    { keep: false, grace: '30s' },
    { keep: ['name'], grace: 1000 },
    { keep: true, grace: '61s' },
    { keep: true, grace: -1 },
    { keep: true, grace: 'banana' },
    { keep: 'name' },
  ]
  const { ada } = await aVisit(t, watched.store, {
    '/wrong': async ctx => {
      for (const target of [ctx.session, await ctx.session()]) {
        for (const options of wrong) {
          await target.regenerate(options).catch((error: unknown) => refused.push(error))
        }
      }
    },
  })
  const before = await watched.records()
  const { status, setCookies } = await ada.get('/wrong')
  assert.equal(status, 200)
  assert.deepEqual(setCookies, [])
  assert.equal(refused.length, 2 * wrong.length)
  for (const error of refused) assert.equal((error as FieldError).status, 500)
  assert.ok(refused[0] instanceof FieldError)
  assert.deepEqual(await watched.records(), before)
})

for (const path of ['/renew', '/sign-in']) {
  onEachStore(`without grace the old id is dead at once (${path})`, async (t, watched) => {
    const { ada } = await aVisit(t, watched.store)
    const old = ada.twin()
    const id = (await ada.get(path)).json
    const kept = path === '/renew' ? { name: 'Ada', n: 1 } : {}
    assert.deepEqual((await old.get('/read')).json, {})
    // Nor is the visitor told to be signed out while the new session lives.
    for (const change of ['/inc', '/blind', '/touch', '/destroy']) {
      const { status, setCookies } = await old.get(change)
      assert.equal(status, 401, change)
      assert.deepEqual(setCookies, [])
    }
    assert.deepEqual(
      (await watched.records()).map(record => [record.id, record.fields]),
      [[id, kept]],
    )
    assert.deepEqual((await ada.get('/read')).json, kept)
    const tombstone = await watched.store.load(idOf(secretOf(old) ?? ''))
    assert.deepEqual(Object.keys(tombstone ?? {}), ['ended', 'next'])
  })
}

for (const [first, left] of [
  ['/renew', { name: 'Ada', n: 1 }],
  ['/sign-in', {}],
  ['/destroy', {}],
] as const) {
  for (const second of ['/renew', '/rotate']) {
    onEachStore(
      `with a cookie that ${first} has ended, ${second} is refused, and signing in is not`,
      async (t, watched) => {
        const { ada } = await aVisit(t, watched.store)
        // Sent before the first was answered, and answered after it.
        const Cookie = `sid=${ada.jar.get('sid')}`
        await ada.get(first)
        const before = await fieldsIn(watched)
        const refused = await ada.get(second, { Cookie })
        assert.equal(refused.status, 401)
        assert.deepEqual(refused.setCookies, [])
        assert.deepEqual((await ada.get('/read')).json, left)
        assert.deepEqual(await fieldsIn(watched), before)

        const signedIn = await ada.get('/sign-in', { Cookie })
        assert.equal(signedIn.status, 200)
        assert.equal(idOf(secretOf(ada) ?? ''), signedIn.json)
      },
    )
  }
}

onEachStore('a session that is rotated in grace may be ended by signing in', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const [before, oldest] = [ada.twin(), ada.twin()]
  await ada.get('/rotate')
  await ada.get('/sign-in')
  // The grace leads to what has ended without one.
  assert.deepEqual((await oldest.get('/read')).json, {})
  assert.deepEqual((await oldest.get('/read')).setCookies, [])
  assert.equal((await before.get('/inc')).status, 401)
  assert.deepEqual((await ada.get('/read')).json, {})
  assert.deepEqual(await fieldsIn(watched), [{}])
})

onEachStore(
  'signing in 50 times at once with one cookie leaves nothing of the old session',
  async (t, watched) => {
    const { ada } = await aVisit(t, watched.store)
    const old = ada.twin()
    const twins = Array.from({ length: 50 }, () => ada.twin())
    const answers = await Promise.all(twins.map(twin => twin.get('/sign-in')))
    for (const { status } of answers) assert.ok(status === 200 || status === 401, String(status))
    const winners = twins.filter((_, index) => answers[index]?.status === 200)
    assert.ok(winners.length > 0)
    assert.equal(new Set(winners.map(secretOf)).size, winners.length)
    assert.deepEqual((await old.get('/read')).json, {})
    for (const fields of await fieldsIn(watched)) assert.deepEqual(fields, {})
  },
)

onEachStore('of 50 who renew a session at once, without grace, one has it', async (t, watched) => {
  const { ada } = await aVisit(t, watched.store)
  const twins = Array.from({ length: 50 }, () => ada.twin())
  const answers = await Promise.all(twins.map(twin => twin.get('/renew')))
  const owners: unknown[] = []
  for (const [index, { status }] of answers.entries()) {
    assert.ok(status === 200 || status === 401, String(status))
    if ('name' in Object((await twins[index]?.get('/read'))?.json)) owners.push(index)
  }
  assert.equal(owners.length, 1)
  assert.equal((await fieldsIn(watched)).filter(fields => 'name' in Object(fields)).length, 1)
})

for (const [step, when] of [
  ['insert', 'before'],
  ['insert', 'after'],
  ['end', 'before'],
  ['end', 'after'],
] as const) {
  for (const path of ['/renew', '/rotate', '/sign-in']) {
    onEachStore(
      `a store that fails ${when} the ${step} of ${path} leaves one session at most, and says so`,
      async (t, watched) => {
        let failing = false
        const store = new Proxy(watched.store, {
          get(target, name) {
            const member: unknown = Reflect.get(target, name)
            if (typeof member !== 'function' || name !== step) return member
            return async (...args: unknown[]) => {
              if (failing && when === 'before') throw new StoreUnavailableError('It is down', 'none')
              const answer: unknown = await member.apply(target, args)
              if (failing) throw new StoreUnavailableError('It did not say', 'unknown')
              return answer
            }
          },
        })
        const { ada } = await aVisit(t, store)
        const old = ada.twin()
        const oldId = idOf(secretOf(ada) ?? '')
        failing = true
        const { status, setCookies } = await ada.get(path)
        const ended = step === 'end' && when === 'after'
        // An end that was not confirmed is looked for. Otherwise the visitor was told nothing: the old cookie stays.
        assert.equal(status, ended ? 200 : 503)
        assert.equal(setCookies.length, ended ? 1 : 0)
        failing = false
        const { status: later, json } = await old.get('/read')
        assert.equal(later, 200)
        // With grace the old cookie leads on to the new session.
        assert.deepEqual(json, ended && path !== '/rotate' ? {} : { name: 'Ada', n: 1 })
        assert.equal((await watched.records()).filter(({ id }) => id === oldId).length, ended ? 0 : 1)
        if (ended && path === '/rotate') assert.equal(secretOf(old), secretOf(ada))
        assert.equal((await ada.get('/sign-in')).status, 200)
      },
    )
  }
}

for (const path of ['/renew', '/rotate']) {
  onEachStore(
    `where the end that ${path} asks for is lost, another’s sign-out is not taken for it`,
    async (t, watched) => {
      let isLost = false
      const store = altered(watched.store, async (name, args) => {
        if (name !== 'end' || !isLost) return
        const [id, , until] = args as Parameters<Store['end']>
        await watched.store.end(id, { ended: new Date() }, until)
        throw new StoreUnavailableError('The connection was reset', 'unknown')
      })
      const { ada } = await aVisit(t, store)
      isLost = true
      const { status, setCookies } = await ada.get(path)
      assert.equal(status, 503)
      assert.deepEqual(setCookies, [])
      isLost = false
      assert.deepEqual((await ada.get('/read')).json, {})
      assert.equal((await ada.get('/inc')).status, 401)
    },
  )
}

onEachStore(
  'who renews while the store goes away keeps the session, whether the old one has ended or not',
  async (t, watched) => {
    for (const path of ['/renew', '/rotate']) {
      for (const hasEnded of [true, false]) {
        const outage = anOutage(watched, (id, ...rest) =>
          // Otherwise another request's change, acknowledged before the store went away.
          hasEnded ? watched.store.end(id, ...rest) : watched.store.update(id, increment),
        )
        const { ada } = await aVisit(t, outage.store)
        const thief = ada.twin()
        outage.begin()
        assert.equal((await ada.get(path)).status, 503)
        outage.end()
        if (path === '/renew')
          assert.deepEqual((await thief.get('/read')).json, hasEnded ? {} : { name: 'Ada', n: 2 })
        assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: hasEnded ? 1 : 2 })
        assert.equal((await ada.get('/inc')).status, 200)
        assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: hasEnded ? 2 : 3 })
      }
    }
  },
)

onEachStore('an end that comes late, after it was given up, ends nothing', async (t, watched) => {
  let isLate = false
  const late: Parameters<Store['end']>[] = []
  const store = altered(watched.store, (name, args) => {
    if (name !== 'end' || !isLate) return
    late.push(args as Parameters<Store['end']>)
    throw new StoreUnavailableError('It takes too long', 'unknown')
  })
  const { ada } = await aVisit(t, store)
  isLate = true
  const { status, setCookies } = await ada.get('/renew')
  assert.equal(status, 503)
  assert.deepEqual(setCookies, [])
  for (const args of late) assert.equal(await watched.store.end(...args), false)
  assert.equal(late.length, 1)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 1 })
  assert.equal((await watched.records()).length, 1)
})

/** A visitor whose session is renewed by a response that leaves while the store is asked for `step`; `fail` then does what it does. */
async function aStreamThatRenews(
  t: TestContext,
  { store }: Watched,
  step: 'insert' | 'end',
  fail: (name: string, args: readonly unknown[]) => Promise<void>,
): Promise<{ ada: Visitor; answer: { told: string } }> {
  let isFailing = false
  const [asked, flushed] = [gate(), gate()]
  const failing = altered(store, async (name, args) => {
    if (name !== step || !isFailing) return
    isFailing = false
    asked.open()
    await flushed.opened
    await fail(name, args)
  })
  const { ada } = await aVisit(t, failing, {
    '/stream': async ctx => {
      const renewed = ctx.session.regenerate({ keep: true }).then(
        () => ({ told: 'renewed' }),
        (error: unknown) => ({
          told: error instanceof StoreUnavailableError ? error.outcome : String(error),
        }),
      )
      await asked.opened
      ctx.res.flushHeaders()
      flushed.open()
      return renewed
    },
  })
  isFailing = true
  const { setCookies, json } = await ada.get('/stream')
  assert.equal(setCookies.length, 1)
  return { ada, answer: json as { told: string } }
}

onEachStore(
  'a visitor who has been told of a new session has it, though the old one was not ended',
  async (t, watched) => {
    const { ada, answer } = await aStreamThatRenews(t, watched, 'end', async () => {
      throw new StoreUnavailableError('It is away', 'none')
    })
    // Of the regeneration one half is done.
    assert.deepEqual(answer, { told: 'unknown' })
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 1 })
    assert.equal((await ada.get('/inc')).status, 200)
  },
)

onEachStore(
  'a visitor who has been told of a new session has it, though the store did not say that it was stored',
  async (t, watched) => {
    const { ada, answer } = await aStreamThatRenews(t, watched, 'insert', async (_, [record]) => {
      await watched.store.insert(record as SessionRecord)
      throw new StoreUnavailableError('Its answer was lost', 'unknown')
    })
    assert.deepEqual(answer, { told: 'unknown' })
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 1 })
    assert.ok(!watched.calls.includes('delete'))
  },
)

onEachStore(
  'a regeneration that comes to store its new session after the headers have left leaves the old one',
  async (t, watched) => {
    const [asked, flushed] = [gate(), gate()]
    let isAsked = false
    const store = altered(watched.store, async (name, [id]) => {
      if (name === 'end' && isAsked) {
        // The old session moves on, so it is to be copied again.
        isAsked = false
        await watched.store.update(id as SessionId, increment)
      } else if (name === 'load' && watched.calls.at(-1) === 'delete') {
        asked.open()
        await flushed.opened
      }
    })
    const { ada } = await aVisit(t, store, {
      '/stream': async ctx => {
        const renewed = ctx.session.regenerate({ keep: true }).then(
          () => 'renewed',
          (error: Error) => error.name,
        )
        await asked.opened
        ctx.res.flushHeaders()
        flushed.open()
        return { told: await renewed }
      },
    })
    isAsked = true
    const { setCookies, json } = await ada.get('/stream')
    assert.deepEqual([setCookies, json], [[], { told: 'HeadersSentError' }])
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 2 })
    assert.equal((await watched.records()).length, 1)
  },
)

for (const outcome of ['none', 'unknown'] as const) {
  onEachStore(
    `a session that another has ended does not live on as its copy, where ending it fails with '${outcome}'`,
    async (t, watched) => {
      const { ada } = await aStreamThatRenews(t, watched, 'end', async (_, [id]) => {
        await watched.store.delete(id as SessionId)
        throw new StoreUnavailableError('It is away', outcome)
      })
      assert.deepEqual((await ada.get('/read')).json, {})
      assert.deepEqual(await watched.records(), [])
    },
  )
}

onEachStore(
  'a rotation in grace that cannot clear up after a try leaves one session for all its requests',
  async (t, watched) => {
    let isRotating = false
    let isWritten = false
    const store = altered(watched.store, async (name, [id]) => {
      if (!isRotating) return
      if (name === 'end' && !isWritten) {
        isWritten = true
        const operations = [{ op: '$inc', path: 'n', arg: 1 }] as const
        await watched.store.update(id as SessionId, { guards: [], operations })
      }
      if (name === 'delete') throw new StoreUnavailableError('It is down', 'none')
    })
    const { ada } = await aVisit(t, store)
    const old = ada.twin()
    isRotating = true
    const { status, setCookies } = await ada.get('/rotate')
    assert.equal(status, 503)
    assert.deepEqual(setCookies, [])
    isRotating = false
    assert.deepEqual((await old.get('/inc')).json, { n: 3 })
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 3 })

    await ada.get('/rotate')
    assert.deepEqual((await old.get('/inc')).json, { n: 4 })
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 4 })
    assert.equal(secretOf(old), secretOf(ada))
  },
)

onEachStore('a visitor’s first session may be rotated before it is stored', async (t, watched) => {
  const { visitor } = await aVisit(t, watched.store, {
    '/first': async ctx => {
      const session = await ctx.session()
      await session.regenerate({ keep: true, grace: '30s' })
      await session.set('first', true)
      return session.id
    },
  })
  const eve = visitor()
  const { json, setCookies } = await eve.get('/first')
  assert.equal(setCookies.length, 1)
  assert.equal(idOf(secretOf(eve) ?? ''), json)
  assert.deepEqual((await eve.get('/read')).json, { first: true })
  assert.deepEqual(await fieldsIn(watched), [{ name: 'Ada', n: 1 }, { first: true }])
})

onEachStore(
  'a call gives up, and says so, where others replace the session again and again',
  async (t, { store }) => {
    const rotating = await anApp(t, { store }, routes)
    for (const path of ['/destroy', '/inc', '/touch']) {
      const other = rotating.visitor()
      await other.get('/fill')
      let left = 200
      const busy = altered(store, async name => {
        if ((name === 'end' || name === 'update') && left-- > 0) await other.get('/rotate')
      })
      const { visitor } = await anApp(t, { store: busy }, routes)
      const ada = visitor().withCookiesOf(other)
      assert.equal((await ada.get(path)).status, 503, path)
      assert.ok(left > 100, `${path}: ${200 - left} rotations`)
      assert.equal((await other.get('/inc')).status, 200)
    }
  },
)
