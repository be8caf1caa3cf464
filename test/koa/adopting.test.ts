import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Koa from 'koa'
import { koaSession } from '../../src/adopt/index.ts'
import type { SessionId } from '../../src/ids.ts'
import Session, {
  ConfigurationError,
  type SessionOptions,
  SessionTooLargeError,
  StoreUnavailableError,
} from '../../src/index.ts'
import type { SessionRecord } from '../../src/store/record.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, answering, type Handler, KEY, listening } from '../support/app.ts'
import { gate } from '../support/gate.ts'
import { aKoaSessionStore, base64, koaCookies } from '../support/koasession.ts'
import { lifecycle } from '../support/lifecycle.ts'
import { otherObjectId } from '../support/otherbson.ts'
import type { Answer, Visitor } from '../support/visitor.ts'
import { altered, onEachStore, type Watched } from '../support/watchedstore.ts'

/** Milliseconds: what an answer says of its session's end is looked at once more if it is older than a few. */
const LATE = 6

const routes: Record<string, Handler> = {
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('cart', 'tea'),
  '/sign-in': async ctx => {
    const session = await ctx.session.regenerate()
    await session.set('user', 'eve')
  },
  '/sign-out': ctx => ctx.session.destroy(),
}

function withCookies(visitor: Visitor, cookies: readonly [string, string][]): Visitor {
  for (const [name, value] of cookies) visitor.jar.set(name, value)
  return visitor
}

for (const first of ['/slow', '/write']) {
  onEachStore(
    `requests that bring another session at once make one of it, and none comes back: ${first} first`,
    async (t, watched) => {
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
      const [one, both, go] = [gate(), gate(), gate()]
      const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
      let asked = 0
      const get = async (key: string) => {
        const found = await old.get(key)
        asked++
        if (asked === 1) {
          one.open()
          await both.opened
        } else if (asked === 2) {
          both.open()
          while ((await watched.records()).length === 0) await setImmediate()
        }
        return found
      }
      const { visitor } = await anApp(
        t,
        { store: watched.store, adopt: koaSession({ store: { ...old, get } }) },
        {
          ...routes,
          '/slow': async ctx => {
            await ctx.session()
            await go.opened
          },
        },
      )
      const ada = withCookies(visitor(), koaCookies('an-id'))
      const tab = ada.twin()
      const answers = new Map<string, Promise<Answer>>()
      for (const path of first === '/slow' ? ['/slow', '/write'] : ['/write', '/slow']) {
        answers.set(path, (path === '/slow' ? tab : ada).get(path))
        await one.opened
      }
      assert.equal((await answers.get('/write'))?.status, 200)
      assert.deepEqual((await ada.get('/read')).json, { user: 'ada', cart: 'tea' })
      assert.deepEqual(
        (await watched.records()).map(({ fields }) => fields),
        [{ user: 'ada', cart: 'tea' }],
      )

      await ada.get('/sign-out')
      assert.deepEqual((await ada.get('/read')).json, {})
      await ada.get('/sign-in')
      t.mock.timers.tick(LATE)
      go.open()
      const late = await answers.get('/slow')
      assert.equal(late?.status, 200)
      // The other library's cookie may be cleared.
      assert.deepEqual(
        late.setCookies.filter(line => line.startsWith('sid=')),
        [],
      )
      assert.deepEqual((await ada.get('/read')).json, { user: 'eve' })
      assert.equal(old.records.size, 0)
    },
  )
}

