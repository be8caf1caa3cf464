import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { InvalidCSRFTokenError, SessionEndedError, StoreUnavailableError } from '../../src/index.ts'
import type { Store } from '../../src/store/store.ts'
import { passingOn } from '../../src/store/wrapping.ts'
import { anApp, onEachStore, type Routes } from '../support/frameworks.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const routes: Record<string, Exclude<Routes, Record<string, unknown>>> = {
  '/write': ctx => ctx.session.set('name', 'Ada').then(() => undefined),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/late': ctx => ctx.session.set('late', true),
  '/destroy': ctx => ctx.session.destroy(),
  '/regenerate': async ctx => {
    const session = await ctx.session.regenerate()
    return session.id
  },
  '/form': ctx => ctx.session.createCSRF(),
  '/submit': ctx => ctx.session.assertCSRF(ctx.get('x-csrf-token')),
}

/** An app with a route that stops half way, and a visitor who has a session there. */
async function aVisit(t: TestContext, { store }: Pick<Watched, 'store'>, more: typeof routes = {}) {
  const reached = gate()
  const go = gate()
  const running = await anApp(
    t,
    { store },
    {
      ...routes,
      '/slow': async ctx => {
        const session = await ctx.session()
        reached.open()
        await go.opened
        await session.set('late', true)
      },
      ...more,
    },
  )
  const ada = running.visitor()
  await ada.get('/write')
  return { ...running, ada, reached, go }
}

onEachStore('a session that is destroyed does not answer again', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched)
  const old = ada.twin()
  const { status, setCookies } = await ada.get('/destroy')
  assert.equal(status, 200)
  assert.match(setCookies[0] ?? '', /^sid=; path=\/; expires=Thu, 01 Jan 1970 .*httponly/i)
  assert.equal(ada.jar.size, 0)
  assert.deepEqual((await old.get('/read')).json, {})
  assert.equal((await old.get('/late')).status, 401)
  assert.deepEqual(await watched.records(), [])
  assert.deepEqual((await visitor().get('/read')).json, {})
})

onEachStore('destroying leaves no trace of the data in the store', async (t, watched) => {
  const { ada } = await aVisit(t, watched)
  const [record] = await watched.records()
  await ada.get('/destroy')
  const left = await watched.store.load(record?.id ?? '')
  assert.deepEqual(Object.keys(left ?? {}), ['ended'])
})

onEachStore('destroying twice, or what was never there, is no error', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched, {
    '/twice': async ctx => {
      const session = await ctx.session()
      await Promise.all([session.destroy(), ctx.session.destroy()])
      await session.destroy()
      return { ...session }
    },
  })
  const twin = ada.twin()
  assert.deepEqual((await ada.get('/twice')).json, {})
  assert.equal((await twin.get('/twice')).status, 200)
  const { status, setCookies } = await visitor().get('/destroy')
  assert.equal(status, 200)
  assert.deepEqual(setCookies, [])
})

for (const path of ['/destroy', '/regenerate']) {
  onEachStore(`where a sign-out fails half-way, ${path} does not take it for done`, async (t, { store }) => {
    let isAway = true
    // As with a primary whose replicas are away: the session has ended there, and a failover would bring it back.
    const failing: Store = {
      ...passingOn(store),
      async end(...args) {
        const isEndedByThis = await store.end(...args)
        if (isAway) throw new StoreUnavailableError('no replica has confirmed it', 'unknown')
        return isEndedByThis
      },
    }
    const { ada } = await aVisit(
      t,
      { store: failing },
      {
        '/loaded': async ctx => {
          const session = await ctx.session()
          await (path === '/destroy' ? session.destroy() : session.regenerate())
        },
      },
    )
    const readFirst = () => ada.get('/loaded')
    const failed = [await ada.get('/destroy'), await readFirst(), await readFirst()]
    assert.deepEqual(
      failed.map(({ status }) => status),
      [503, 503, 503],
    )
    isAway = false
    assert.equal((await readFirst()).status, 200)
  })
}

