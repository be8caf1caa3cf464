import assert from 'node:assert/strict'
import { anApp, type Handler } from '../support/app.ts'
import { onEachStore } from '../support/watchedstore.ts'

const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR

const routes: Record<string, Handler> = {
  '/write': async ctx => {
    await ctx.session.set('name', 'Ada')
    const { created, expires } = await ctx.session()
    return { created, expires }
  },
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/touch': async ctx => {
    await ctx.session.touch()
    const { created, expires } = await ctx.session()
    return { created, expires }
  },
  '/end': ctx => ctx.session.destroy(),
}

for (const jump of [HOUR, -HOUR, DAY, -DAY]) {
  const what = `${jump > 0 ? 'forward' : 'back'} by ${Math.abs(jump) === HOUR ? 'an hour' : 'a day'}`
  onEachStore(
    `a clock that jumps ${what} ends nothing early and lets nothing outlive its limit`,
    async (t, { store }) => {
      const app = await anApp(
        t,
        { store, maxAge: '2 days', absoluteMaxAge: '3 days', touchAfter: '1 minute' },
        routes,
      )
      const ada = app.visitor()
      const { json } = await ada.get('/write')
      const { created } = json as { created: string }
      const before = Date.now()
      t.mock.timers.enable({ apis: ['Date'], now: before + jump })
      assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
      const touched = (await ada.get('/touch')).json as { created: string; expires: string }
      assert.equal(touched.created, created)
      assert.ok(Date.parse(touched.expires) <= Date.parse(created) + 3 * DAY)
      t.mock.timers.setTime(before)
      assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
      // By the clock that is right again, it is over when it should be.
      t.mock.timers.setTime(before + 3 * DAY)
      assert.deepEqual((await ada.get('/read', { Cookie: `sid=${ada.jar.get('sid')}` })).json, {})
      assert.deepEqual(app.errors, [])
    },
  )
}

onEachStore('a clock that jumps back brings no ended session back', async (t, { store }) => {
  const app = await anApp(t, { store }, routes)
  const ada = app.visitor()
  await ada.get('/write')
  const twin = ada.twin()
  await ada.get('/end')
  const now = Date.now()
  t.mock.timers.enable({ apis: ['Date'], now })
  for (const jump of [-DAY, -HOUR, 0, HOUR, DAY]) {
    t.mock.timers.setTime(now + jump)
    const { json } = await twin.twin().get('/read')
    assert.deepEqual(json, {}, `${jump}`)
  }
})
