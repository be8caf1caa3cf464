import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { ObjectId } from 'mongodb'
import type { SessionId } from '../../src/ids.ts'
import {
  ConfigurationError,
  FieldError,
  HeadersSentError,
  SessionEndedError,
  type Store,
  StoreUnavailableError,
} from '../../src/index.ts'
import type { SessionRecord } from '../../src/store/record.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { eventually } from '../support/faultyapp.ts'
import {
  type AppOptions,
  anApp,
  type Handler,
  onEachStore,
  type RunningApp,
  test,
} from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import { aCollection, commandsOf, theClient, withoutMongoDB } from '../support/mongodb/collection.ts'
import type { Visitor } from '../support/visitor.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const routes: Record<string, Handler> = {
  '/sign-in': async ctx => {
    const session = await ctx.session.regenerate()
    await session.set({ user_id: ctx.query.as, role: 'clerk' })
    return session.id
  },
  '/anonymous': ctx => ctx.session.set('cart', ['tea']),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('late', true),
  '/rotate': async ctx => (await ctx.session.regenerate({ keep: true })).id,
}

function aUsersApp(t: TestContext, store: Store, options: AppOptions = {}, more: typeof routes = {}) {
  return anApp(t, { user: 'user_id', store, ...options }, { ...routes, ...more })
}

interface SignedIn {
  readonly visitor: Visitor
  readonly id: string
}

async function signedIn(app: RunningApp, user: string): Promise<SignedIn> {
  const visitor = app.visitor()
  const { json } = await visitor.get(`/sign-in?as=${user}`)
  return { visitor, id: json as string }
}

/** The same visitor at another process of the app. */
function at(app: RunningApp, visitor: Visitor): Visitor {
  return app.visitor().withCookiesOf(visitor)
}

async function idsOf({ sessions }: RunningApp, user: unknown): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of sessions.find(user)) ids.push(id)
  return ids.sort()
}

/** What somebody may put where an id belongs. */
const noIds: unknown[] = [
  { $ne: null },
  { $gt: '' },
  null,
  undefined,
  '',
  'x',
  42,
  true,
  ['a'.repeat(64)],
  'a'.repeat(63),
  'A'.repeat(64),
  `${'a'.repeat(64)}\n`,
  Object('a'.repeat(64)),
]

onEachStore('a user’s sessions are listed with what they hold, and nobody else’s', async (t, { store }) => {
  const app = await aUsersApp(t, store)
  await app.sessions.ensureIndex()
  const ada = [await signedIn(app, 'ada'), await signedIn(app, 'ada'), await signedIn(app, 'ada')]
  await signedIn(app, 'eve')
  await app.visitor().get('/anonymous')
  assert.deepEqual(await idsOf(app, 'ada'), ada.map(({ id }) => id).sort())
  assert.deepEqual(await idsOf(app, 'nobody'), [])
  const DAY = 24 * 60 * 60 * 1000
  for await (const { id, created, expires, fields } of app.sessions.find('ada')) {
    assert.match(id, /^[0-9a-f]{64}$/)
    assert.ok(Math.abs(Date.now() - created.getTime()) < 60_000)
    assert.equal(expires.getTime() - created.getTime(), 14 * DAY)
    assert.deepEqual(fields, { user_id: 'ada', role: 'clerk' })
  }
})

onEachStore('a session is listed until the end that it will really have', async (t, { store }) => {
  const app = await aUsersApp(t, store, { maxAge: '1h', absoluteMaxAge: '2h' })
  const ada = await signedIn(app, 'ada')
  const now = Date.now()
  const HOUR = 60 * 60 * 1000
  t.mock.timers.enable({ apis: ['Date'], now: now + 0.9 * HOUR })
  await ada.visitor.get('/read')
  t.mock.timers.setTime(now + 1.7 * HOUR)
  await ada.visitor.get('/read')
  const { value: found } = await app.sessions.find('ada').next()
  assert.ok(found)
  assert.equal(found.expires.getTime() - found.created.getTime(), 2 * HOUR)
  t.mock.timers.setTime(now + 3 * HOUR)
  assert.deepEqual(await idsOf(app, 'ada'), [])
})

