import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { StoreUnavailableError } from '../../../src/errors.ts'
import { aChange, aSession, fieldsOf, inc } from '../../contract/records.ts'
import { anApp } from '../../support/app.ts'
import { aPgPool, aPostgresSql, aStore, aTable, withoutPgBouncer } from '../../support/postgres/database.ts'
import { startPgBouncer } from '../../support/postgres/pgbouncer.ts'
import { aProxy } from '../../support/postgres/proxy.ts'
import type { FaultProxy } from '../../support/proxy.ts'
import { altered } from '../../support/watchedstore.ts'

const skip = withoutPgBouncer

/** A pooler whose connections to the server fail on demand. */
async function aPooler(t: TestContext): Promise<{ readonly proxy: FaultProxy; readonly uri: string }> {
  const { proxy } = await aProxy(t)
  const pooler = await startPgBouncer(proxy.port)
  assert.ok(pooler)
  t.after(() => pooler.stop())
  return { proxy, uri: pooler.uri }
}

for (const driver of ['pg', 'postgres'] as const) {
  test(`a change is unknown where the pooler has lost the server's answer: ${driver}`, { skip }, async t => {
    const { proxy, uri } = await aPooler(t)
    const table = aTable()
    const direct = await aStore(t, { table })
    const pool = driver === 'pg' ? await aPgPool(t, {}, uri) : await aPostgresSql(t, {}, uri)
    const store = await aStore(t, { table, pool, prepare: false })
    const { id } = await aSession(store, { n: 0 })
    await store.update(id, aChange(inc('n')))
    proxy.cutAnswersAfter(0)
    await assert.rejects(store.update(id, aChange(inc('n'))), (error: unknown) => {
      assert.ok(error instanceof StoreUnavailableError)
      assert.equal(error.outcome, 'unknown', String(error.cause))
      return true
    })
    // The package postgres sends the change only when it has been told of the parameters' types.
    if (driver === 'pg') assert.deepEqual(await fieldsOf(direct, id), { n: 2 })
  })
}

test('a session goes on in its new one where the pooler has lost the answer to the end of the old one', {
  skip,
}, async t => {
  const { proxy, uri } = await aPooler(t)
  let isLosing = false
  const store = altered(await aStore(t, { pool: await aPgPool(t, {}, uri), prepare: false }), async name => {
    if (isLosing && name === 'end') proxy.cutAnswersAfter(0)
    else await proxy.heal()
  })
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/fill': ctx => ctx.session.set({ name: 'Ada', n: 1 }),
      '/read': async ctx => ({ ...(await ctx.session()) }),
      '/renew': async ctx => {
        isLosing = true
        await ctx.session.regenerate({ keep: true })
      },
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  const { status, text } = await ada.get('/renew')
  assert.ok(status < 300, text)
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada', n: 1 })
})