for (const first of ['/page', '/api']) {
  onEachStore(
    `a page with tokens shares the session with a request that brings the same one at once: ${first} first`,
    async (t, watched) => {
      const [bothBring, isStoring, hasToken] = [gate(), gate(), gate()]
      const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
      let asked = 0
      const { visitor, sessions } = await anApp(
        t,
        {
          user: 'user',
          adopt: async ({ path }, onceStored) => {
            const brought = old.records.get('an-id')
            onceStored(() => old.destroy('an-id'), 'an-id')
            if (++asked === 2) bothBring.open()
            await bothBring.opened
            while (path !== first && (await watched.records()).length === 0) await setImmediate()
            return { ...brought }
          },
          store: altered(watched.store, async name => {
            if (name !== 'insert' || (first === '/api' && (await watched.records()).length === 0)) return
            // The page's insert, as long as the other one waits or is over.
            isStoring.open()
            await hasToken.opened
          }),
        },
        {
          ...routes,
          '/page': async ctx => {
            const early = ctx.session.createCSRF()
            const written = ctx.session.inc('n')
            await isStoring.opened
            const meanwhile = ctx.session.createCSRF()
            hasToken.open()
            await written
            const tokens = [early, meanwhile, ctx.session.createCSRF()]
            for (const token of tokens) ctx.session.assertCSRF(token)
            return tokens
          },
          '/api': ctx => ctx.session.inc('n'),
          '/check': async ctx => ctx.session.assertCSRF(ctx.get('x-csrf-token')),
        },
      )
      const ada = visitor()
      const tab = ada.twin()
      const answers = [ada.get('/page'), tab.get('/api')] as const
      const [page, api] = await Promise.all(answers)
      assert.deepEqual([page.status, api.status], [200, 200])
      assert.deepEqual(
        (await watched.records()).map(({ fields }) => fields),
        [{ user: 'ada', n: 2 }],
      )
      for (const token of page.json as string[]) {
        assert.equal((await ada.get('/check', { 'X-CSRF-Token': token })).status, 200)
      }
      await tab.get('/sign-out')
      for await (const left of sessions.find('ada')) assert.fail(`${left.id} is left`)
    },
  )
}

onEachStore('who brings another session once ours has ended brings nobody back', async (t, watched) => {
  const [asked, go] = [gate(), gate()]
  const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
  let isSlow = true
  const get = async (key: string) => {
    const found = await old.get(key)
    if (isSlow) {
      isSlow = false
      asked.open()
      await go.opened
    }
    return found
  }
  const adopt = koaSession({ store: { ...old, get } })
  const { visitor } = await anApp(t, { store: watched.store, adopt }, routes)
  const ada = withCookies(visitor(), koaCookies('an-id'))
  const tab = ada.twin()
  const slow = tab.get('/write')
  await asked.opened
  assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
  await ada.get('/sign-out')
  go.open()
  const { status, setCookies } = await slow
  assert.equal(status, 401)
  assert.deepEqual(setCookies, [])
  assert.deepEqual(await watched.records(), [])
  for (const browser of [ada, tab]) assert.deepEqual((await browser.get('/read')).json, {})
})

onEachStore(
  'a session of ours that was stored, though nobody was told, takes the other’s place for good',
  async (t, watched) => {
    const MINUTE = 60_000
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
    let isLost = true
    const store = altered(watched.store, async (name, [record]) => {
      if (name !== 'insert' || !isLost) return
      isLost = false
      await watched.store.insert(record as SessionRecord)
      throw new StoreUnavailableError('The connection was reset', 'unknown')
    })
    const { visitor } = await anApp(t, { store, adopt: koaSession({ store: old }) }, routes)
    const ada = withCookies(visitor(), koaCookies('an-id'))
    const copy = ada.twin()
    assert.equal((await ada.get('/read')).status, 503)
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
    assert.deepEqual([...ada.jar.keys()], ['sid'])
    assert.equal(old.records.size, 0)

    await ada.get('/sign-out')
    t.mock.timers.tick(2 * MINUTE)
    assert.deepEqual((await copy.get('/read')).json, {})
  },
)