onEachStore(
  'signing out everywhere else ends the other sessions, whatever process serves them',
  async (t, { store }) => {
    const [p1, p2] = [await aUsersApp(t, store), await aUsersApp(t, store)]
    const [a, b, c] = [await signedIn(p1, 'ada'), await signedIn(p1, 'ada'), await signedIn(p2, 'ada')]
    const eve = await signedIn(p1, 'eve')
    assert.equal(await p2.sessions.endAll('ada', { except: a.id }), 2)
    for (const { visitor } of [b, c]) {
      const twin = at(p2, visitor)
      const { status, json, setCookies } = await visitor.get('/read')
      assert.equal(status, 200)
      assert.deepEqual(json, {})
      assert.deepEqual(setCookies, [])
      assert.deepEqual((await twin.get('/read')).json, {})
    }
    assert.deepEqual((await at(p2, a.visitor).get('/read')).json, { user_id: 'ada', role: 'clerk' })
    assert.deepEqual((await eve.visitor.get('/read')).json, { user_id: 'eve', role: 'clerk' })
    assert.deepEqual(await idsOf(p1, 'ada'), [a.id])
  },
)

onEachStore('all sessions of a user can be ended at once, and it is told how many', async (t, { store }) => {
  const app = await aUsersApp(t, store)
  const ada = [await signedIn(app, 'ada'), await signedIn(app, 'ada')]
  assert.equal(await app.sessions.endAll('ada'), 2)
  assert.equal(await app.sessions.endAll('ada'), 0)
  for (const { visitor } of ada) assert.deepEqual((await visitor.get('/read')).json, {})
})

onEachStore(
  'a session that is given a new id while its user’s sessions are ended does not escape',
  async (t, { store }) => {
    const rotating = gate()
    let rotated: Promise<unknown> | undefined
    const p1 = await aUsersApp(t, store)
    const ada = await signedIn(p1, 'ada')
    const slow = altered(store, (name, [id]) => {
      if (name !== 'delete' || id !== ada.id || rotated) return undefined
      rotated = ada.visitor.get('/rotate').then(({ status }) => {
        assert.equal(status, 200)
        rotating.open()
      })
      return rotating.opened
    })
    const p2 = await aUsersApp(t, slow)
    await p2.sessions.endAll('ada')
    await rotated
    assert.deepEqual(await idsOf(p1, 'ada'), [])
    assert.deepEqual((await ada.visitor.get('/read')).json, {})
  },
)

onEachStore(
  'a session that is given a new id while its user’s sessions are looked for does not escape either',
  async (t, { store }) => {
    const p1 = await aUsersApp(t, store)
    const [here, ada] = [await signedIn(p1, 'ada'), await signedIn(p1, 'ada')]
    let rotated: Promise<unknown> | undefined
    const slow = new Proxy(
      altered(store, () => {}),
      {
        get(target, name: keyof Store) {
          if (name !== 'find') return target[name]
          return async function* (...args: Parameters<NonNullable<Store['find']>>) {
            for await (const record of target.find?.(...args) ?? []) {
              rotated ??= ada.visitor.get('/rotate')
              await rotated
              yield record
            }
          }
        },
      },
    )
    const p2 = await aUsersApp(t, slow)
    await p2.sessions.endAll('ada', { except: here.id })
    assert.deepEqual(await idsOf(p1, 'ada'), [here.id])
    assert.deepEqual((await ada.visitor.get('/read')).json, {})
  },
)

