import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { CommandError, FieldError, type SessionHandle } from '../../src/index.ts'
import { anApp, type Handler, onEachStore } from '../support/frameworks.ts'
import { altered, type Watched } from '../support/watchedstore.ts'

const before = { name: 'Ada', views: 1, tags: ['tea', 'milk', 'tea'], sizes: [1, 2, 3, 4] }

interface Case {
  command: string
  /** The handle and a loaded session have the same commands, of other types. */
  run: (session: SessionHandle) => PromiseLike<unknown>
  after: Record<string, unknown>
  /** What the handle resolves to: the fields touched. */
  touched: Record<string, unknown>
}

const cases: Case[] = [
  {
    command: 'set',
    run: session => session.set('cart.total', 12),
    after: { ...before, cart: { total: 12 } },
    touched: { cart: { total: 12 } },
  },
  {
    command: 'set with several fields',
    run: session => session.set({ name: 'Eve', 'cart.total': 5 }),
    after: { ...before, name: 'Eve', cart: { total: 5 } },
    touched: { name: 'Eve', cart: { total: 5 } },
  },
  {
    command: 'set of an element',
    run: session => session.set(['tags', 1], 'rum'),
    after: { ...before, tags: ['tea', 'rum', 'tea'] },
    touched: { tags: ['tea', 'rum', 'tea'] },
  },
  {
    command: 'unset',
    run: session => session.unset('name', 'views', 'nothing'),
    after: { tags: before.tags, sizes: before.sizes },
    touched: {},
  },
  {
    command: 'rename',
    run: session => session.rename('name', 'first_name'),
    after: { views: 1, tags: before.tags, sizes: before.sizes, first_name: 'Ada' },
    touched: { first_name: 'Ada' },
  },
  {
    command: 'inc',
    run: session => session.inc('views').inc('credits', -5),
    after: { ...before, views: 2, credits: -5 },
    touched: { views: 2, credits: -5 },
  },
  {
    command: 'push',
    run: session => session.push('tags', 'rum').push('list', { sku: 7 }),
    after: { ...before, tags: ['tea', 'milk', 'tea', 'rum'], list: [{ sku: 7 }] },
    touched: { tags: ['tea', 'milk', 'tea', 'rum'], list: [{ sku: 7 }] },
  },
  {
    command: 'push with a slice',
    run: session => session.push('sizes', 5, { slice: -2 }),
    after: { ...before, sizes: [4, 5] },
    touched: { sizes: [4, 5] },
  },
  {
    command: 'pushAll',
    run: session => session.pushAll('sizes', [5, 6]),
    after: { ...before, sizes: [1, 2, 3, 4, 5, 6] },
    touched: { sizes: [1, 2, 3, 4, 5, 6] },
  },
  {
    command: 'pull',
    run: session => session.pull('tags', 'tea'),
    after: { ...before, tags: ['milk'] },
    touched: { tags: ['milk'] },
  },
  {
    command: 'pull with a comparator',
    run: session => session.pull('sizes', '>=', 3),
    after: { ...before, sizes: [1, 2] },
    touched: { sizes: [1, 2] },
  },
  {
    command: 'pullAll',
    run: session => session.pullAll('sizes', [1, 4]),
    after: { ...before, sizes: [2, 3] },
    touched: { sizes: [2, 3] },
  },
  {
    command: 'addToSet',
    run: session => session.addToSet('tags', 'milk', 'rum', 'rum'),
    after: { ...before, tags: ['tea', 'milk', 'tea', 'rum'] },
    touched: { tags: ['tea', 'milk', 'tea', 'rum'] },
  },
  {
    command: 'pop',
    run: session => session.pop('sizes').pop('tags', -1),
    after: { ...before, sizes: [1, 2, 3], tags: ['milk', 'tea'] },
    touched: { sizes: [1, 2, 3], tags: ['milk', 'tea'] },
  },
]

const dump: Handler = async ctx => ({ ...(await ctx.session()) })

/** An app whose visitor has a session with the fields above, and what it takes to look on. */
async function aVisit(t: TestContext, { store }: Pick<Watched, 'store'>, handler: Handler) {
  const running = await anApp(
    t,
    { store },
    {
      '/before': ctx => ctx.session.set(before).then(() => undefined),
      '/': handler,
      '/dump': dump,
      '/noop': () => 'nothing',
    },
  )
  const ada = running.visitor()
  await ada.get('/before')
  return { ...running, ada, fields: async () => (await ada.get('/dump')).json }
}