for (const call of ['load', 'update']) {
  onEachStore(
    `a request that cannot join ours gives no cookie of it, and the next one ends the other: ${call} fails`,
    async (t, watched) => {
      const MINUTE = 60_000
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
      const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
      let isLost = true
      let isAway = false
      const store = altered(watched.store, async (name, [record]) => {
        if (isAway && name === call) throw new StoreUnavailableError('The store is away', 'none')
        if (name !== 'insert' || !isLost) return
        isLost = false
        await watched.store.insert(record as SessionRecord)
        throw new StoreUnavailableError('The connection was reset', 'unknown')
      })
      const { visitor } = await anApp(
        t,
        { store, adopt: koaSession({ store: old }) },
        {
          ...routes,
          '/caught': async ctx => {
            await ctx.session().catch(() => {})
            return 'caught'
          },
        },
      )
      const ada = withCookies(visitor(), koaCookies('an-id'))
      const copy = ada.twin()
      assert.equal((await ada.get('/read')).status, 503)
      isAway = true
      for (const [path, status] of [
        ['/read', 503],
        ['/write', 503],
        ['/sign-out', 503],
        ['/caught', 200],
      ] as const) {
        const answer = await ada.get(path)
        assert.equal(answer.status, status, path)
        assert.deepEqual(answer.setCookies, [], path)
      }
      isAway = false
      assert.equal(old.records.size, 1)
      assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
      assert.equal(old.records.size, 0)

      await ada.get('/sign-out')
      t.mock.timers.tick(2 * MINUTE)
      for (const browser of [ada, copy]) assert.deepEqual((await browser.get('/read')).json, {})
    },
  )
}

onEachStore(
  'a request whose headers leave while it joins ours does not end the other',
  async (t, watched) => {
    const [joining, left] = [gate(), gate()]
    const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
    let isEarly = true
    const store = altered(watched.store, async name => {
      if (name !== 'update' || !isEarly) return
      isEarly = false
      joining.open()
      await left.opened
    })
    const { visitor } = await anApp(
      t,
      { store, adopt: koaSession({ store: old }) },
      {
        ...routes,
        '/early': async ctx => {
          ctx.status = 200
          const failed = ctx.session().catch((error: Error) => error.name)
          await joining.opened
          ctx.flushHeaders()
          left.open()
          return failed
        },
      },
    )
    const ada = withCookies(visitor(), koaCookies('an-id'))
    const tab = ada.twin()
    await tab.get('/read')
    // As if the request that stored ours had failed before it ended the other.
    old.records.set('an-id', { user: 'ada' })
    const { text, setCookies } = await ada.get('/early')
    assert.match(text, /HeadersSentError/)
    assert.deepEqual(setCookies, [])
    assert.equal(old.records.size, 1)
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
    assert.equal(old.records.size, 0)
  },
)

onEachStore(
  'if the other store fails as a whole, nobody gets the cookie of ours until the other session has ended',
  async (t, watched) => {
    const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
    let isAway = false
    let isBack = false
    const reach = async () => {
      if (isAway) throw new Error('The other store is away')
    }
    const { visitor } = await anApp(
      t,
      {
        store: altered(watched.store, name => {
          if (name !== 'insert' || isBack) return
          isAway = true
        }),
        adopt: koaSession({
          store: {
            get: key => reach().then(() => old.get(key)),
            destroy: key => reach().then(() => old.destroy(key)),
          },
        }),
      },
      routes,
    )
    const ada = withCookies(visitor(), koaCookies('an-id'))
    const { status, setCookies } = await ada.get('/read')
    assert.deepEqual([status, setCookies], [500, []])
    assert.equal((await watched.records()).length + old.records.size, 2)
    isAway = false
    isBack = true
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
    assert.equal(old.records.size, 0)
    await ada.get('/sign-out')
    assert.deepEqual((await ada.get('/read')).json, {})
  },
)

/** The visitor's other tab, whose request would join our session, which is taken back at that moment. */
async function joiningWhatIsTakenBack(t: TestContext, watched: Watched) {
  const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
  let isTakenBack = false
  const { visitor } = await anApp(
    t,
    {
      adopt: koaSession({ store: old }),
      store: altered(watched.store, async (name, [id]) => {
        if (name !== 'load' || !isTakenBack) return
        isTakenBack = false
        await watched.store.delete(id as SessionId)
      }),
    },
    {
      ...routes,
      '/page': ctx => ctx.session.createCSRF(),
      '/check': async ctx => ctx.session.assertCSRF(ctx.get('x-csrf-token')),
    },
  )
  const ada = withCookies(visitor(), koaCookies('an-id'))
  const tab = ada.twin()
  await ada.get('/read')
  old.records.set('an-id', { user: 'ada' })
  isTakenBack = true
  return { tab, old }
}

