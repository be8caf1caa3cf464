import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import {
  CommandError,
  ConfigurationError,
  FieldError,
  SessionEndedError,
  SessionTooLargeError,
} from '../../src/index.ts'
import { type AppOptions, anApp, type Handler, onEachStore } from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import { lifecycle } from '../support/lifecycle.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const DAY = 24 * 60 * 60 * 1000

const routes: Record<string, Handler> = {
  '/shop': ctx => ctx.session.set({ cart: ['tea'], theme: 'dark', n: 1 }),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write': ctx => ctx.session.set('late', true),
  '/sign-in': async ctx => {
    const set = { user_id: String(ctx.query.as) }
    const session = await ctx.session.regenerate({ keep: ['cart'], set, maxAge: '30 days' })
    return { id: session.id, isNew: session.isNew, maxAge: session.maxAge, fields: { ...session } }
  },
  '/sign-in-anew': async ctx => ({ ...(await ctx.session.regenerate({ set: { user_id: 'ada' } })) }),
}

/** Somebody with a cart, who has not signed in. */
async function aShopper(
  t: TestContext,
  { store }: Pick<Watched, 'store'>,
  more: typeof routes = {},
  options: AppOptions = {},
) {
  const app = await anApp(t, { store, user: 'user_id', ...options }, { ...routes, ...more })
  const ada = app.visitor()
  await ada.get('/shop')
  return { ...app, ada }
}

onEachStore('signing in, with a cart that is kept, is three calls to the store', async (t, watched) => {
  const { ada } = await aShopper(t, watched)
  watched.calls.length = 0
  assert.equal((await ada.get('/sign-in?as=ada')).status, 200)
  assert.deepEqual(watched.calls, ['load', 'insert', 'end'])
})

onEachStore(
  'signing in is two calls where nothing is kept, and one for a new visitor',
  async (t, watched) => {
    const { ada, visitor } = await aShopper(t, watched)
    watched.calls.length = 0
    assert.equal((await ada.get('/sign-in-anew')).status, 200)
    assert.deepEqual(watched.calls.splice(0), ['insert', 'end'])
    assert.equal((await visitor().get('/sign-in?as=ada')).status, 200)
    assert.deepEqual(watched.calls, ['insert'])
  },
)

onEachStore('who signs in is signed in from the new session’s first moment', async (t, watched) => {
  const { ada } = await aShopper(t, watched)
  const [before] = await watched.records()
  const events = lifecycle(t)
  const { json, setCookies } = await ada.get('/sign-in?as=ada')
  const records = await watched.records()
  assert.deepEqual(
    records.map(({ fields, maxAge, rev }) => ({ fields, maxAge, rev })),
    [{ fields: { cart: ['tea'], user_id: 'ada' }, maxAge: 30 * DAY, rev: 1 }],
  )
  const [record] = records
  assert.equal((record?.expires.getTime() ?? 0) - (record?.created.getTime() ?? 0), 30 * DAY)
  assert.deepEqual(json, {
    id: record?.id,
    isNew: false,
    maxAge: 30 * DAY,
    fields: { cart: ['tea'], user_id: 'ada' },
  })
  assert.equal(setCookies.length, 1)
  const until = Date.parse(/expires=([^;]+)/i.exec(setCookies[0] ?? '')?.[1] ?? '')
  assert.ok(Math.abs(until - Date.now() - 30 * DAY) < 10_000)
  assert.deepEqual(events, [{ type: 'regenerated', id: record?.id, former: before?.id }])
  assert.deepEqual((await ada.get('/read')).json, { cart: ['tea'], user_id: 'ada' })
})

onEachStore('no moment shows the new session without its user', async (t, watched) => {
  const seen: unknown[] = []
  const store = altered(watched.store, async name => {
    if (name === 'end') for (const { fields } of await watched.records()) seen.push(fields.user_id)
  })
  const { ada } = await aShopper(t, { store })
  await ada.get('/sign-in?as=ada')
  assert.deepEqual(seen, [undefined, 'ada'])
})

onEachStore(
  'a user who has just signed in is found by name, and signed out everywhere',
  async (t, watched) => {
    const { ada, sessions } = await aShopper(t, watched)
    await sessions.ensureIndex()
    const { json } = await ada.get('/sign-in?as=ada')
    const found: unknown[] = []
    for await (const { id, fields } of sessions.find('ada')) found.push([id, fields])
    assert.deepEqual(found, [[(json as { id: string }).id, { cart: ['tea'], user_id: 'ada' }]])
    assert.equal(await sessions.endAll('ada'), 1)
    assert.deepEqual((await ada.get('/read')).json, {})
  },
)

