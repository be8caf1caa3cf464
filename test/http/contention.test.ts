import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Store } from '../../src/index.ts'
import { anApp, type Handler, onEachStore } from '../support/frameworks.ts'
import type { Visitor } from '../support/visitor.ts'

const CLIENTS = 200

const routes: Record<string, Handler> = {
  '/begin': ctx => ctx.session.set({ credits: 503, code: 'once only' }),
  '/buy': ctx =>
    ctx.session.if('credits', '>=', 5).inc('credits', -5).push('sales', Number(ctx.query.client)),
  '/take': async ctx => ({ taken: await ctx.session.take('code') }),
  '/take-loaded': async ctx => {
    const session = await ctx.session()
    return { taken: await session.take('code') }
  },
  '/all': async ctx => ({ ...(await ctx.session()) }),
}

/** A visitor, and so many clients with the same cookie and a connection each, to two apps on one store. */
async function aCrowd(t: TestContext, store: Store): Promise<{ ada: Visitor; crowd: Visitor[] }> {
  const one = await anApp(t, { store }, routes)
  const other = await anApp(t, { store }, routes)
  const ada = one.visitor()
  await ada.get('/begin')
  const crowd = Array.from({ length: CLIENTS }, (_, index) =>
    (index % 2 === 0 ? one : other).visitor().withCookiesOf(ada),
  )
  return { ada, crowd }
}

function together(crowd: readonly Visitor[], path: string): Promise<unknown[]> {
  return Promise.all(
    crowd.map(async (client, index) => {
      const answer = await client.get(`${path}?client=${index}`)
      assert.equal(answer.status, 200, answer.text)
      return answer.json
    }),
  )
}

onEachStore('200 buyers at once get exactly what there was', async (t, { store }) => {
  const { ada, crowd } = await aCrowd(t, store)
  const answers = (await together(crowd, '/buy')) as ({ credits: number } | null)[]
  const left = answers.flatMap(answer => answer?.credits ?? [])
  // Each sale leaves what no other did, and none less than nothing.
  assert.deepEqual(
    left.sort((a, b) => b - a),
    Array.from({ length: 100 }, (_, index) => 498 - 5 * index),
  )
  const buyers = answers.flatMap((answer, index) => (answer ? index : []))
  const { credits, sales } = (await ada.get('/all')).json as { credits: number; sales: number[] }
  assert.equal(credits, 3)
  assert.deepEqual(
    sales.sort((a, b) => a - b),
    buyers,
  )
})

for (const path of ['/take', '/take-loaded']) {
  const where = path === '/take' ? '' : ' of a loaded session'
  onEachStore(`of 200 who take a field${where} at once, exactly one gets it`, async (t, { store }) => {
    const { ada, crowd } = await aCrowd(t, store)
    const answers = (await together(crowd, path)) as { taken?: string }[]
    assert.deepEqual(
      answers.flatMap(({ taken }) => taken ?? []),
      ['once only'],
    )
    assert.deepEqual((await ada.get('/all')).json, { credits: 503 })
  })
}