onEachStore('one session that cannot be ended does not keep the user’s others', async (t, { store }) => {
  let stuck: string | undefined
  const failing = altered(store, (name, [id]) => {
    if (name === 'delete' && id === stuck) throw new StoreUnavailableError('its shard is away', 'none')
  })
  const app = await aUsersApp(t, failing)
  const ada = [await signedIn(app, 'ada'), await signedIn(app, 'ada'), await signedIn(app, 'ada')]
  stuck = (await idsOf(app, 'ada'))[0] as string
  await assert.rejects(app.sessions.endAll('ada'), (error: Error) => {
    assert.ok(error instanceof StoreUnavailableError)
    assert.equal(error.outcome, 'unknown')
    assert.match(
      error.message,
      /^2 sessions of the user were ended, and for 1 more this could not be confirmed: /,
    )
    assert.equal((error.cause as Error).message, 'its shard is away')
    return true
  })
  assert.deepEqual(await idsOf(app, 'ada'), [stuck])
  stuck = undefined
  assert.equal(await app.sessions.endAll('ada'), 1)
  for (const { visitor } of ada) assert.deepEqual((await visitor.get('/read')).json, {})
})

onEachStore(
  'where the store fails between, it is told how many sessions were ended',
  async (t, { store }) => {
    let finds = 0
    const failing = altered(store, name => {
      if (name === 'find' && ++finds === 2) throw new StoreUnavailableError('away', 'none')
    })
    const app = await aUsersApp(t, failing)
    await signedIn(app, 'ada')
    await signedIn(app, 'ada')
    await assert.rejects(app.sessions.endAll('ada'), (error: Error) => {
      assert.ok(error instanceof StoreUnavailableError)
      assert.equal(error.outcome, 'unknown')
      assert.match(error.message, /^2 sessions of the user were ended, .*: call endAll\(\) again/)
      return true
    })
    assert.equal(await app.sessions.endAll('ada'), 0)
  },
)

for (const { what, answerLost, told } of [
  { what: 'the answers of all', answerLost: () => true, told: [0, 3] },
  { what: 'the answers of all but one', answerLost: (deletes: number) => deletes > 1, told: [1, 2] },
]) {
  onEachStore(
    `where the connection is lost while sessions are ended, nobody says that none was ended: ${what}`,
    async (t, { store }) => {
      let deletes = 0
      let finds = 0
      const losing = new Proxy(
        altered(store, name => {
          if (name === 'find' && ++finds === 2) throw new StoreUnavailableError('away', 'none')
        }),
        {
          get(target, name: keyof Store) {
            if (name !== 'delete') return target[name]
            return async (id: string) => {
              await target.delete(id)
              if (answerLost(++deletes)) throw new StoreUnavailableError('its answer was lost', 'unknown')
            }
          },
        },
      )
      const app = await aUsersApp(t, losing)
      for (let times = 0; times < 3; times++) await signedIn(app, 'ada')
      await assert.rejects(app.sessions.endAll('ada'), (error: Error) => {
        assert.ok(error instanceof StoreUnavailableError)
        assert.equal(error.outcome, 'unknown')
        const [ended, failed] = told
        assert.match(
          error.message,
          new RegExp(
            `^${ended} sessions of the user were ended, and for ${failed} more this could not be confirmed, and whether`,
          ),
        )
        return true
      })
      // Another process, which does not take the store to be down.
      assert.equal(await (await aUsersApp(t, store)).sessions.endAll('ada'), 0)
    },
  )
}

onEachStore(
  'where the store refuses all calls that end sessions, and then to search, none was ended',
  async (t, { store }) => {
    let isAway = false
    const failing = altered(store, name => {
      if (name === 'delete') isAway = true
      if (isAway) throw new StoreUnavailableError('away', 'none')
    })
    const app = await aUsersApp(t, failing)
    await signedIn(app, 'ada')
    await assert.rejects(app.sessions.endAll('ada'), { name: 'StoreUnavailableError', outcome: 'none' })
    isAway = false
    assert.equal((await idsOf(app, 'ada')).length, 1)
  },
)