onEachStore('what is set wins over what is kept, and a name may be a path', async (t, watched) => {
  const { visitor } = await aShopper(t, watched, {
    '/fill': ctx => ctx.session.set({ theme: 'dark', n: 1, cart: { total: 12, lines: ['tea', 'rum'] } }),
    '/all': async ctx => ({
      ...(await ctx.session.regenerate({
        keep: true,
        set: { theme: 'light', 'cart.total': 0, 'cart.lines.0': 'oat', 'prefs.lang': 'en' },
      })),
    }),
    '/some': async ctx => {
      const session = await ctx.session()
      await session.regenerate({ keep: ['cart'], set: { cart: { total: 1 } } })
      return { ...session }
    },
  })
  for (const [path, fields] of [
    ['/all', { theme: 'light', n: 1, cart: { total: 0, lines: ['oat', 'rum'] }, prefs: { lang: 'en' } }],
    ['/some', { cart: { total: 1 } }],
  ] as const) {
    const eve = visitor()
    await eve.get('/fill')
    assert.deepEqual((await eve.get(path)).json, fields)
    assert.deepEqual((await eve.get('/read')).json, fields)
  }
})

onEachStore(
  'values that a store gives back in another form are shown as it gives them',
  async (t, watched) => {
    const { ada } = await aShopper(t, watched, {
      '/bytes': async ctx => {
        const set = { key: Buffer.from('abc'), big: 5n, at: new Date(5) }
        const { key, big, at } = await ctx.session.regenerate({ set })
        return [Buffer.from(key.buffer).toString(), big, at]
      },
      '/rotate': async ctx => {
        const { key } = await ctx.session.regenerate({ keep: true })
        return Buffer.from(key.buffer).toString()
      },
    })
    assert.deepEqual((await ada.get('/bytes')).json, ['abc', 5, new Date(5).toISOString()])
    watched.calls.length = 0
    assert.equal((await ada.get('/rotate')).json, 'abc')
    assert.deepEqual(watched.calls, ['load', 'insert', 'end'])
  },
)

onEachStore('what was given at the call is what is set, whatever becomes of it', async (t, watched) => {
  const { ada } = await aShopper(t, watched, {
    '/alter': async ctx => {
      ctx.session.inc('n')
      const keep = ['cart']
      const set = { list: ['one'], at: new Date(1000) }
      const options = { keep, set }
      const regenerated = ctx.session.regenerate(options)
      keep.push('theme')
      set.list.push('two')
      set.at.setTime(0)
      options.set = { list: [], at: new Date(0) }
      return { ...(await regenerated) }
    },
  })
  assert.deepEqual((await ada.get('/alter')).json, {
    cart: ['tea'],
    list: ['one'],
    at: new Date(1000).toISOString(),
  })
})

onEachStore(
  'a lifetime that is asked for is the session’s own, and ends by the limit',
  async (t, watched) => {
    const { visitor } = await aShopper(
      t,
      watched,
      {
        '/remember': async ctx => (await ctx.session.regenerate({ maxAge: '30 days' })).maxAge,
        '/forget': async ctx => (await ctx.session.regenerate({ keep: true, maxAge: 60_000 })).maxAge,
        '/rotate': async ctx => (await ctx.session.regenerate({ keep: true })).maxAge,
        '/usual': async ctx => (await ctx.session.regenerate()).maxAge,
      },
      { maxAge: '2 hours', absoluteMaxAge: '1 day' },
    )
    const eve = visitor()
    for (const [path, maxAge] of [
      ['/remember', 30 * DAY],
      ['/rotate', 30 * DAY],
      ['/forget', 60_000],
      ['/rotate', 60_000],
      ['/usual', DAY / 12],
    ] as const) {
      assert.equal((await eve.get(path)).json, maxAge, path)
      const record = (await watched.records()).at(-1)
      assert.equal(record?.maxAge, maxAge)
      const life = (record?.expires.getTime() ?? 0) - (record?.created.getTime() ?? 0)
      assert.ok(life <= DAY, String(life))
    }
  },
)

onEachStore(
  'a sign-in that would be too large is refused, and the old session is as it was',
  async (t, watched) => {
    const { ada } = await aShopper(
      t,
      watched,
      {
        '/large': async ctx => {
          for (const keep of [undefined, true, ['cart']] as const) {
            await assert.rejects(
              ctx.session.regenerate({ ...(keep && { keep }), set: { text: 'x'.repeat(1000) } }),
              SessionTooLargeError,
            )
          }
        },
        '/smaller': async ctx => Object.keys(await ctx.session.regenerate({ keep: true, set: { text: '' } })),
        '/fill': ctx => ctx.session.set('text', 'x'.repeat(900)),
      },
      { maxSize: 1000 },
    )
    const before = await watched.records()
    const { status, setCookies } = await ada.get('/large')
    assert.equal(status, 200)
    assert.deepEqual(setCookies, [])
    assert.deepEqual(await watched.records(), before)
    assert.equal((await ada.get('/write')).status, 200)
    // One that was allowed to become larger may become smaller.
    await ada.get('/fill')
    const narrow = await anApp(
      t,
      { store: watched.store, maxSize: 100 },
      { '/smaller': ctx => ctx.session.regenerate({ keep: true, set: { text: '' } }) },
    )
    const twin = narrow.visitor().withCookiesOf(ada)
    assert.equal((await twin.get('/smaller')).status, 200)
  },
)

