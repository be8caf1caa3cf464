import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { anApp, type Handler, onEachStore, type Routes, test } from '../support/frameworks.ts'
import { aCollection, commandsOf, theClient, withoutMongoDB } from '../support/mongodb/collection.ts'

const skip = withoutMongoDB

/** A visitor of an app on MongoDB, whose session holds a cart; and what the driver sends from then on. */
async function aShopper(t: TestContext, handler: Handler) {
  const collection = aCollection(t)
  const { sessions, visitor } = await anApp(
    t,
    {},
    {
      '/before': ctx => ctx.session.set({ n: 1, cart: { total: 12, lines: ['tea'] } }),
      '/': handler,
    },
  )
  sessions.collection = collection
  const ada = visitor()
  await ada.get('/before')
  return { ada, visitor, sent: commandsOf(t, theClient(), collection) }
}

test('a request that does not use its session sends no command and sets no cookie', { skip }, async t => {
  const { ada, visitor, sent } = await aShopper(t, () => 'plain')
  for (const somebody of [ada, visitor()]) {
    const { status, headers, setCookies } = await somebody.get('/')
    assert.equal(status, 200)
    assert.deepEqual(setCookies, [])
    assert.equal(headers.vary, undefined)
    assert.equal(headers['cache-control'], undefined)
  }
  assert.deepEqual(sent.names(), [])
})

test('reading for a visitor without a session sends no command and sets no cookie', { skip }, async t => {
  const { visitor, sent } = await aShopper(t, async ctx => {
    const session = await ctx.session()
    await session.update()
    return [await ctx.session.get('n'), await ctx.session.get('n', 'cart'), { ...session }]
  })
  const { json, setCookies } = await visitor().get('/')
  assert.deepEqual(json, [null, [null, null], {}])
  assert.deepEqual(setCookies, [])
  assert.deepEqual(sent.names(), [])
})

test('the first write of a new visitor is one insert and one cookie', { skip }, async t => {
  const { visitor, sent } = await aShopper(t, ctx => ctx.session.set('a', 1).push('b', 2))
  const { json, setCookies } = await visitor().get('/')
  assert.deepEqual(json, { a: 1, b: [2] })
  assert.equal(setCookies.length, 1)
  assert.deepEqual(sent.names(), ['insert'])
})

test('loading is one read, however often it is asked for', { skip }, async t => {
  const { ada, sent } = await aShopper(t, async ctx => {
    await ctx.session()
    const session = await ctx.session()
    return [session.n, await session.get('cart.total'), await ctx.session.get('n')]
  })
  const { json, setCookies } = await ada.get('/')
  assert.deepEqual(json, [1, 12, 1])
  assert.deepEqual(setCookies, [])
  assert.deepEqual(sent.names(), ['find'])
})

test('a write without loading is one command', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => ctx.session.inc('n').push('cart.lines', 'rum'))
  const { json, setCookies } = await ada.get('/')
  assert.deepEqual(json, { n: 2, cart: { lines: ['tea', 'rum'] } })
  assert.deepEqual(setCookies, [])
  assert.deepEqual(sent.names(), ['findAndModify'])
})

test('a write whose result nobody awaits asks nothing back', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => {
    ctx.session.set('cart.total', 5)
  })
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(sent.names(), ['update'])
})

test('a write whose result follows from itself asks nothing back', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx =>
    ctx.session.set('n', 5).set('prefs.lang', 'en').unset('gone'),
  )
  const { json } = await ada.get('/')
  assert.deepEqual(json, { n: 5, prefs: { lang: 'en' } })
  assert.deepEqual(sent.names(), ['update'])
})

test('a write of an element is answered with the whole list', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => ctx.session.set('cart.lines.0', 'rum'))
  assert.deepEqual((await ada.get('/')).json, { cart: { lines: ['rum'] } })
  assert.deepEqual(sent.names(), ['findAndModify'])
})