onEachStore('where signing in is tried again, one session of the user is found', async (t, { store }) => {
  let isLost = false
  const losing = new Proxy(store, {
    get: (target, name) =>
      name === 'insert'
        ? async (record: SessionRecord) => {
            await target.insert(record)
            if (isLost) throw new StoreUnavailableError('its answer was lost', 'unknown')
          }
        : Reflect.get(target, name),
  })
  const app = await aUsersApp(
    t,
    losing,
    {},
    {
      '/': ctx => ctx.session.regenerate({ set: { user_id: 'eve' } }).then(() => 'signed in'),
    },
  )
  const { visitor } = await signedIn(app, 'ada')
  isLost = true
  assert.equal((await visitor.get('/')).status, 503)
  isLost = false
  assert.equal((await visitor.get('/')).status, 200)
  await eventually(
    () => idsOf(app, 'eve'),
    ({ length }) => length === 1,
  )
})

onEachStore('a sign-in that failed left no session, or says that it may have', async (t, { store }) => {
  const failing = new Set<string>()
  const fails = altered(store, name => {
    if (failing.has(name)) throw new StoreUnavailableError('away', 'none')
  })
  const app = await aUsersApp(
    t,
    fails,
    {},
    {
      '/': async ctx => {
        const failure: unknown = await ctx.session
          .regenerate({ set: { user_id: 'eve' } })
          .catch(error => error)
        assert.ok(failure instanceof StoreUnavailableError)
        return { told: failure.outcome }
      },
    },
  )
  const { visitor, id } = await signedIn(app, 'ada')
  failing.add('end')
  assert.deepEqual((await visitor.get('/')).json, { told: 'none' })
  assert.deepEqual(await idsOf(app, 'eve'), [])

  failing.add('delete')
  assert.deepEqual((await visitor.get('/')).json, { told: 'unknown' })
  const [left] = await idsOf(app, 'eve')
  failing.clear()
  await store.delete(left as SessionId)

  // Whether it was replaced by one that its visitor may follow to cannot be read.
  await store.delete(id)
  failing.add('load')
  assert.deepEqual((await visitor.get('/')).json, { told: 'none' })
  assert.deepEqual(await idsOf(app, 'eve'), [])
})

onEachStore(
  'where somebody keeps signing in, ending all sessions comes to an end and says so',
  async (t, { store }) => {
    const app = await aUsersApp(t, store)
    let left = 1000
    const busy = altered(store, async name => {
      if (name === 'delete' && left-- > 0) await signedIn(app, 'ada')
    })
    const { sessions } = await aUsersApp(t, busy)
    await signedIn(app, 'ada')
    await assert.rejects(sessions.endAll('ada'), (error: Error) => {
      assert.ok(error instanceof StoreUnavailableError)
      assert.match(
        error.message,
        /^\d+ sessions of the user were ended, and there are always more: .* signing in/,
      )
      return true
    })
    assert.ok(left > 900, `${1000 - left} rounds`)
    left = 0
    assert.equal(await sessions.endAll('ada'), 1)
  },
)

onEachStore(
  'where many sign in at a time, ending all sessions comes to an end and says so',
  async (t, { store }) => {
    const app = await aUsersApp(t, store)
    let left = 5000
    const busy = altered(store, async name => {
      if (name !== 'delete' || left <= 0) return
      left -= 4
      await Promise.all(Array.from({ length: 4 }, () => app.sessions.create({ user_id: 'ada' })))
    })
    const { sessions } = await aUsersApp(t, busy)
    await app.sessions.create({ user_id: 'ada' })
    await assert.rejects(sessions.endAll('ada'), /there are always more/)
    assert.ok(left > 0)
  },
)

onEachStore('a session ended from outside is over for a request under way too', async (t, watched) => {
  const { store } = watched
  const reached = gate()
  const go = gate()
  const app = await aUsersApp(
    t,
    store,
    {},
    {
      '/slow': async ctx => {
        const session = await ctx.session()
        reached.open()
        await go.opened
        await session.set('late', true)
      },
    },
  )
  const ada = await signedIn(app, 'ada')
  const answer = ada.visitor.twin().get('/slow')
  await reached.opened
  await app.sessions.end(ada.id)
  go.open()
  assert.equal((await answer).status, 401)
  assert.deepEqual((await answer).setCookies, [])
  assert.deepEqual((await ada.visitor.get('/read')).json, {})
  assert.deepEqual(await watched.records(), [])
  await app.sessions.end(ada.id)
})