for (const { command, run, after, touched } of cases) {
  onEachStore(`${command} on the handle resolves to what it touched`, async (t, watched) => {
    const { ada, fields } = await aVisit(t, watched, ctx => run(ctx.session))
    watched.calls.length = 0
    assert.deepEqual((await ada.get('/')).json, touched)
    assert.deepEqual(watched.calls, ['update'])
    assert.deepEqual(await fields(), after)
  })

  onEachStore(`${command} on a loaded session resolves to it, refreshed`, async (t, watched) => {
    const { ada, fields } = await aVisit(t, watched, async ctx => {
      const session = await ctx.session()
      assert.equal(await run(session as unknown as SessionHandle), session)
      return { ...session }
    })
    watched.calls.length = 0
    assert.deepEqual((await ada.get('/')).json, after)
    assert.deepEqual(watched.calls, ['load', 'update'])
    assert.deepEqual(await fields(), after)
  })

  onEachStore(`${command} that nobody awaits is carried out all the same`, async (t, watched) => {
    const { ada, fields } = await aVisit(t, watched, ctx => {
      run(ctx.session)
    })
    watched.calls.length = 0
    assert.equal((await ada.get('/')).status, 200)
    assert.deepEqual(watched.calls, ['update'])
    assert.deepEqual(await fields(), after)
  })
}

onEachStore('each command works on the session of a new visitor', async (t, { store, records }) => {
  const { visitor } = await anApp(t, { store }, ctx =>
    ctx.session
      .set('name', 'Ada')
      .inc('views')
      .push('tags', 'tea')
      .pushAll('sizes', [1, 2])
      .addToSet('roles', 'guest')
      .unset('a')
      .rename('b', 'c')
      .pop('d')
      .pull('e', 1)
      .pullAll('f', [1]),
  )
  const { json } = await visitor().get('/')
  const fields = { name: 'Ada', views: 1, tags: ['tea'], sizes: [1, 2], roles: ['guest'] }
  assert.deepEqual(json, fields)
  assert.deepEqual(
    (await records()).map(record => record.fields),
    [fields],
  )
})

onEachStore('removing from a session that is not there stores nothing', async (t, { store, calls }) => {
  const { visitor } = await anApp(t, { store }, async ctx => {
    await ctx.session.unset('a')
    await (await ctx.session()).pull('b', 1).rename('c', 'd')
    return { ...(await ctx.session()) }
  })
  const { json, setCookies } = await visitor().get('/')
  assert.deepEqual(json, {})
  assert.deepEqual(setCookies, [])
  assert.deepEqual(calls, [])
})

onEachStore('what was taken is there for whoever awaits it later', async (t, watched) => {
  const { ada, fields } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    const name = session.take('name')
    const views = ctx.session.take('views')
    await ctx.session.set('done', true)
    return [await name, await views]
  })
  assert.deepEqual((await ada.get('/')).json, ['Ada', 1])
  assert.deepEqual(await fields(), { tags: before.tags, sizes: before.sizes, done: true })
})

onEachStore('a chain is one command', async (t, watched) => {
  const { ada, fields } = await aVisit(t, watched, ctx =>
    ctx.session.set('name', 'Eve').inc('views').push('tags', 'rum').unset('sizes').inc('views', 2),
  )
  watched.calls.length = 0
  assert.deepEqual((await ada.get('/')).json, { name: 'Eve', views: 4, tags: ['tea', 'milk', 'tea', 'rum'] })
  assert.deepEqual(watched.calls, ['update'])
  assert.deepEqual(await fields(), { name: 'Eve', views: 4, tags: ['tea', 'milk', 'tea', 'rum'] })
})

onEachStore('of a chain that the store refuses nothing is applied', async (t, watched) => {
  const { ada, fields } = await aVisit(t, watched, async ctx => {
    const error = await ctx.session
      .set('other', 1)
      .inc('name')
      .catch((thrown: unknown) => thrown)
    assert.ok(error instanceof CommandError)
    assert.equal(error.path, 'name')
    return [error.code, error.status]
  })
  assert.deepEqual((await ada.get('/')).json, ['SESSION_COMMAND', 500])
  assert.deepEqual(await fields(), before)
})

onEachStore('a command of the wrong type is refused and changes nothing', async (t, watched) => {
  const wrong: ((session: SessionHandle) => PromiseLike<unknown>)[] = [
    session => session.inc('name'),
    session => session.push('views', 1),
    session => session.pushAll('name', [1]),
    session => session.addToSet('views', 1),
    session => session.pop('name'),
    session => session.pull('views', 1),
    session => session.pullAll('name', ['A']),
    session => session.set('name.first', 'Ada'),
    session => session.set('tags.9', 'gap'),
  ]
  const { ada, fields } = await aVisit(t, watched, async ctx => {
    for (const run of wrong) await assert.rejects(async () => run(ctx.session), CommandError, String(run))
  })
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(await fields(), before)
})