test('a write after loading is one command more', { skip }, async t => {
  const { ada, sent } = await aShopper(t, async ctx => {
    const session = await ctx.session()
    await session.set('n', 5).then(session.update)
    return { ...session }
  })
  assert.deepEqual((await ada.get('/')).json, { n: 5, cart: { total: 12, lines: ['tea'] } })
  assert.deepEqual(sent.names(), ['find', 'findAndModify'])
})

test('get() reads what it is asked for and no more', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => ctx.session.get('cart.total'))
  assert.equal((await ada.get('/')).json, 12)
  assert.deepEqual(sent.names(), ['find'])
  const { projection } = sent.all[0]?.command ?? {}
  assert.equal(projection['data.cart.total'], 1)
  const others = Object.keys(projection).filter(name => name.startsWith('data'))
  assert.deepEqual(others, ['data.cart.total'])
})

test('several fields are read in one command', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => ctx.session.get('cart.lines.0', 'n', 'nothing'))
  assert.deepEqual((await ada.get('/')).json, ['tea', 1, null])
  assert.deepEqual(sent.names(), ['find'])
})

test('a write asks back the fields it touched and no more', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => ctx.session.inc('n'))
  await ada.get('/')
  const { fields, query, update, upsert } = sent.all[0]?.command ?? {}
  const asked = Object.keys(fields).filter(name => name.startsWith('data'))
  assert.deepEqual(asked, ['data.n'])
  assert.ok(query.expires.$gt instanceof Date)
  assert.deepEqual(update, { $inc: { rev: 1, 'data.n': 1 } })
  assert.ok(!upsert)
})

test('a CSRF token is made and asserted without a command', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => {
    ctx.session.assertCSRF(ctx.session.createCSRF())
  })
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(sent.names(), [])
})

test('a CSRF token for a new visitor is one insert', { skip }, async t => {
  const { visitor, sent } = await aShopper(t, ctx => ctx.session.createCSRF())
  assert.equal((await visitor().get('/')).setCookies.length, 1)
  assert.deepEqual(sent.names(), ['insert'])
})

test('destroying is one command', { skip }, async t => {
  const { ada, sent } = await aShopper(t, ctx => ctx.session.destroy())
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(sent.names(), ['update'])
})

test('regenerating is one insert and one update', { skip }, async t => {
  const { ada, sent } = await aShopper(t, async ctx => {
    await ctx.session.regenerate()
  })
  assert.equal((await ada.get('/')).status, 200)
  assert.deepEqual(sent.names(), ['insert', 'update'])
})

const three: Routes = {
  '/before': ctx => ctx.session.set('n', 0),
  '/inc': ctx => ctx.session.inc('n').then(({ n }) => n),
  '/push': async ctx => {
    const session = await ctx.session()
    await session.push('list', Number(ctx.query.n))
  },
  '/set': ctx => {
    ctx.session.set(`own.f${ctx.query.n}`, Number(ctx.query.n))
  },
  '/dump': async ctx => ({ ...(await ctx.session()) }),
}

onEachStore('300 overlapping requests on one session lose nothing', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, three)
  const ada = visitor()
  await ada.get('/before')
  const numbers = Array.from({ length: 100 }, (_, n) => n)
  const answers = await Promise.all(
    numbers.flatMap(n => [ada.get('/inc'), ada.get(`/push?n=${n}`), ada.get(`/set?n=${n}`)]),
  )
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  // Each increment made a number of its own.
  const made = answers.filter((_, at) => at % 3 === 0).map(({ json }) => json as number)
  assert.deepEqual(
    made.sort((a, b) => a - b),
    numbers.map(n => n + 1),
  )

  const { n, list, own } = (await ada.get('/dump')).json as { n: number; list: number[]; own: object }
  assert.equal(n, 100)
  assert.deepEqual(
    list.sort((a, b) => a - b),
    numbers,
  )
  assert.deepEqual(own, Object.fromEntries(numbers.map(m => [`f${m}`, m])))
})