onEachStore('under a new id a session still belongs to its user', async (t, { store }) => {
  const app = await aUsersApp(t, store)
  const ada = await signedIn(app, 'ada')
  const { json } = await ada.visitor.get('/rotate')
  assert.deepEqual(await idsOf(app, 'ada'), [json])
})

onEachStore(
  'a change of what a user may do counts from the next request of any process',
  async (t, { store }) => {
    const [p1, p2] = [await aUsersApp(t, store), await aUsersApp(t, store)]
    const ada = await signedIn(p1, 'ada')
    await ada.visitor.get('/read')
    const opened = p2.sessions.open(ada.id)
    assert.deepEqual(await opened.set('role', 'admin'), { role: 'admin' })
    assert.deepEqual((await ada.visitor.get('/read')).json, { user_id: 'ada', role: 'admin' })
    assert.deepEqual((await at(p2, ada.visitor).get('/read')).json, { user_id: 'ada', role: 'admin' })
    await opened.destroy()
    for (const app of [p1, p2]) assert.deepEqual((await at(app, ada.visitor).get('/read')).json, {})
  },
)

onEachStore('a job reads and changes a session by its id without keeping it alive', async (t, watched) => {
  const app = await aUsersApp(t, watched.store)
  const ada = await signedIn(app, 'ada')
  const [before] = await watched.records()
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 10 * 24 * 60 * 60 * 1000 })
  const opened = app.sessions.open(ada.id)
  assert.equal(await opened.get('role'), 'clerk')
  await opened.push('notices', 'Your parcel has left')
  const session = await opened()
  assert.deepEqual({ ...session }, { user_id: 'ada', role: 'clerk', notices: ['Your parcel has left'] })
  assert.equal(session.id, ada.id)
  await session.inc('seen')
  const [after] = await watched.records()
  assert.deepEqual(after?.expires, before?.expires)
  assert.deepEqual(after?.fields, { ...session })
})

onEachStore('by its id a session that is no more cannot be used or made', async (t, watched) => {
  const app = await aUsersApp(t, watched.store)
  const ada = await signedIn(app, 'ada')
  await app.sessions.open(ada.id).destroy()
  for (const id of [ada.id, 'ab'.repeat(32)]) {
    const uses = [
      () => app.sessions.open(id)(),
      () => app.sessions.open(id).get('role'),
      () => app.sessions.open(id).set('role', 'admin'),
      () => app.sessions.open(id).touch(),
    ]
    for (const use of uses) await assert.rejects(Promise.resolve(use()), SessionEndedError)
    const opened = app.sessions.open(id)
    for (const time of [1, 2]) {
      const both = await Promise.allSettled([opened(), opened()])
      assert.deepEqual(
        both.map(result => result.status === 'rejected' && result.reason.code),
        ['SESSION_ENDED', 'SESSION_ENDED'],
        `${time}`,
      )
    }
    await opened.destroy()
    await assert.rejects(opened(), SessionEndedError)
  }
  assert.deepEqual(await watched.records(), [])

  const { id } = await signedIn(app, 'ada')
  const opened = app.sessions.open(id)
  const session = await opened()
  await opened.destroy()
  await assert.rejects(opened(), SessionEndedError)
  await assert.rejects(opened.get('role'), SessionEndedError)
  await assert.rejects(session.update(), SessionEndedError)
})

onEachStore('only its visitor’s request gives a session a new id or a CSRF token', async (t, { store }) => {
  const app = await aUsersApp(t, store)
  const ada = await signedIn(app, 'ada')
  const opened = app.sessions.open(ada.id)
  await assert.rejects(opened.regenerate(), ConfigurationError)
  assert.throws(() => opened.createCSRF(), ConfigurationError)
  assert.deepEqual(await idsOf(app, 'ada'), [ada.id])
})