onEachStore(
  'where ours is taken back while another request would join it, that request brings the other session itself',
  async (t, watched) => {
    const { tab, old } = await joiningWhatIsTakenBack(t, watched)
    assert.deepEqual((await tab.get('/read')).json, { user: 'ada' })
    assert.equal(old.records.size, 0)
    assert.deepEqual((await tab.get('/read')).json, { user: 'ada' })
    assert.equal((await watched.records()).length, 1)
  },
)

onEachStore(
  'where ours is taken back while a page with a token would join it, the page works',
  async (t, watched) => {
    const { tab } = await joiningWhatIsTakenBack(t, watched)
    const { json } = await tab.get('/page')
    assert.equal((await tab.get('/check', { 'X-CSRF-Token': json as string })).status, 200)
    assert.deepEqual((await tab.get('/read')).json, { user: 'ada' })
  },
)

/** A store of koa-session that ends no session while it is away, as it is at first. */
function aStoreThatIsAway(held: Record<string, object>) {
  const old = aKoaSessionStore(held)
  let isAway = true
  return {
    ...old,
    async destroy(key: string) {
      if (isAway) throw new Error('The other store is away')
      await old.destroy(key)
    },
    goAway() {
      isAway = true
    },
    comeBack() {
      isAway = false
    },
  }
}

for (const [path, left] of [
  ['/read', { user: 'ada' }],
  ['/write', { user: 'ada', cart: 'tea' }],
  ['/sign-in', { user: 'eve' }],
  ['/sign-out', {}],
] as const) {
  onEachStore(
    `while ours is being taken back, another request brings the other session itself: ${path}`,
    async (t, watched) => {
      const [removing, answered] = [gate(), gate()]
      const old = aStoreThatIsAway({ 'an-id': { user: 'ada' } })
      const { visitor } = await anApp(
        t,
        {
          adopt: koaSession({ store: old }),
          store: altered(watched.store, async name => {
            if (name !== 'delete') return
            removing.open()
            await answered.opened
          }),
        },
        routes,
      )
      const ada = withCookies(visitor(), koaCookies('an-id'))
      const tab = ada.twin()
      const first = tab.get('/read')
      await removing.opened
      old.comeBack()
      assert.equal((await ada.get(path)).status, 200)
      answered.open()
      assert.equal((await first).status, 500)
      assert.equal(old.records.size, 0)
      assert.deepEqual((await ada.get('/read')).json, left)
    },
  )
}

onEachStore(
  'while the tombstone of ours, taken back, stands, its visitor gets no empty session',
  async (t, watched) => {
    const old = aStoreThatIsAway({ 'an-id': { user: 'ada' }, 'another-id': { user: 'eve' } })
    const { visitor } = await anApp(
      t,
      {
        adopt: koaSession({ store: old }),
        store: altered(watched.store, async name => {
          if (name === 'delete') throw new StoreUnavailableError('The store is away', 'none')
        }),
      },
      routes,
    )
    const ada = withCookies(visitor(), koaCookies('an-id'))
    const other = withCookies(visitor(), koaCookies('another-id'))
    for (let tries = 1; tries < 10; tries++) {
      const { status, setCookies } = await ada.get('/read')
      assert.deepEqual([status, setCookies], [500, []])
    }
    old.comeBack()
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
    assert.equal(old.records.size, 1)

    // Each time a tombstone is left under another id, and ten are tried.
    old.goAway()
    for (let tries = 1; tries <= 10; tries++) assert.equal((await other.get('/read')).status, 500)
    old.comeBack()
    const { status, setCookies } = await other.get('/write')
    assert.deepEqual([status, setCookies], [503, []])
    assert.equal(old.records.size, 1)
  },
)