onEachStore('a change after destroy() in the same request is refused', async (t, watched) => {
  const { ada } = await aVisit(t, watched, {
    '/both': async ctx => {
      await ctx.session.destroy()
      await ctx.session.set('name', 'Eve')
    },
  })
  assert.equal((await ada.get('/both')).status, 401)
  assert.deepEqual(await watched.records(), [])
})

for (const end of ['/destroy', '/regenerate']) {
  onEachStore(`a request overtaken by ${end} is refused and revives nothing`, async (t, watched) => {
    const { ada, reached, go, errors } = await aVisit(t, watched)
    const late = ada.twin()
    const answer = late.get('/slow')
    await reached.opened
    await ada.get(end)
    go.open()
    const { status, text, setCookies } = await answer
    assert.equal(status, 401)
    assert.equal(text, 'The session has ended; sign in again')
    assert.deepEqual(setCookies, [])
    // Koa reports what it does not show; this it shows.
    assert.ok(errors.every(error => error instanceof SessionEndedError))
    const left = await watched.records()
    assert.deepEqual(
      left.map(({ fields }) => fields),
      end === '/destroy' ? [] : [{}],
    )
  })
}

onEachStore('after a hundred races of a write with a sign-out nothing is left', async (t, watched) => {
  const { visitor } = await aVisit(t, watched)
  await watched.expire()
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      const ada = visitor()
      await ada.get('/write')
      const twin = ada.twin()
      const [write] = await Promise.all([twin.get('/late'), ada.get('/destroy')])
      assert.ok(write.status === 200 || write.status === 401, String(write.status))
      assert.deepEqual((await twin.get('/read')).json, {})
    }),
  )
  assert.deepEqual(await watched.records(), [])
})

onEachStore('regenerating gives a new id, and the old cookie is worth nothing', async (t, watched) => {
  const { ada } = await aVisit(t, watched)
  const old = ada.twin()
  const [before] = await watched.records()
  const id = (await ada.get('/regenerate')).json
  assert.notEqual(id, before?.id)
  assert.notEqual(ada.jar.get('sid')?.slice(0, 40), old.jar.get('sid')?.slice(0, 40))
  assert.deepEqual((await ada.get('/read')).json, {})
  assert.deepEqual((await old.get('/read')).json, {})
  assert.equal((await old.get('/late')).status, 401)
  assert.deepEqual(
    (await watched.records()).map(record => record.id),
    [id],
  )
})

onEachStore('regenerating keeps what it is told to', async (t, watched) => {
  const { visitor } = await aVisit(t, watched, {
    '/fill': ctx => ctx.session.set({ name: 'Ada', cart: { total: 1, lines: [1] }, views: 3 }),
    '/keep': async ctx => {
      const keep = { all: true, none: false, some: ['name', 'cart.lines', 'nothing'] }
      const chosen = keep[String(ctx.query.what) as keyof typeof keep] as never
      const session = ctx.query.loaded ? await ctx.session() : ctx.session
      return { ...(await session.regenerate({ keep: chosen })) }
    },
  })
  const kept = {
    all: { name: 'Ada', cart: { total: 1, lines: [1] }, views: 3 },
    none: {},
    some: { name: 'Ada', cart: { lines: [1] } },
  }
  for (const [what, fields] of Object.entries(kept)) {
    for (const loaded of ['', '1']) {
      const eve = visitor()
      await eve.get('/fill')
      assert.deepEqual((await eve.get(`/keep?what=${what}&loaded=${loaded}`)).json, fields, what)
      assert.deepEqual((await eve.get('/read')).json, fields, what)
    }
  }
})

onEachStore('what was written before and after a regeneration is under the last id', async (t, watched) => {
  const { visitor } = await aVisit(t, watched, {
    '/twice': async ctx => {
      const session = await ctx.session()
      await session.set('one', 1)
      await session.regenerate({ keep: true })
      session.set('two', 2)
      await session.regenerate({ keep: true })
      await session.set('three', 3)
      return session.id
    },
  })
  await watched.expire()
  const eve = visitor()
  const id = (await eve.get('/twice')).json
  const records = await watched.records()
  assert.deepEqual(
    records.map(record => [record.id, record.fields]),
    [[id, { one: 1, two: 2, three: 3 }]],
  )
})