onEachStore('the session that goes on may be given itself, or by its id', async (t, { store }) => {
  const app = await aUsersApp(
    t,
    store,
    {},
    {
      '/everywhere-else': async ctx => {
        const session = await ctx.session()
        return app.sessions.endAll('ada', { except: session })
      },
      '/unstored': async ctx => {
        const session = await ctx.session()
        return app.sessions.endAll('ada', { except: session }).catch(error => [error.status, error.message])
      },
    },
  )
  const [ada] = [await signedIn(app, 'ada'), await signedIn(app, 'ada'), await signedIn(app, 'ada')]
  assert.equal((await ada.visitor.get('/everywhere-else')).json, 2)
  assert.deepEqual(await idsOf(app, 'ada'), [ada.id])
  const again = await signedIn(app, 'ada')
  for await (const found of app.sessions.find('ada')) {
    if (found.id === again.id) assert.equal(await app.sessions.endAll('ada', { except: found }), 1)
  }
  // Whoever has none is told so, and nobody is signed out for it.
  const refused = (await app.visitor().get('/unstored')).json
  assert.deepEqual(refused, [500, 'That session is not stored, so it has no id'])
  const opened = app.sessions.open(again.id)
  for (const wrong of [opened, opened(), Promise.resolve(again)] as never[]) {
    await assert.rejects(
      app.sessions.endAll('ada', { except: wrong }),
      /load it first, as in await ctx\.session\(\)/,
    )
  }
  for (const wrong of [again.id, { expect: again.id }, () => {}, null] as never[]) {
    await assert.rejects(async () => app.sessions.endAll('ada', wrong), ConfigurationError)
  }
  assert.deepEqual(await idsOf(app, 'ada'), [again.id])
})