onEachStore('what cannot be set is refused before anything is sent', async (t, watched) => {
  const { ada } = await aShopper(t, watched, {
    '/wrong': async ctx => {
      const wrong: [unknown, new (...args: never[]) => Error][] = [
        [{ set: { destroy: 1 } }, FieldError],
        [{ set: { _id: 1 } }, FieldError],
        [{ set: { a: undefined } }, FieldError],
        [{ set: { a: () => {} } }, FieldError],
        [{ set: { 'a.b': 1, a: {} } }, FieldError],
        [{ set: JSON.parse('{ "__proto__": 1 }') }, FieldError],
        [{ set: 'user_id' }, FieldError],
        [{ set: ['user_id', 'ada'] }, FieldError],
        [{ set: new Map([['user_id', 'ada']]) }, FieldError],
        [{ set: null }, ConfigurationError],
        [{ keep: null }, ConfigurationError],
        [{ keep: 'cart' }, FieldError],
        [{ keep: ['_once'] }, FieldError],
        [{ maxAge: 'banana' }, ConfigurationError],
        [{ maxAge: 0 }, ConfigurationError],
        [{ maxAge: {} }, ConfigurationError],
        [{ keep: true, grace: {} }, ConfigurationError],
        // The old cookie would lead to the new privilege.
        [{ keep: true, grace: '30s', set: { user_id: 'ada' } }, FieldError],
        [{ keep: true, grace: '30s', maxAge: '1 day' }, FieldError],
        [{ keeep: true }, ConfigurationError],
        [{ Set: { user_id: 'ada' } }, ConfigurationError],
        [null, ConfigurationError],
        [[], ConfigurationError],
        ['cart', ConfigurationError],
        [
          new (class {
            keep = true
          })(),
          ConfigurationError,
        ],
      ]
      const session = await ctx.session()
      watched.calls.length = 0
      for (const [options, kind] of wrong) {
        await assert.rejects(session.regenerate(options as object), kind)
        await assert.rejects(ctx.session.regenerate(options as object), kind)
      }
      await assert.rejects(ctx.session.regenerate({ keeep: true } as object), /"keeep"; did you mean "keep"/)
      assert.deepEqual(watched.calls, [])
    },
    '/blocked': async ctx => {
      await assert.rejects(ctx.session.regenerate({ keep: true, set: { 'theme.dark': true } }), CommandError)
    },
  })
  const before = await watched.records()
  for (const path of ['/wrong', '/blocked']) {
    const { status, text, setCookies } = await ada.get(path)
    assert.equal(status, 200, text)
    assert.deepEqual(setCookies, [])
    assert.deepEqual(await watched.records(), before)
  }
})

onEachStore('a callback is refused at the call, so that nobody waits for it', async (t, watched) => {
  const { ada, errors } = await aShopper(t, watched, {
    // As express-session has it, and whoever is used to it.
    '/callback': ctx =>
      new Promise<void>((resolve, reject) => {
        const done = (error?: unknown) => (error ? reject(error) : resolve())
        ctx.session.regenerate(done as object)
      }),
    '/second': async ctx => {
      const session = await ctx.session()
      const regenerate = session.regenerate as (...args: unknown[]) => unknown
      assert.throws(() => regenerate({ keep: true }, () => {}), /returns a promise/)
    },
  })
  const before = await watched.records()
  assert.equal((await ada.get('/callback')).status, 500)
  assert.match(String(errors.pop()), /regenerate\(\) returns a promise and takes no callback/)
  assert.equal((await ada.get('/second')).status, 200)
  assert.deepEqual(await watched.records(), before)
})