onEachStore('a change acknowledged while a session is regenerated is carried over', async (t, watched) => {
  const reached = gate()
  const go = gate()
  const { ada } = await aVisit(t, watched, {
    '/rotate': async ctx => {
      const session = await ctx.session()
      reached.open()
      await go.opened
      return { ...(await session.regenerate({ keep: true })) }
    },
  })
  const answer = ada.twin().get('/rotate')
  await reached.opened
  assert.equal((await ada.get('/late')).status, 200)
  go.open()
  assert.deepEqual((await answer).json, { name: 'Ada', late: true })
  assert.deepEqual(
    (await watched.records()).map(record => record.fields),
    [{ name: 'Ada', late: true }],
  )
})

onEachStore('of many requests that regenerate at once one carries the data over', async (t, watched) => {
  const { ada } = await aVisit(t, watched, {
    '/rotate': async ctx => ({ ...(await ctx.session.regenerate({ keep: true })) }),
  })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ada.twin().get('/rotate')))
  for (const { status } of answers) assert.ok(status === 200 || status === 401, String(status))
  const carried = (await watched.records()).filter(({ fields }) => 'name' in fields)
  assert.equal(carried.length, 1)
})

onEachStore('a visitor without a session may regenerate', async (t, watched) => {
  const { visitor } = await anApp(t, { store: watched.store }, routes)
  const { status, json, setCookies } = await visitor().get('/regenerate')
  assert.equal(status, 200)
  assert.equal(setCookies.length, 1)
  assert.deepEqual(
    (await watched.records()).map(record => record.id),
    [json],
  )
})

onEachStore('who comes with an ended cookie reads nothing, and may sign in anew', async (t, watched) => {
  const { ada } = await aVisit(t, watched)
  const old = ada.twin()
  await ada.get('/destroy')
  const read = await old.get('/read')
  assert.deepEqual(read.json, {})
  // The visitor may have been given a newer one.
  assert.deepEqual(read.setCookies, [])
  assert.equal((await old.get('/late')).status, 401)
  assert.equal((await old.get('/regenerate')).status, 200)
  assert.equal((await old.get('/late')).status, 200)
  assert.deepEqual((await old.get('/read')).json, { late: true })
})

onEachStore('an expired session does not exist', async (t, watched) => {
  const { ada } = await aVisit(t, watched)
  await watched.expire()
  const { status, json, setCookies } = await ada.twin().get('/read')
  assert.equal(status, 200)
  assert.deepEqual(json, {})
  assert.deepEqual(setCookies, [])

  const [before] = await watched.records()
  assert.equal(before, undefined)
  const written = await ada.get('/late')
  assert.equal(written.status, 200)
  assert.equal(written.setCookies.length, 1)
  const records = await watched.records()
  assert.deepEqual(
    records.map(({ fields }) => fields),
    [{ late: true }],
  )
})

onEachStore('a session is there until its end and not after it', async (t, watched) => {
  const { ada } = await aVisit(t, watched)
  const start = (await watched.records())[0]?.expires.getTime() ?? 0
  t.mock.timers.enable({ apis: ['Date'], now: start - 1 })
  const { json } = await ada.get('/read', { Cookie: `sid=${ada.jar.get('sid')}` })
  assert.deepEqual(json, { name: 'Ada' })
  const [extended] = await watched.records()
  t.mock.timers.setTime(extended?.expires.getTime() ?? 0)
  assert.deepEqual((await ada.get('/read')).json, {})
})

onEachStore('a request overtaken by the end of its session is refused', async (t, watched) => {
  const { ada, reached, go } = await aVisit(t, watched)
  const answer = ada.twin().get('/slow')
  await reached.opened
  await watched.expire()
  go.open()
  assert.equal((await answer).status, 401)
  assert.deepEqual(await watched.records(), [])
})