onEachStore(
  'a session that another library still has is brought again once ours has expired, swept or not',
  async (t, watched) => {
    const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
    const { visitor } = await anApp(t, { adopt: koaSession({ store: old }), store: watched.store }, routes)
    for (let time = 1; time <= 3; time++) {
      old.records.set('an-id', { user: 'ada' })
      const ada = withCookies(visitor(), koaCookies('an-id'))
      assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
      assert.equal((await ada.get('/write')).status, 200)
      assert.deepEqual((await ada.get('/read')).json, { user: 'ada', cart: 'tea' })
      await watched.expire()
    }
  },
)

onEachStore('a session that is asked for as the headers leave stays where it is', async (t, watched) => {
  const [asked, go] = [gate(), gate()]
  const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
  const get = async (key: string) => {
    asked.open()
    await go.opened
    return old.get(key)
  }
  const adopt = koaSession({ store: { ...old, get } })
  const { visitor } = await anApp(
    t,
    { store: watched.store, adopt },
    {
      ...routes,
      '/early': async ctx => {
        ctx.status = 200
        const session = ctx.session()
        await asked.opened
        ctx.flushHeaders()
        go.open()
        return { ...(await session) }
      },
    },
  )
  const ada = withCookies(visitor(), koaCookies('an-id'))
  assert.deepEqual((await ada.get('/early')).json, {})
  assert.deepEqual(await watched.records(), [])
  assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
})

onEachStore(
  'who cannot end the other session does not take ours from those who have joined it',
  async (t, watched) => {
    const [asking, joined] = [gate(), gate()]
    let other: Record<string, string> | undefined = { user: 'ada' }
    const { visitor } = await anApp(
      t,
      {
        store: watched.store,
        adopt: async (ctx, onceStored) => {
          const brought = other
          // The first looks, as its end has failed, whether the other session is gone.
          if (ctx.path === '/read' && (await watched.records()).length > 0) {
            asking.open()
            await joined.opened
          }
          onceStored(async () => {
            if (ctx.path === '/read') throw new Error('The other store is away')
            other = undefined
          }, 'an-id')
          return brought
        },
      },
      routes,
    )
    const ada = visitor()
    const tab = ada.twin()
    const first = tab.get('/read')
    await asking.opened
    assert.equal((await ada.get('/write')).status, 200)
    joined.open()
    assert.equal((await first).status, 500)
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada', cart: 'tea' })
  },
)

onEachStore('two kinds of session that take over one other session do not share one', async (t, watched) => {
  const adopt: SessionOptions['adopt'] = (_, onceStored) => {
    onceStored(() => {}, 'the id of the other session')
    return { user: 'ada' }
  }
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store: watched.store, adopt })
  Session(app, { store: watched.store, adopt, property: 'admin', key: 'admin' })
  app.use(
    answering({
      ...routes,
      '/both': async ctx => [(await ctx.session()).id, (await ctx.admin()).id],
      '/leave': ctx => ctx.admin.destroy(),
    }),
  )
  const { visitor } = await listening(t, app)
  const other = await anApp(t, { store: watched.store, adopt, key: 'other' }, routes)
  const ada = visitor()
  const [one, two] = (await ada.get('/both')).json as string[]
  assert.notEqual(one, two)
  assert.notEqual(ada.jar.get('sid')?.slice(0, 40), ada.jar.get('admin')?.slice(0, 40))
  await other.visitor().get('/write')
  assert.equal((await watched.records()).length, 3)
  // What becomes of one is no business of the other.
  await ada.get('/leave')
  assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
  // Requests that bring it to one kind of session at once still make one of it.
  assert.deepEqual((await visitor().get('/read')).json, { user: 'ada' })
  assert.equal((await watched.records()).length, 2)
})

onEachStore('visitors who bring the same data do not share a session', async (t, watched) => {
  const { visitor } = await anApp(t, { store: watched.store, adopt: koaSession() }, routes)
  const cookies = koaCookies(base64({ cart: [] }))
  const [ada, eve] = [withCookies(visitor(), cookies), withCookies(visitor(), cookies)]
  await Promise.all([ada.get('/read'), eve.get('/read')])
  await ada.get('/write')
  assert.deepEqual((await ada.get('/read')).json, { cart: 'tea' })
  assert.deepEqual((await eve.get('/read')).json, { cart: [] })
  assert.equal((await watched.records()).length, 2)
})