test('an id from an address that cannot be one is the request’s fault', async t => {
  const { sessions, visitor, errors } = await anApp(
    t,
    { user: 'user_id', store: memoryStore() },
    async ctx => {
      const id = ctx.query.id as string
      if (ctx.path === '/end') return sessions.end(id)
      if (ctx.path === '/open') return sessions.open(id).get('name')
      return sessions.endAll('ada', { except: id })
    },
  )
  for (const path of ['/end', '/open', '/except']) {
    for (const id of [
      'typo',
      '',
      'A'.repeat(64),
      `${'a'.repeat(64)}%0A`,
      `${'a'.repeat(64)}&id=${'a'.repeat(64)}`,
    ]) {
      const { status, text } = await visitor().get(`${path}?id=${id}`)
      assert.equal(status, 400, id)
      assert.match(text, /^That is no session's id: it is the 64 hexadecimal digits of session\.id/)
      assert.ok(!text.includes('typo'))
    }
    // One that may be an id and is nobody's is no mistake.
    const { status } = await visitor().get(`${path}?id=${'a'.repeat(64)}`)
    assert.equal(status, path === '/open' ? 401 : 200)
  }
  assert.throws(() => sessions.open('typo'), { code: 'SESSION_FIELD', status: 400, expose: true, path: 'id' })
  await assert.rejects(sessions.end('typo'), { code: 'SESSION_FIELD', status: 400, expose: true, path: 'id' })
  // Koa reports none of those as the app's.
  assert.deepEqual(
    errors.filter(error => (error as { status: number }).status >= 500),
    [],
  )
})

onEachStore('what is no id never reaches the store', async (t, { store, calls }) => {
  const app = await aUsersApp(t, store)
  const ada = await signedIn(app, 'ada')
  calls.length = 0
  for (const wrong of noIds as never[]) {
    await assert.rejects(app.sessions.end(wrong), FieldError)
    assert.throws(() => app.sessions.open(wrong), FieldError)
    if (wrong !== undefined) await assert.rejects(app.sessions.endAll('ada', { except: wrong }), FieldError)
  }
  assert.deepEqual(calls, [])
  assert.deepEqual(await idsOf(app, 'ada'), [ada.id])
})

onEachStore('nobody, and a query, are no user', async (t, { store, calls }) => {
  const app = await aUsersApp(t, store)
  await signedIn(app, 'ada')
  await app.visitor().get('/anonymous')
  calls.length = 0
  for (const wrong of [
    null,
    undefined,
    { $ne: null },
    { $exists: false },
    { a: { $gt: 1 } },
    Number.NaN,
    () => 1,
  ]) {
    await assert.rejects(idsOf(app, wrong), FieldError)
    await assert.rejects(app.sessions.endAll(wrong), FieldError)
  }
  assert.deepEqual(calls, [])
  assert.deepEqual(await idsOf(app, /ada/).catch(error => error.constructor), FieldError)
})

onEachStore('finding users needs to know which field names them', async (t, { store, calls }) => {
  const app = await aUsersApp(t, store, { user: undefined as never }).catch(error => error)
  if (app instanceof Error) throw app
  calls.length = 0
  await assert.rejects(idsOf(app, 'ada'), { name: 'ConfigurationError', message: /option user/ })
  await assert.rejects(app.sessions.endAll('ada'), ConfigurationError)
  assert.deepEqual(calls, [])
})

onEachStore('a store that cannot find sessions says so', async (t, { store }) => {
  const plain = new Proxy(store, {
    get: (target, name) => (name === 'find' ? undefined : Reflect.get(target, name)),
  })
  const app = await aUsersApp(t, plain)
  await assert.rejects(idsOf(app, 'ada'), { name: 'ConfigurationError', message: /cannot find/ })
})

test('a user may be named by an ObjectId, and at a path', { skip: withoutMongoDB }, async t => {
  const ada = new ObjectId()
  const app = await anApp(t, { user: 'user.id' }, ctx => ctx.session.set('user', { id: ada }))
  app.sessions.collection = aCollection(t)
  await app.sessions.ensureIndex()
  await app.visitor().get('/')
  assert.equal((await idsOf(app, ada)).length, 1)
  assert.deepEqual(await idsOf(app, ada.toHexString()), [])
  assert.equal(await app.sessions.endAll(ada), 1)
})

test('MongoDB finds a user’s sessions through an index', { skip: withoutMongoDB }, async t => {
  const collection = aCollection(t)
  const app = await anApp(t, { user: 'user_id' }, routes)
  app.sessions.collection = collection
  await app.sessions.ensureIndex()
  await app.sessions.ensureIndex()
  // In whatever order the server lists them.
  const names = (await collection.indexes()).map(({ name }) => name).sort()
  assert.deepEqual(names, ['_id_', 'data.user_id_1', 'expires_1'])
  await signedIn(app, 'ada')
  const sent = commandsOf(t, theClient(), collection)
  await idsOf(app, 'ada')
  const [find, ...others] = sent.all
  assert.equal(find?.name, 'find')
  assert.deepEqual(others, [])
  // An equality on the index's field, outside of any $or, which a sparse index serves.
  assert.deepEqual(find?.command.filter['data.user_id'], { $eq: 'ada' })
})

/** A server with a socket at every path, for visitors of `app` who are signed in and come from its own pages. */
async function aSocketServer(t: TestContext, { app, sessions }: RunningApp) {
  const failures: unknown[] = []
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const sockets: Duplex[] = []
  server.on('upgrade', (upgrade: IncomingMessage, socket: Duplex) => {
    sockets.push(socket)
    accept(upgrade, socket).catch(error => {
      failures.push(error)
      socket.destroy()
    })
  })
  const accept = async (upgrade: IncomingMessage, socket: Duplex) => {
    if (upgrade.headers.origin !== url) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const session = await sessions.load(upgrade)
    if (session.isNew) return void socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: lines\r\nConnection: Upgrade\r\n\r\n')
    socket.on('data', async () => {
      const said = await session.inc('lines').then(
        () => `${session.user_id} ${session.lines}`,
        error => error.code,
      )
      socket.write(`${said}\n`)
    })
  }
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { url, failures }
}

interface Upgraded {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  say(line: string): Promise<string>
}

async function upgraded(t: TestContext, url: string, headers: Record<string, string>): Promise<Upgraded> {
  const sent = request(url, { headers: { Connection: 'Upgrade', Upgrade: 'lines', ...headers } }).end()
  const [response, socket] = (await Promise.race([once(sent, 'upgrade'), once(sent, 'response')])) as [
    IncomingMessage,
    Duplex | undefined,
  ]
  t.after(() => sent.destroy())
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    async say(line) {
      socket?.write(line)
      const [answer] = await once(socket as Duplex, 'data')
      return String(answer).trim()
    },
  }
}