onEachStore(
  'a cookie that the store does not know stays until something is written, which replaces it',
  async (t, watched) => {
    const { ada } = await aVisit(t, watched)
    const [record] = await watched.records()
    await watched.store.delete(record?.id ?? '')
    assert.deepEqual((await ada.get('/read')).setCookies, [])
    const { status, setCookies } = await ada.get('/late')
    assert.equal(status, 200)
    assert.equal(setCookies.length, 1)
    assert.deepEqual((await ada.get('/read')).json, { late: true })
  },
)

onEachStore('touch(maxAge) gives a session a lifetime of its own', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched, {
    '/remember': async ctx => {
      const session = await ctx.session()
      await session.touch('30 days')
      await session.set('remembered', true)
      return session.maxAge
    },
  })
  const days30 = 30 * 24 * 60 * 60 * 1000
  assert.equal((await ada.get('/remember')).json, days30)
  const eve = visitor()
  const { json, setCookies } = await eve.get('/remember')
  assert.equal(json, days30)
  const until = Date.parse(/expires=([^;]+)/i.exec(setCookies[0] ?? '')?.[1] ?? '')
  assert.ok(Math.abs(until - Date.now() - days30) < 10_000)
  assert.deepEqual(
    (await watched.records()).map(({ maxAge }) => maxAge),
    [days30, days30],
  )
})

onEachStore('a session tells what it is', async (t, watched) => {
  const { visitor } = await anApp(t, { store: watched.store }, async ctx => {
    const session = await ctx.session()
    const before = [session.id ?? null, session.isNew, session.maxAge]
    await session.set('a', 1)
    return [before, [session.id, session.isNew, session.maxAge], session.created, session.expires]
  })
  const { json } = await visitor().get('/')
  const [record] = await watched.records()
  const days14 = 14 * 24 * 60 * 60 * 1000
  assert.deepEqual(json, [
    [null, true, days14],
    [record?.id, false, days14],
    record?.created.toISOString(),
    record?.expires.toISOString(),
  ])
})

onEachStore('a CSRF token of this session is accepted, as often as it is sent', async (t, watched) => {
  const { ada } = await aVisit(t, watched)
  watched.calls.length = 0
  const one = (await ada.get('/form')).json as string
  const two = (await ada.get('/form')).json as string
  assert.notEqual(one, two)
  for (const token of [one, two, one]) {
    assert.equal((await ada.get('/submit', { 'x-csrf-token': token })).status, 200)
  }
  assert.deepEqual(watched.calls, [])
})

onEachStore('a CSRF token of no or another session is refused', async (t, watched) => {
  const { ada, visitor } = await aVisit(t, watched, {
    '/odd': async ctx => {
      for (const token of [
        undefined,
        null,
        42,
        true,
        [],
        {},
        ['a'],
        '',
        '\0',
        'é'.repeat(65),
        'a'.repeat(10_000),
      ]) {
        assert.throws(() => ctx.session.assertCSRF(token), InvalidCSRFTokenError)
      }
    },
  })
  const eve = visitor()
  await eve.get('/write')
  const token = (await ada.get('/form')).json as string
  const foreign = (await eve.get('/form')).json as string
  for (const wrong of [
    '',
    foreign,
    token.slice(0, -1),
    `${token}A`,
    token.toUpperCase(),
    foreign.slice(0, 22) + token.slice(22),
  ]) {
    const { status, text } = await ada.get('/submit', { 'x-csrf-token': wrong })
    assert.equal(status, 403, wrong)
    assert.equal(text, 'Invalid CSRF token')
  }
  assert.equal((await visitor().get('/submit', { 'x-csrf-token': token })).status, 403)
  assert.equal((await ada.get('/odd')).status, 200)
  for (let at = 0; at < token.length; at++) {
    const altered = token.slice(0, at) + (token[at] === 'a' ? 'b' : 'a') + token.slice(at + 1)
    assert.equal((await ada.get('/submit', { 'x-csrf-token': altered })).status, 403)
  }
})