onEachStore(
  'who signs in a second time with one cookie is told that there is nothing to keep, and may sign in anew',
  async (t, watched) => {
    const { ada } = await aShopper(t, watched, {
      '/sign-in-twice': async ctx => {
        for (const keep of [['cart'], true]) {
          await assert.rejects(ctx.session.regenerate({ keep, set: { user_id: 'ada' } }), SessionEndedError)
        }
        return { ...(await ctx.session.regenerate({ set: { user_id: 'ada' } })) }
      },
    })
    const twin = ada.twin()
    await ada.get('/sign-in?as=ada')
    const refused = await twin.get('/sign-in?as=ada')
    assert.equal(refused.status, 401)
    // The cookie that has the cart stays where it is.
    assert.deepEqual(refused.setCookies, [])
    assert.deepEqual((await ada.get('/read')).json, { cart: ['tea'], user_id: 'ada' })
    assert.deepEqual((await twin.get('/sign-in-twice')).json, { user_id: 'ada' })
    assert.deepEqual((await twin.get('/read')).json, { user_id: 'ada' })
  },
)

onEachStore(
  'of 20 sign-ins at once with one cookie one has the cart, and the others are told',
  async (t, watched) => {
    const { ada } = await aShopper(t, watched, {
      '/either': async ctx => {
        const set = { user_id: 'ada' }
        try {
          return { ...(await ctx.session.regenerate({ keep: ['cart'], set })) }
        } catch (error) {
          assert.ok(error instanceof SessionEndedError)
          return { ...(await ctx.session.regenerate({ set })), anew: true }
        }
      },
    })
    const twins = Array.from({ length: 20 }, () => ada.twin())
    const answers = await Promise.all(twins.map(twin => twin.get('/either')))
    const told = answers.map(({ json }) => json as { cart?: unknown; anew?: boolean })
    assert.equal(told.filter(({ cart }) => cart !== undefined).length, 1)
    assert.equal(told.filter(({ anew }) => anew).length, 19)
    for (const [at, twin] of twins.entries()) {
      const { anew, ...fields } = told[at] ?? {}
      assert.deepEqual((await twin.get('/read')).json, fields, String(anew))
    }
  },
)

for (const keep of [true, ['cart'], [], false]) {
  onEachStore(
    `a session that ends before ${JSON.stringify(keep)} of it is kept is told of, and then signed in anew`,
    async (t, watched) => {
      const [one, other, go] = [gate(), gate(), gate()]
      const { ada } = await aShopper(t, watched, {
        '/slow': async ctx => {
          const session = await ctx.session()
          one.open()
          await go.opened
          await session.regenerate({ keep, set: { user_id: 'ada' } })
        },
        '/slow-anew': async ctx => {
          const session = await ctx.session()
          other.open()
          await go.opened
          await assert.rejects(session.regenerate({ keep, set: { user_id: 'ada' } }), SessionEndedError)
          await session.regenerate({ set: { user_id: 'ada' } })
          return { ...session }
        },
      })
      const answers = [ada.twin().get('/slow'), ada.twin().get('/slow-anew')]
      await Promise.all([one.opened, other.opened])
      await ada.get('/sign-in?as=eve')
      go.open()
      const [refused, anew] = await Promise.all(answers)
      assert.equal(refused?.status, 401)
      assert.deepEqual(refused?.setCookies, [])
      assert.deepEqual(anew?.json, { user_id: 'ada' })
      assert.equal(anew?.setCookies.length, 1)
      assert.deepEqual(
        (await watched.records()).map(({ fields }) => fields),
        [{ cart: ['tea'], user_id: 'eve' }, { user_id: 'ada' }],
      )
    },
  )
}

onEachStore(
  'what is put into the cart while its owner signs in is in the cart, or refused',
  async (t, watched) => {
    const { ada } = await aShopper(t, watched, {
      '/add': ctx => ctx.session.push('cart', Number(ctx.query.n)),
    })
    const twins = Array.from({ length: 40 }, () => ada.twin())
    const signingIn = ada.twin()
    const [signedIn, ...added] = await Promise.all([
      signingIn.get('/sign-in?as=ada'),
      ...twins.map((twin, n) => twin.get(`/add?n=${n}`)),
    ])
    assert.equal(signedIn.status, 200)
    const { cart, user_id } = (await signingIn.get('/read')).json as { cart: unknown[]; user_id: string }
    assert.equal(user_id, 'ada')
    const acknowledged = added.flatMap(({ status }, n) => (status === 200 ? n : []))
    assert.ok(added.every(({ status }) => status === 200 || status === 401))
    assert.deepEqual(new Set(cart), new Set(['tea', ...acknowledged]))
    assert.equal(cart.length, acknowledged.length + 1)
  },
)

onEachStore('an expired session leaves nothing to keep, and signing in goes on', async (t, watched) => {
  const { ada } = await aShopper(t, watched)
  await watched.expire()
  const { status, json } = await ada.get('/sign-in?as=ada')
  assert.equal(status, 200)
  assert.deepEqual((json as { fields: unknown }).fields, { user_id: 'ada' })
})
