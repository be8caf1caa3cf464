import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Store } from '../../../src/store/store.ts'
import { postgresStore } from '../../../src/stores/postgres/store.ts'
import { aChange, aSession, inc, push, set, together, unset } from '../../contract/records.ts'
import {
  aPgPool,
  aStore,
  aTable,
  explainedPool,
  type PlanNode,
  query,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'

const skip = withoutPostgreSQL

async function found(store: Store, path: string, value: unknown): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of store.find?.(path, value) ?? []) ids.push(id)
  return ids.sort()
}

/** How the server would find the sessions of a user. */
async function planOf(table: string): Promise<string> {
  const rows = await query(
    `ANALYZE ${table}; SET enable_seqscan = off; EXPLAIN SELECT id FROM ${table} WHERE user_key = 'x'`,
  )
  return rows.map(row => row['QUERY PLAN']).join('\n')
}

test('sessions that were stored before there was an index by user are found by it', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table })
  const sessions = await together(1200, index => aSession(store, { user: index % 3 ? 'ada' : 'eve' }))
  await store.ensureIndex?.('user')
  const keys = await query(`SELECT count(*)::int AS n FROM ${table} WHERE user_key IS NULL`)
  assert.deepEqual(keys, [{ n: 0 }])
  assert.match(await planOf(table), new RegExp(`Index.*${table}_user`))
  const eve = sessions.filter(({ fields }) => fields.user === 'eve').map(({ id }) => id)
  assert.deepEqual(await found(store, 'user', 'eve'), eve.sort())
})

for (const path of ['user', 'user.id']) {
  test(`a session is found by each user that changes make it have, and by no former one: ${path}`, {
    skip,
  }, async t => {
    const store = await aStore(t)
    await store.ensureIndex?.(path)
    const { id } = await aSession(store, {})
    const inObject = path === 'user' ? (value: unknown) => value : (value: unknown) => ({ id: value })
    const isFound = async (value: unknown) => (await found(store, path, value)).length === 1
    assert.equal(await isFound('ada'), false)
    const long = 'x'.repeat(5000)
    const changes: [change: Parameters<typeof aChange>, now: unknown[], noLonger: unknown][] = [
      [[set('user', inObject('ada'))], ['ada'], 'nobody'],
      [[set(path, 'eve'), inc('n')], ['eve'], 'ada'],
      [[set('user', inObject(7))], [7], 'eve'],
      [[inc(path)], [8], 7],
      [[unset('user')], [], 8],
      [[set(path, long)], [long], 'nobody'],
      [[set('other', inObject('bob'))], [long], 'bob'],
      [[{ op: '$rename', path: 'other', to: 'user' }], ['bob'], long],
      [[set(path, ['ann', 'ben'])], ['ann', 'ben'], 'bob'],
      [[push(path, 'cid')], ['ann', 'ben', 'cid'], 'bob'],
      [[{ op: '$pullAll', path, arg: ['ben'] }], ['ann', 'cid'], 'ben'],
    ]
    for (const [operations, now, noLonger] of changes) {
      await store.update(id, aChange(...operations))
      for (const value of now) assert.equal(await isFound(value), true, String(value))
      assert.equal(await isFound(noLonger), false, String(noLonger))
    }
  })
}

/** A process that was started when sessions were found by this field, or by none. */
async function anOlderProcess(t: TestContext, table: string, user?: string) {
  const store = postgresStore({ table, pool: await aPgPool(t) })
  t.after(() => store.close?.())
  await store.ensureIndex?.(user)
  return store
}

for (const former of [undefined, 'name', 'user.id']) {
  test(`while processes that know ${former ?? 'no field'} go on, sessions are found by the new field`, {
    skip,
  }, async t => {
    const table = aTable()
    const old = await anOlderProcess(t, table, former)
    const before = await together(20, () => aSession(old, { user: 'eve', name: 'ada' }))
    const store = await aStore(t, { table })
    await store.ensureIndex?.('user')
    const others = await together(20, () => aSession(store, { user: 'eve' }))
    const inserted = await together(20, () => aSession(old, { user: 'ada' }))
    const changed = [...before, ...others]
    // By the older process, of which one change is simple and the next is not.
    for (const [index, { id }] of changed.entries()) {
      await old.update(
        id,
        index % 2 ? aChange(set('user', 'ada')) : aChange(set('user', 'ada'), push('list', 1)),
      )
      await store.update(id, aChange(inc('n')))
    }
    const expected = [...changed, ...inserted].map(({ id }) => id).sort()
    assert.deepEqual(await found(store, 'user', 'ada'), expected)
    assert.deepEqual(await found(old, 'user', 'ada'), expected)
    assert.deepEqual(await found(store, 'user', 'eve'), [])
    if (former === 'name') {
      assert.deepEqual(await found(store, 'name', 'ada'), before.map(({ id }) => id).sort())
    }
  })
}

test('sessions are indexed while others change them, and all are found', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table })
  const other = await anOlderProcess(t, table)
  const sessions = await together(300, () => aSession(store, { user: 'eve', n: 0 }))
  await Promise.all([
    store.ensureIndex?.('user'),
    ...sessions.map(({ id }, index) =>
      other.update(id, index % 2 ? aChange(set('user', 'ada')) : aChange(inc('n'))),
    ),
  ])
  const half = (rest: number) =>
    sessions
      .filter((_, index) => index % 2 === rest)
      .map(({ id }) => id)
      .sort()
  assert.deepEqual(await found(store, 'user', 'ada'), half(1))
  assert.deepEqual(await found(store, 'user', 'eve'), half(0))
})

/** How many rows the server has looked at. */
function rowsVisited(node: PlanNode): number {
  const { 'Actual Rows': rows, 'Actual Loops': loops, 'Rows Removed by Filter': removed = 0 } = node
  const own = node['Node Type'].endsWith('Scan') ? (rows + removed) * loops : 0
  return (node.Plans ?? []).reduce((sum, inner) => sum + rowsVisited(inner), own)
}

for (const path of ['user', 'name']) {
  test(`finding the sessions of a user costs as much for each, however many there are: ${path}`, {
    skip,
  }, async t => {
    const costFor = async (count: number) => {
      const table = aTable()
      let visited = 0
      // A table this small would be read as a whole.
      const pool = await aPgPool(t, { options: '-c enable_seqscan=off' })
      const store = postgresStore({
        table,
        pool: explainedPool(pool, plan => {
          visited += rowsVisited(plan)
        }),
      })
      t.after(() => store.close?.())
      const filling = await aStore(t, { table })
      await filling.ensureIndex?.('user')
      const ids = (await together(count, () => aSession(filling, { user: 'ada', name: 'Ada' }))).map(
        ({ id }) => id,
      )
      await query(`ANALYZE ${table}`)
      assert.deepEqual(await found(store, path, path === 'user' ? 'ada' : 'Ada'), ids.sort())
      return visited / count
    }
    const [few, many] = [await costFor(300), await costFor(1800)]
    t.diagnostic(`${few} and ${many} rows for each`)
    assert.ok(many < 1.5 * few, `${few} and ${many} rows for each`)
  })
}