onEachStore('a new visitor who is given a CSRF token gets a session for it', async (t, watched) => {
  const { visitor } = await anApp(t, { store: watched.store }, routes)
  const ada = visitor()
  const { json, setCookies } = await ada.get('/form')
  assert.equal(setCookies.length, 1)
  assert.equal((await watched.records()).length, 1)
  assert.equal((await ada.get('/submit', { 'x-csrf-token': json as string })).status, 200)
  assert.equal((await ada.get('/late')).status, 200)
  assert.equal((await ada.get('/submit', { 'x-csrf-token': json as string })).status, 200)
  assert.equal((await watched.records()).length, 1)
})

onEachStore('a CSRF token and a write of a new visitor belong to one session', async (t, watched) => {
  const { visitor } = await anApp(
    t,
    { store: watched.store },
    {
      ...routes,
      '/before': async ctx => {
        ctx.session.set('name', 'Ada')
        return ctx.session.createCSRF()
      },
      '/after': async ctx => {
        const csrf = ctx.session.createCSRF()
        await ctx.session.set('name', 'Ada')
        return csrf
      },
    },
  )
  for (const path of ['/before', '/after']) {
    const ada = visitor()
    const { json, setCookies } = await ada.get(path)
    assert.equal(setCookies.length, 1)
    assert.equal((await ada.get('/submit', { 'x-csrf-token': json as string })).status, 200, path)
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  }
  assert.equal((await watched.records()).length, 2)
})

onEachStore('a new id makes old CSRF tokens worthless', async (t, watched) => {
  const { ada } = await aVisit(t, watched)
  const token = (await ada.get('/form')).json as string
  await ada.get('/regenerate')
  assert.equal((await ada.get('/submit', { 'x-csrf-token': token })).status, 403)
  const fresh = (await ada.get('/form')).json as string
  assert.equal((await ada.get('/submit', { 'x-csrf-token': fresh })).status, 200)
})

onEachStore('destroy() and regenerate() that nobody awaits are waited for', async (t, watched) => {
  const { ada } = await aVisit(t, watched, {
    '/regenerate': ctx => {
      ctx.session.regenerate()
    },
    '/destroy': ctx => {
      ctx.session.destroy()
    },
  })
  assert.equal((await ada.get('/regenerate')).setCookies.length, 1)
  assert.equal((await watched.records()).length, 1)
  assert.equal((await ada.get('/destroy')).setCookies.length, 1)
  assert.deepEqual(await watched.records(), [])
})

onEachStore('destroy() that nobody awaits fails the request when it fails', async (t, watched) => {
  const store = altered(watched.store, name => {
    if (name === 'end') throw new StoreUnavailableError('down', 'none')
  })
  const { ada, errors } = await aVisit(
    t,
    { store },
    {
      '/unawaited': ctx => {
        ctx.session.destroy()
      },
      '/handled': ctx => {
        ctx.session.destroy().catch(() => {})
      },
    },
  )
  const { status, setCookies } = await ada.get('/unawaited')
  assert.equal(status, 503)
  assert.deepEqual(setCookies, [])
  assert.ok(errors.pop() instanceof StoreUnavailableError)
  assert.equal((await ada.get('/handled')).status, 200)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
})

onEachStore('what ends a session comes after the changes begun before it', async (t, watched) => {
  const { visitor } = await anApp(
    t,
    { store: watched.store },
    {
      ...routes,
      '/end': async ctx => {
        ctx.session.set('a', 1)
        await ctx.session.destroy()
      },
      '/renew': async ctx => {
        ctx.session.set('a', 1)
        return { ...(await ctx.session.regenerate({ keep: true })) }
      },
    },
  )
  const { status } = await visitor().get('/end')
  assert.equal(status, 200)
  assert.deepEqual(await watched.records(), [])
  assert.deepEqual((await visitor().get('/renew')).json, { a: 1 })
  assert.equal((await watched.records()).length, 1)
})

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { opened, open }
}