onEachStore('no response leaves before a command that nobody awaits is acknowledged', async (t, watched) => {
  const events: string[] = []
  const begun = gate()
  const released = gate()
  const store = altered(watched.store, async name => {
    if (name !== 'update') return
    begun.open()
    await released.opened
    events.push('stored')
  })
  const { ada, visitor } = await aVisit(t, { store }, ctx => {
    ctx.session.inc('views')
  })
  const answer = ada.get('/').then(() => events.push('answered'))
  await begun.opened
  // A response that did not wait would have come by the time these have.
  for (let other = 0; other < 5; other++) await visitor().get('/noop')
  assert.deepEqual(events, [])
  released.open()
  await answer
  assert.deepEqual(events, ['stored', 'answered'])
})

onEachStore('a command that nobody awaits fails the request when it fails', async (t, watched) => {
  const { ada, fields, errors } = await aVisit(t, watched, ctx => {
    ctx.session.inc('name')
    ctx.session.inc('views')
    return 'done'
  })
  const { status, text } = await ada.get('/')
  assert.equal(status, 500)
  assert.equal(text, 'Internal Server Error')
  assert.equal(errors.length, 1)
  assert.ok(errors[0] instanceof CommandError)
  assert.deepEqual(await fields(), { ...before, views: 2 })
})

onEachStore('of several failures one answers the request and the others are reported', async (t, watched) => {
  const { ada, errors } = await aVisit(t, watched, ctx => {
    ctx.session.inc('name')
    ctx.session.push('views', 1)
  })
  assert.equal((await ada.get('/')).status, 500)
  const paths = errors.map(error => (error instanceof CommandError ? error.path : error))
  assert.deepEqual(paths.sort(), ['name', 'views'])
})

onEachStore('a failure that somebody handled does not fail the request', async (t, watched) => {
  const { ada, errors } = await aVisit(t, watched, async ctx => {
    ctx.session.inc('name').catch(() => {})
    ctx.session.inc('name').then(undefined, () => {})
    await assert.rejects(ctx.session.inc('name').finally(() => {}))
    try {
      await ctx.session.inc('name')
    } catch {
      return 'handled'
    }
    return 'not refused'
  })
  const { status, json } = await ada.get('/')
  assert.equal(status, 200)
  assert.equal(json, 'handled')
  assert.deepEqual(errors, [])
})

onEachStore("a handler's own error answers, and a command's failure is reported", async (t, watched) => {
  const { ada, errors } = await aVisit(t, watched, ctx => {
    ctx.session.inc('name')
    ctx.throw(418)
  })
  assert.equal((await ada.get('/')).status, 418)
  assert.ok(errors.some(error => error instanceof CommandError))
})

onEachStore('a chain in which a call threw is never sent', async (t, watched) => {
  const { ada, fields } = await aVisit(t, watched, async ctx => {
    const chain = ctx.session.set('name', 'Eve')
    assert.throws(() => chain.set('$where', 1), FieldError)
    assert.throws(() => ctx.session.inc('views').inc('views', Number.NaN), FieldError)
    assert.throws(() => ctx.session.set('cart', {}).set('cart.total', 1), FieldError)
    // Nor once somebody awaits it, who is told why.
    await assert.rejects(async () => chain, FieldError)
  })
  watched.calls.length = 0
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(watched.calls, [])
  assert.deepEqual(await fields(), before)
})

onEachStore('a command added to a chain that has been sent is refused', async (t, watched) => {
  const { ada, fields } = await aVisit(t, watched, async ctx => {
    const chain = ctx.session.inc('views')
    await chain
    assert.throws(() => chain.inc('views'), CommandError)
  })
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(await fields(), { ...before, views: 2 })
})

onEachStore('chains run in the order they were begun', async (t, watched) => {
  const { ada, fields } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    for (let n = 0; n < 20; n += 2) {
      ctx.session.push('order', n).set('last', n)
      session.push('order', n + 1).set('last', n + 1)
    }
  })
  assert.equal((await ada.get('/')).status, 200)
  const order = Array.from({ length: 20 }, (_, n) => n)
  assert.deepEqual(await fields(), { ...before, order, last: 19 })
})

onEachStore(
  'the first of a new visitor’s chains stores the session, the others change it',
  async (t, watched) => {
    const { store, calls, records } = watched
    const { visitor } = await anApp(t, { store }, ctx => {
      ctx.session.set('a', 1)
      ctx.session.inc('a')
      ctx.session.push('list', 1)
    })
    const { status, setCookies } = await visitor().get('/')
    assert.equal(status, 200)
    assert.equal(setCookies.length, 1)
    assert.deepEqual(calls, ['insert', 'update', 'update'])
    assert.deepEqual(
      (await records()).map(record => record.fields),
      [{ a: 2, list: [1] }],
    )
  },
)

