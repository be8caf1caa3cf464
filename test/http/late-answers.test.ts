import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { StoreUnavailableError } from '../../src/index.ts'
import {
  type AppOptions,
  anApp,
  type Handler,
  KEY,
  onEachStore,
  type RunningApp,
} from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import type { Answer, Visitor } from '../support/visitor.ts'
import { altered } from '../support/watchedstore.ts'

const DAY = 24 * 60 * 60 * 1000

/** Milliseconds: what an answer says of its session's end is looked at once more if it is older than a few. */
const LATE = 6

/** What gives an answer that is under way a cookie. */
const beginnings: Record<string, Handler> = {
  extends: ctx => ctx.session.set('seen', true),
  follows: ctx => ctx.session(),
  rotates: ctx => ctx.session.regenerate({ keep: true, grace: '30s' }),
  reads: ctx => ctx.session(),
}

/** How it ends, and its status where the session was replaced meanwhile. */
const endings: Record<string, [Handler, status: number]> = {
  answers: [() => 'done', 200],
  fails: [ctx => ctx.throw(404), 404],
  writes: [ctx => ctx.session.set('late', true), 401],
  copes: [ctx => ctx.session.set('late', true).catch(() => 'done'), 200],
  'signs out': [ctx => ctx.session.destroy(), 401],
}

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set('name', 'Ada'),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/rotate': beginnings.rotates as Handler,
  '/sign-in': async ctx => {
    const session = await ctx.session.regenerate()
    await session.set('user', 'ada')
  },
  '/sign-out': ctx => ctx.session.destroy(),
}

/** An answer that is under way. */
interface UnderWay {
  readonly answer: Promise<Answer>
  /** Lets it come to its end, so many milliseconds after it has begun. */
  end(ms: number): Promise<Answer>
}

interface Browsers extends RunningApp {
  browser(): Promise<Visitor>
  /** Sends a request from another tab of the browser, with the cookie that it has now or with an older one. */
  begun(browser: Visitor, how: { begins: string; ends: string; sid?: string | undefined }): Promise<UnderWay>
}

/** An app whose slow answers reach browsers when the test lets them; their sessions are due to be extended. */
async function browsers(t: TestContext, { store, ...options }: AppOptions): Promise<Browsers> {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  let reached = gate()
  let go = gate()
  const running = await anApp(
    t,
    { maxAge: '10 days', ...(store && { store }), ...options },
    {
      ...routes,
      '/slow': async (ctx, next) => {
        const { begins, ends } = ctx.query as Record<string, string>
        await beginnings[begins ?? '']?.(ctx, next)
        reached.open()
        await go.opened
        return endings[ends ?? '']?.[0](ctx, next)
      },
    },
  )
  return {
    ...running,
    async browser() {
      const browser = running.visitor()
      await browser.get('/begin')
      t.mock.timers.tick(2 * DAY)
      return browser
    },
    async begun({ jar }, { begins, ends, sid }) {
      reached = gate()
      go = gate()
      const tab = Object.assign(running.visitor(), { jar })
      const path = `/slow?begins=${begins}&ends=${encodeURIComponent(ends)}`
      const answer = tab.get(path, sid ? { Cookie: `sid=${sid}` } : {})
      await reached.opened
      const { open } = go
      return {
        answer,
        end(ms) {
          t.mock.timers.tick(ms)
          open()
          return answer
        },
      }
    },
  }
}

for (const begins of ['extends', 'follows', 'rotates']) {
  for (const [ends, [, status]] of Object.entries(endings)) {
    onEachStore(
      `an answer that ${begins} and ${ends} late leaves the cookie of a newer session alone`,
      async (t, { store }) => {
        const { browser, begun } = await browsers(t, { store })
        for (const meanwhile of ['/sign-in', '/sign-out']) {
          const ada = await browser()
          const sid = ada.jar.get('sid')
          if (begins === 'follows') await ada.get('/rotate')
          const slow = await begun(ada, { begins, ends, sid })
          await ada.get(meanwhile)
          if (meanwhile === '/sign-out') await ada.get('/begin')
          const newer = ada.jar.get('sid')
          const late = await slow.end(LATE)
          // Who signs out of what another request has signed out of is signed out.
          const isOut = meanwhile === '/sign-out' && ends === 'signs out'
          assert.equal(late.status, isOut ? 200 : status, late.text)
          assert.deepEqual(late.setCookies, [], meanwhile)
          assert.equal(ada.jar.get('sid'), newer)
          const kept = meanwhile === '/sign-in' ? { user: 'ada' } : { name: 'Ada' }
          assert.deepEqual((await ada.get('/read')).json, kept)
        }
      },
    )
  }
}

onEachStore('a late answer gives the cookie of a session that lives on', async (t, { store }) => {
  const { browser, begun } = await browsers(t, { store })
  for (const begins of ['extends', 'follows', 'rotates']) {
    for (const ends of ['answers', 'fails', 'writes']) {
      const ada = await browser()
      const sid = ada.jar.get('sid')
      if (begins === 'follows') await ada.get('/rotate')
      const slow = await begun(ada, { begins, ends, sid })
      const { setCookies } = await slow.end(LATE)
      assert.equal(setCookies.length, 1, `${begins}, ${ends}`)
      assert.equal(Object((await ada.get('/read')).json).name, 'Ada')
    }
  }
})

onEachStore('a store that fails at the end takes nothing from what was acknowledged', async (t, watched) => {
  let isDown = false
  const store = altered(watched.store, name => {
    if (isDown && name === 'read') throw new StoreUnavailableError('It is down', 'none')
  })
  const { app, browser, begun } = await browsers(t, { store })
  for (const begins of ['extends', 'follows', 'rotates']) {
    for (const [ends, status] of [
      ['answers', 200],
      ['fails', 404],
    ] as const) {
      const ada = await browser()
      const sid = ada.jar.get('sid')
      if (begins === 'follows') await ada.get('/rotate')
      const slow = await begun(ada, { begins, ends, sid })
      isDown = true
      const late = await slow.end(LATE)
      isDown = false
      assert.equal(late.status, status, `${begins}, ${ends}`)
      assert.equal(late.setCookies.length, 1)
      assert.equal(Object((await ada.get('/read')).json).name, 'Ada')
    }
  }
  // Nor where it is asked whether a cookie may be signed anew: then it is not.
  const ada = await browser()
  await ada.get('/read')
  app.keys = ['a new key, which signs from now on, and is long enough', KEY]
  const slow = await begun(ada, { begins: 'reads', ends: 'answers' })
  isDown = true
  const { status, setCookies } = await slow.end(0)
  isDown = false
  assert.equal(status, 200)
  assert.deepEqual(setCookies, [])
  assert.equal((await ada.get('/read')).setCookies.length, 1)
})

onEachStore(
  'an answer that found no session does not clear the cookie of a newer one',
  async (t, watched) => {
    const { browser, begun } = await browsers(t, { store: watched.store })
    const ada = await browser()
    await watched.expire()
    // However soon it comes, one that came sooner may have signed its visitor in.
    const slow = await begun(ada, { begins: 'reads', ends: 'answers' })
    await ada.get('/sign-in')
    assert.deepEqual((await slow.end(0)).setCookies, [])
    assert.deepEqual((await ada.get('/read')).json, { user: 'ada' })
  },
)
