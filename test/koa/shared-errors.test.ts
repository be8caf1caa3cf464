import assert from 'node:assert/strict'
import Koa from 'koa'
import Session, { StoreUnavailableError } from '../../src/index.ts'
import { anApp, answering, KEY, listening } from '../support/app.ts'
import { altered, onEachStore } from '../support/watchedstore.ts'

onEachStore('an error thrown to many visitors gives none of them another’s cookie', async (t, { store }) => {
  const notFound = Object.assign(new Error('Nothing is here'), { status: 404 })
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': async ctx => {
        await ctx.session.set('name', 'Ada')
        throw notFound
      },
      '/other': () => {
        throw notFound
      },
      '/read': async ctx => ({ ...(await ctx.session()) }),
    },
  )
  const [ada, eve] = [visitor(), visitor()]
  assert.equal((await ada.get('/write')).setCookies.length, 1)
  const { status, setCookies } = await eve.get('/other')
  assert.equal(status, 404)
  assert.deepEqual(setCookies, [])
  assert.ok(!('headers' in notFound))
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  assert.deepEqual((await eve.get('/read')).json, {})
})

onEachStore('what is only derived from a failing chain fails the request, not the process', async (t, w) => {
  const { visitor } = await anApp(
    t,
    { store: w.store },
    {
      '/then': async ctx => {
        const session = await ctx.session()
        session.set('name', 'Ada').push('name', 1).then(session.update)
      },
      '/write': ctx => ctx.session.set('name', 'Ada'),
      '/update': async ctx => {
        const session = await ctx.session()
        session.inc('name').then(session.update)
      },
      '/finally': ctx => {
        ctx.session.inc('name').finally(() => {})
      },
    },
  )
  const ada = visitor()
  await ada.get('/write')
  for (const path of ['/then', '/update', '/finally']) assert.equal((await ada.get(path)).status, 500, path)
})

onEachStore('an error raised after the handler still gives the cookie', async (t, { store }) => {
  const app = new Koa()
  app.keys = [KEY]
  Session(app, { store })
  const failing = altered(store, name => {
    if (name === 'insert') throw new StoreUnavailableError('It is down', 'none')
  })
  // Its middleware is outside of the first's.
  Session(app, { store: failing, property: 'other', key: 'other' })
  app.use(
    answering({
      '/begin': ctx => ctx.session.set('name', 'Ada'),
      '/body': async ctx => {
        await ctx.session.regenerate({ keep: true })
        ctx.body = { n: 10n }
      },
      '/other': async ctx => {
        await ctx.session.regenerate({ keep: true })
        ctx.other.set('n', 1)
      },
      '/read': async ctx => ({ ...(await ctx.session()) }),
    }),
  )
  const { visitor } = await listening(t, app)
  for (const [path, status] of [
    ['/body', 500],
    ['/other', 503],
  ] as const) {
    const ada = visitor()
    await ada.get('/begin')
    const answer = await ada.get(path)
    assert.equal(answer.status, status)
    assert.deepEqual(
      answer.setCookies.map(line => line.split('=')[0]),
      ['sid'],
    )
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  }
})

onEachStore(
  'an error’s own headers are sent beside the session’s, in whatever case',
  async (t, { store }) => {
    const given = [
      { 'Set-Cookie': 'mine=1', Vary: 'Origin' },
      { 'set-cookie': ['mine=1'], vary: 'Origin, Cookie' },
      { 'SET-COOKIE': 'mine=1', VARY: ['Origin'] },
    ]
    const { visitor } = await anApp(t, { store }, async ctx => {
      await ctx.session.set('name', 'Ada')
      ctx.throw(400, { headers: given[Number(ctx.query.which)] })
    })
    for (const which of given.keys()) {
      const ada = visitor()
      const { status, headers, setCookies } = await ada.get(`/?which=${which}`)
      assert.equal(status, 400)
      assert.deepEqual([...ada.jar.keys()], ['mine', 'sid'])
      assert.equal(setCookies.length, 2)
      assert.equal(headers.vary, 'Origin, Cookie')
      assert.equal(headers['cache-control'], 'no-store')
    }
  },
)
