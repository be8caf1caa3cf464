import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import type { TestContext } from 'node:test'
import type { StoreCall } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { together } from '../contract/records.ts'
import { anApp, type Context, onEachStore, test } from '../support/frameworks.ts'

/** Which request is served, as an app's own tracing keeps it. */
const request = new AsyncLocalStorage<string>()

/** In which requests each of the store's calls was begun and ended while the test runs. */
function traced(t: TestContext): string[] {
  const all: string[] = []
  const begun = new WeakMap<StoreCall, string | undefined>()
  const channel = tracingChannel<'koa-atomic-session:store', StoreCall>('koa-atomic-session:store')
  const listeners = {
    start: (call: StoreCall) => void begun.set(call, request.getStore()),
    end() {},
    asyncStart() {},
    asyncEnd: (call: StoreCall) =>
      void all.push(`${call.method} from ${begun.get(call)} to ${request.getStore()}`),
    error() {},
  }
  channel.subscribe(listeners)
  t.after(() => channel.unsubscribe(listeners))
  return all
}

onEachStore(
  'of many requests at once each has its store calls in its own async context',
  async (t, { store }) => {
    const served = (ctx: Context) =>
      request.run(ctx.path, async () => {
        if (ctx.path === '/begin') return ctx.session.set('n', 0)
        await ctx.session()
        assert.equal(request.getStore(), ctx.path)
        await ctx.session.set('n', 1)
        assert.equal(request.getStore(), ctx.path)
        return ctx.session.get('n')
      })
    const { visitor } = await anApp(t, { store }, served)
    const visitors = await together(40, async () => {
      const one = visitor()
      await one.get('/begin')
      return one
    })
    const calls = traced(t)
    await together(visitors.length, async index => {
      assert.equal((await visitors[index]?.get(`/request-${index}`))?.json, 1)
    })
    assert.ok(calls.length >= 2 * visitors.length)
    for (const call of calls) assert.match(call, /from (\/request-\d+) to \1$/)
  },
)

test('a connection is made in the context of the app, and not of the visitor who first needs it', async t => {
  const seen: unknown[] = []
  const { visitor, sessions } = await anApp(t, {}, ctx =>
    request.run(ctx.path, () => ctx.session.set('n', 1)),
  )
  sessions.collection = async () => {
    seen.push(request.getStore())
    throw new Error('away')
  }
  assert.equal((await visitor().get('/')).status, 503)
  assert.deepEqual(seen, [undefined])
  sessions.store = memoryStore()
})