onEachStore(
  'who names another session by what is no string shares a session with nobody',
  async (t, watched) => {
    const secret = 'an id that is as good as a password'
    const wrong: [end: unknown, key: unknown, told: RegExp][] = [
      [() => {}, Promise.resolve(secret), /not Promise: await it first$/],
      [() => {}, '', /not an empty one: leave it out/],
      ...[null, Number.NaN, 5, false, new Map([[secret, 1]]), [secret], () => secret, Symbol(secret), 5n].map(
        (key): [unknown, unknown, RegExp] => [() => {}, key, /as key a string .* not \w+: leave it out/],
      ),
      [undefined, 'an id', /a function .* not undefined$/],
      [Promise.resolve(), 'an id', /a function .* not Promise$/],
      [secret, () => {}, /a function .* not string$/],
    ]
    for (const [end, key, told] of wrong) {
      const adopt: SessionOptions['adopt'] = (ctx, onceStored) => {
        onceStored(end as () => void, key as string)
        return { user: ctx.get('X-User') }
      }
      const { visitor, errors } = await anApp(t, { store: watched.store, adopt }, routes)
      for (const user of ['ada', 'eve']) {
        assert.equal((await visitor().get('/read', { 'X-User': user })).status, 500)
        const [error] = errors.splice(0)
        assert.ok(error instanceof ConfigurationError, String(error))
        assert.match(error.message, told)
        assert.ok(!error.message.includes(secret), error.message)
      }
    }
    assert.deepEqual(await watched.records(), [])
  },
)

onEachStore('whatever an adopter brings, its visitor is not locked out', async (t, { store }) => {
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`f${n}`, n]))
  const brought: [data: Record<string, unknown>, kept: object][] = [
    [{ user: 'ada', _expire: 1, id: 5, 'a.b': 1, $set: 1, '': 1, call: () => 1 }, { user: 'ada' }],
    [{ ['x'.repeat(129)]: 1, when: new Map(), none: undefined }, {}],
    [
      { user: 'ada', by: otherObjectId, n: 1, orders: [{ by: otherObjectId }] },
      { user: 'ada', n: 1 },
    ],
    [{ by: otherObjectId }, {}],
    [many, many],
  ]
  for (const [data, kept] of brought) {
    for (const path of ['/read', '/write', '/sign-out', '/sign-in']) {
      let isEnded = false
      const adopt: SessionOptions['adopt'] = (_, onceStored) => {
        onceStored(() => {
          isEnded = true
        })
        return data
      }
      const { visitor } = await anApp(t, { store, adopt }, routes)
      const answer = await visitor().get(path)
      assert.equal(answer.status, 200, path)
      assert.ok(isEnded, path)
      if (path === '/read') assert.deepEqual(answer.json, kept)
    }
  }
})

onEachStore(
  'who signs out as the body streams is told that the other session stays, and not that it ended',
  async (t, watched) => {
    const old = aKoaSessionStore({ 'an-id': { user: 'ada' } })
    const { visitor } = await anApp(
      t,
      { store: watched.store, adopt: koaSession({ store: old }) },
      {
        ...routes,
        '/late-sign-out': async ctx => {
          ctx.status = 200
          ctx.flushHeaders()
          return ctx.session.destroy().then(
            () => 'signed out',
            error => error.code,
          )
        },
      },
    )
    const ada = withCookies(visitor(), koaCookies('an-id'))
    assert.equal((await ada.get('/late-sign-out')).json, 'SESSION_HEADERS_SENT')
    assert.equal(old.records.size, 1)
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
    // Now it is a session of ours.
    assert.equal((await ada.get('/late-sign-out')).json, 'signed out')
    assert.deepEqual((await ada.get('/read')).json, {})
  },
)

