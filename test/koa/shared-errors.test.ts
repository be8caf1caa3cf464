import assert from 'node:assert/strict'
import { anApp } from '../support/app.ts'
import { onEachStore } from '../support/watchedstore.ts'

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