onEachStore('a WebSocket’s upgrade has the session of its visitor', async (t, watched) => {
  const app = await aUsersApp(t, watched.store)
  const ada = await signedIn(app, 'ada')
  const { url, failures } = await aSocketServer(t, app)
  const Cookie = `sid=${ada.visitor.jar.get('sid')}`
  const socket = await upgraded(t, url, { Cookie, Origin: url })
  assert.equal(socket.status, 101)
  assert.equal(socket.headers['set-cookie'], undefined)
  assert.equal(await socket.say('hello'), 'ada 1')
  assert.equal(await socket.say('hello'), 'ada 2')
  assert.deepEqual((await ada.visitor.get('/read')).json, { user_id: 'ada', role: 'clerk', lines: 2 })

  // What has ended is over for the open socket too.
  await app.sessions.endAll('ada')
  assert.equal(await socket.say('hello'), 'SESSION_ENDED')
  assert.deepEqual(await watched.records(), [])
  assert.deepEqual(failures, [])
})

onEachStore('an upgrade from elsewhere, or without a live session, can be refused', async (t, watched) => {
  const app = await aUsersApp(t, watched.store)
  const [ada, eve] = [await signedIn(app, 'ada'), await signedIn(app, 'eve')]
  const { url, failures } = await aSocketServer(t, app)
  await app.sessions.end(eve.id)
  const value = ada.visitor.jar.get('sid') ?? ''
  const refused: [status: number, headers: Record<string, string>][] = [
    [403, { Cookie: `sid=${value}`, Origin: 'https://evil.example' }],
    [403, { Cookie: `sid=${value}` }],
    [401, { Origin: url }],
    [401, { Cookie: `sid=${eve.visitor.jar.get('sid')}`, Origin: url }],
    [401, { Cookie: `sid=${value.slice(0, -1)}x`, Origin: url }],
  ]
  watched.calls.length = 0
  for (const [status, headers] of refused) {
    const answer = await upgraded(t, url, headers)
    assert.equal(answer.status, status)
    assert.equal(answer.headers['set-cookie'], undefined)
  }
  // Only the cookie that verifies was looked up.
  assert.deepEqual(watched.calls, ['load'])
  assert.deepEqual(failures, [])
})

onEachStore('a request that Koa does not serve cannot be given a session', async (t, watched: Watched) => {
  const app = await aUsersApp(t, watched.store)
  const session = await app.sessions.load({ headers: {} } as IncomingMessage)
  assert.equal(session.isNew, true)
  const isTold = (error: unknown) =>
    error instanceof HeadersSentError && /load\(request\)/.test(error.message)
  await assert.rejects(Promise.resolve(session.set('a', 1)), isTold)
  await assert.rejects(Promise.resolve(session.regenerate()), isTold)
  assert.throws(() => session.createCSRF(), isTold)
  assert.deepEqual(await watched.records(), [])
})

onEachStore('an open connection does not keep its session alive unless it touches it', async (t, watched) => {
  const app = await aUsersApp(t, watched.store)
  const ada = await signedIn(app, 'ada')
  const [before] = await watched.records()
  const DAY = 24 * 60 * 60 * 1000
  const now = Date.now()
  t.mock.timers.enable({ apis: ['Date'], now: now + 5 * DAY })
  const session = await app.sessions.load({
    headers: { cookie: `sid=${ada.visitor.jar.get('sid')}` },
  } as IncomingMessage)
  await session.set('seen', true)
  assert.deepEqual((await watched.records())[0]?.expires, before?.expires)
  await session.touch()
  assert.equal((await watched.records())[0]?.expires.getTime(), now + 5 * DAY + 14 * DAY)
})