onEachStore(
  'an adopter that brings what are no fields is refused, and the other session stays',
  async (t, watched) => {
    const document = new (class {
      get user() {
        return 'ada'
      }
    })()
    const wrong = [
      JSON.stringify({ user: 'ada' }),
      [{ user: 'ada' }],
      new Map([['user', 'ada']]),
      document,
      5,
    ]
    for (const brought of wrong as unknown as Record<string, unknown>[]) {
      let isEnded = false
      const adopt: SessionOptions['adopt'] = (_, onceStored) => {
        onceStored(() => {
          isEnded = true
        })
        return brought
      }
      const { visitor, errors } = await anApp(t, { store: watched.store, adopt }, routes)
      assert.equal((await visitor().get('/read')).status, 500)
      const [error] = errors.splice(0)
      assert.ok(error instanceof ConfigurationError, String(error))
      assert.match(error.message, /^adopt returns the fields as a plain object, or nothing, not /)
      assert.ok(!error.message.includes('ada'), error.message)
      assert.ok(!isEnded)
    }
    for (const nothing of [undefined, null, '', false] as never[]) {
      const { visitor } = await anApp(t, { store: watched.store, adopt: () => nothing }, routes)
      assert.deepEqual((await visitor().get('/read')).json, {})
    }
    assert.deepEqual(await watched.records(), [])
  },
)

onEachStore('a session that is too large to be carried over stays where it is', async (t, watched) => {
  const old = aKoaSessionStore({ 'an-id': { user: 'ada', text: 'x'.repeat(2000) } })
  const adopt = koaSession({ store: old })
  const { visitor } = await anApp(t, { store: watched.store, adopt, maxSize: 1000 }, routes)
  const events = lifecycle(t)
  for (const path of ['/read', '/sign-out', '/write', '/sign-in']) {
    const ada = withCookies(visitor(), koaCookies('an-id'))
    const { status } = await ada.get(path)
    assert.equal(status, 200, path)
    const [told] = events.splice(0)
    assert.equal(told?.type, 'not adopted')
    assert.ok(told.error instanceof SessionTooLargeError)
    assert.ok(ada.jar.has('koa.sess'))
  }
  assert.equal(old.records.size, 1)
  assert.deepEqual(
    (await watched.records()).map(({ fields }) => fields),
    [{ cart: 'tea' }, { user: 'eve' }],
  )
})

test('another kind of session that adopt uses is waited for, and fails the request', async t => {
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store: memoryStore(), property: 'old', key: 'old' })
  Session(app, {
    store: memoryStore(),
    async adopt(ctx) {
      const { user } = await ctx.old()
      ctx.old.set('moved', true)
      if (user === 'eve') ctx.old.inc('user')
      return { user }
    },
  })
  app.use(
    answering({
      ...routes,
      '/begin': ctx => ctx.old.set('user', ctx.query.as),
      '/old': async ctx => ({ ...(await ctx.old()) }),
    }),
  )
  const { visitor } = await listening(t, app)
  for (const [user, status] of [
    ['ada', 200],
    ['eve', 500],
  ] as const) {
    const browser = visitor()
    await browser.get(`/begin?as=${user}`)
    assert.equal((await browser.get('/read')).status, status)
    assert.deepEqual((await browser.get('/old')).json, { user, moved: true })
  }
})

test('an error after an adoption gives the cookie that another kind of session has by then', async t => {
  const brought = gate()
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store: memoryStore(), property: 'other', key: 'other' })
  Session(app, {
    store: memoryStore(),
    async adopt() {
      await brought.opened
      return { user: 'ada' }
    },
  })
  app.use(
    answering({
      '/fail': async ctx => {
        const written = ctx.session.set('cart', 'tea')
        await Promise.all([written, ctx.other.set('n', 1).then(brought.open)])
        await ctx.other.regenerate({ keep: true })
        ctx.throw(400)
      },
      '/other': async ctx => ({ ...(await ctx.other()) }),
    }),
  )
  const { visitor } = await listening(t, app)
  const ada = visitor()
  const { status, setCookies } = await ada.get('/fail')
  assert.equal(status, 400)
  assert.deepEqual(setCookies.map(line => line.split('=')[0]).sort(), ['other', 'sid'])
  assert.deepEqual((await ada.get('/other')).json, { n: 1 })
})