onEachStore('a request reads its own writes', async (t, watched) => {
  const { ada } = await aVisit(t, watched, async ctx => {
    ctx.session.set('blind', 1)
    const loaded = (await ctx.session()).blind
    await ctx.session.set('late', 2)
    const late = (await ctx.session()).late
    ctx.session.set('late', 3)
    const got = await ctx.session.get('late')
    const session = await ctx.session()
    session.inc('views')
    await session.push('tags', 'rum')
    return [loaded, late, got, session.late, session.views, session.tags]
  })
  const { json } = await ada.get('/')
  assert.deepEqual(json, [1, 2, 3, 3, 2, ['tea', 'milk', 'tea', 'rum']])
})

onEachStore('a new visitor’s request reads its own writes', async (t, { store, calls }) => {
  const { visitor } = await anApp(t, { store }, async ctx => {
    const empty = { ...(await ctx.session()) }
    await ctx.session.set('a', 1)
    ctx.session.inc('a')
    const session = await ctx.session()
    return [empty, { ...session }, await session.get('a'), session.isNew]
  })
  assert.deepEqual((await visitor().get('/')).json, [{}, { a: 2 }, 2, false])
  assert.equal(calls[0], 'insert')
})

onEachStore('a chain may be awaited long after it was begun', async (t, watched) => {
  const { ada } = await aVisit(t, watched, async ctx => {
    const counted = ctx.session.inc('views')
    const named = ctx.session.set('name', 'Eve')
    await ctx.session.set('other', 1)
    await ctx.session.set('other', 2)
    return [await counted, await named, await counted]
  })
  assert.deepEqual((await ada.get('/')).json, [{ views: 2 }, { name: 'Eve' }, { views: 2 }])
})

onEachStore('a number awaited late is the one that this command made', async (t, watched) => {
  const { ada } = await aVisit(t, watched, async ctx => {
    const tickets = [ctx.session.inc('views'), ctx.session.inc('views'), ctx.session.inc('views')]
    await ctx.session.set('other', 1)
    const numbers = []
    for (const ticket of tickets) numbers.push((await ticket).views)
    return numbers
  })
  assert.deepEqual((await ada.get('/')).json, [2, 3, 4])
})

onEachStore('a failure awaited late is told to who awaits it, and only there', async (t, watched) => {
  const { ada, errors } = await aVisit(t, watched, async ctx => {
    const refused = ctx.session.inc('name')
    await ctx.session.set('other', 1)
    await assert.rejects(async () => refused, CommandError)
  })
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(errors, [])
})

onEachStore('commands may be awaited together', async (t, watched) => {
  const { ada } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    const [one, two, three] = await Promise.all([
      ctx.session.inc('views'),
      session.set('name', 'Eve'),
      ctx.session.get('views'),
    ])
    assert.equal(two, session)
    return [one, session.name, three]
  })
  assert.deepEqual((await ada.get('/')).json, [{ views: 2 }, 'Eve', 2])
})

onEachStore('two loads of one request are one load and one session', async (t, watched) => {
  const { ada } = await aVisit(t, watched, async ctx => {
    const [one, two] = await Promise.all([ctx.session(), ctx.session()])
    return one === two && one === (await ctx.session())
  })
  watched.calls.length = 0
  assert.equal((await ada.get('/')).json, true)
  assert.deepEqual(watched.calls, ['load'])
})

onEachStore('what a command resolved to is the caller’s own', async (t, watched) => {
  const { ada } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    const touched = await ctx.session.set('cart', { lines: [1] })
    ;(touched.cart as { lines: number[] }).lines.push(2)
    const got = (await ctx.session.get('cart')) as { lines: number[] }
    got.lines.push(3)
    return session.cart
  })
  assert.deepEqual((await ada.get('/')).json, { lines: [1] })
})

onEachStore('what was given to a command may be changed after the call', async (t, watched) => {
  const { ada, fields } = await aVisit(t, watched, async ctx => {
    const cart = { lines: [1] }
    const written = ctx.session.set('cart', cart)
    cart.lines.push(2)
    await written
    cart.lines.push(3)
  })
  await ada.get('/')
  assert.deepEqual(await fields(), { ...before, cart: { lines: [1] } })
})

onEachStore('a command begun after the response reports its failure', async (t, watched) => {
  const after = gate()
  const { ada, app } = await aVisit(t, watched, ctx => {
    after.opened.then(() => {
      ctx.session.inc('name')
    })
  })
  assert.equal((await ada.get('/')).status, 200)
  const reported = new Promise(resolve => app.once('error', resolve))
  after.open()
  assert.ok((await reported) instanceof CommandError)
})

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { opened, open }
}
