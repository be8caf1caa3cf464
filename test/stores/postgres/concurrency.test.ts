import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { calculateObjectSize } from 'bson'
import { SessionTooLargeError } from '../../../src/errors.ts'
import type { Outcome } from '../../../src/store/store.ts'
import {
  aChange,
  aSession,
  fieldsOf,
  guarded,
  inAnHour,
  inc,
  push,
  recordOf,
  set,
  together,
  unset,
} from '../../contract/records.ts'
import {
  aPgPool,
  aPostgresSql,
  aStore,
  aTable,
  type PostgreSQLStore,
  query,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'

const skip = withoutPostgreSQL

const MANY = 400

/** Stores on one table, as processes have them: only within one are changes combined. */
async function someStores(t: TestContext): Promise<PostgreSQLStore[]> {
  const table = aTable()
  const pools = [
    await aPgPool(t),
    await aPostgresSql(t),
    await aPgPool(t, { max: 2 }),
    await aPostgresSql(t, { max: 2 }),
  ]
  const stores: PostgreSQLStore[] = []
  for (const pool of pools) stores.push(await aStore(t, { table, pool }))
  return stores
}

/** From all stores in turn, and to two sessions, so that changes of one overlap within each store and between them. */
async function raced(
  t: TestContext,
  fields: object,
  change: (store: PostgreSQLStore, id: string, index: number) => Promise<Outcome>,
) {
  const stores = await someStores(t)
  const [store] = stores as [PostgreSQLStore]
  const { id } = await aSession(store, { ...fields })
  const outcomes = await together(MANY, index =>
    change(stores[index % stores.length] as PostgreSQLStore, id, index),
  )
  return { outcomes, record: await recordOf(store, id) }
}

function applied(outcomes: readonly Outcome[]): number {
  return outcomes.filter(outcome => typeof outcome === 'object').length
}

test('of many changes by several processes none is lost, and each is told its own result', {
  skip,
}, async t => {
  const answer = { paths: ['n'], when: 'after' } as const
  const { outcomes, record } = await raced(t, { n: 0 }, (store, id) =>
    store.update(id, aChange(inc('n')), answer),
  )
  assert.equal(record.rev, MANY + 1)
  assert.deepEqual(record.fields, { n: MANY })
  const results = outcomes.map(outcome => {
    assert.ok(typeof outcome === 'object')
    assert.equal(outcome.fields?.n, Number(outcome.rev) - 1)
    return outcome.rev
  })
  assert.equal(new Set(results).size, MANY)
})

test('of many processes that take a field one gets it, in one round trip or two', { skip }, async t => {
  for (const path of ['nonce', 'deep.nonce']) {
    const fields = { nonce: 'x', deep: { nonce: 'x' }, n: 1 }
    const answer = { paths: [path], when: 'before' } as const
    const { outcomes } = await raced(t, fields, (store, id) => store.update(id, aChange(unset(path)), answer))
    const got = outcomes.filter(
      outcome => typeof outcome === 'object' && JSON.stringify(outcome.fields).includes('x'),
    )
    assert.equal(got.length, 1, path)
  }
})

test('what was there before a change is told of the very revision that the change found', {
  skip,
}, async t => {
  const answer = { paths: ['last'], when: 'before' } as const
  const { outcomes } = await raced(t, { last: -1 }, (store, id, index) =>
    store.update(id, aChange(set('last', index)), answer),
  )
  // Each value but the last was found by exactly one other.
  const found = outcomes.map(outcome => Object(outcome).fields.last)
  assert.equal(new Set(found).size, MANY)
})

test('of many processes that spend no one overdraws', { skip }, async t => {
  const spend = guarded({ path: 'credits', comparator: '>=', arg: 1 }, inc('credits', -1), inc('spent'))
  const { outcomes, record } = await raced(t, { credits: 100 }, (store, id) => store.update(id, spend))
  assert.equal(applied(outcomes), 100)
  assert.deepEqual(record.fields, { credits: 0, spent: 100 })
})

test('many processes that fill a session at once, and overwrite what is in it, fill it no further than allowed', {
  skip,
}, async t => {
  const maxSize = 20_000
  const { outcomes, record } = await raced(t, { list: [] }, (store, id, index) => {
    const value = 'x'.repeat(200)
    const change = [push('list', value), set(`k${index % 5}`, value.repeat(1 + (index % 10)))][index % 2]
    return store.update(id, { ...aChange(change as ReturnType<typeof set>), maxSize }).catch(error => {
      assert.ok(error instanceof SessionTooLargeError, String(error))
      return 'refused'
    })
  })
  const size = calculateObjectSize(record.fields)
  assert.ok(applied(outcomes) < MANY && size > maxSize / 2 && size <= maxSize, String(size))
  assert.equal(record.rev, applied(outcomes) + 1)
})

test('lists, counters, large fields and small ones are changed at once, and all is there', {
  skip,
}, async t => {
  const text = (index: number) => `${index} `.padEnd(index % 3 === 0 ? 5000 : 50, 'x')
  const { outcomes, record } = await raced(t, { list: [], n: 0 }, (store, id, index) => {
    const change = [push('list', index), inc('n'), set(`k${index % 7}`, text(index))][index % 3]
    return store.update(id, aChange(change as ReturnType<typeof set>))
  })
  assert.equal(applied(outcomes), MANY)
  assert.equal(record.rev, MANY + 1)
  const { list, n, ...texts } = record.fields as { list: number[]; n: number }
  assert.equal(new Set(list).size, list.length)
  assert.equal(list.length + n, Math.ceil(MANY / 3) + Math.ceil((MANY - 1) / 3))
  for (const value of Object.values<string>(texts)) assert.equal(value, text(Number.parseInt(value, 10)))
})

test('a field that grows and shrinks across a KiB while others read it is never half of one', {
  skip,
}, async t => {
  const stores = await someStores(t)
  const [store] = stores as [PostgreSQLStore]
  const { id } = await aSession(store, { text: 'a', n: 0 })
  let isOver = false
  const changing = together(200, async index => {
    const letter = String.fromCharCode(97 + (index % 26))
    const value = letter.repeat(index % 2 ? 3000 : 10)
    const one = stores[index % stores.length]
    await one?.update(
      id,
      index % 5 ? aChange(set('text', value)) : aChange(set('text', value), push('list', index)),
    )
  }).finally(() => {
    isOver = true
  })
  while (!isOver) {
    for (const one of stores) {
      const { text } = (await fieldsOf(one, id)) as { text: string }
      const read = await one.read(id, ['text'])
      for (const found of [text, Object(read).fields.text]) assert.match(found, /^(.)\1*$/)
    }
  }
  await changing
})

test('a change on a server whose transactions are stricter is tried again, and made once', {
  skip,
}, async t => {
  const table = aTable()
  const isolation = { options: '-c default_transaction_isolation=serializable' }
  const stores = await Promise.all(
    [1, 2, 3].map(async () => aStore(t, { table, pool: await aPgPool(t, isolation) })),
  )
  const [store] = stores as [PostgreSQLStore]
  const { id } = await aSession(store, { n: 0, list: [] })
  await together(60, index =>
    (stores[index % 3] as PostgreSQLStore).update(id, aChange(index % 2 ? inc('n') : push('list', index))),
  )
  const { n, list } = await fieldsOf(store, id)
  assert.deepEqual([n, (list as number[]).length], [30, 30])
})

for (const how of ['end', 'delete'] as const) {
  test(`a session that ends while another process adds a large field leaves none behind: ${how}`, {
    skip,
  }, async t => {
    const table = aTable()
    const pool = await aPgPool(t)
    const [store, other] = [await aStore(t, { table, pool }), await aStore(t, { table })]
    const { id } = await aSession(store, { text: 'x'.repeat(3000) })
    const client = await pool.connect()
    let ending: Promise<unknown>
    try {
      // The change has the session's row, and waits for another one that adds the same field, and then does not.
      await client.query(`BEGIN; INSERT INTO ${table}_fields VALUES ('${id}', 'more', 'x')`)
      const changing = other.update(id, aChange(set('more', 'x'.repeat(3000))))
      await waiting(table, 1)
      ending = how === 'end' ? store.end(id, { ended: new Date() }, inAnHour()) : store.delete(id)
      await waiting(table, 2)
      await client.query('ROLLBACK')
      await Promise.all([changing, ending])
    } finally {
      client.release()
    }
    assert.equal(await ending, how === 'end' ? true : undefined)
    assert.deepEqual(await query(`SELECT name FROM ${table}_fields`), [])
  })
}

/** So many statements on the table wait for a lock. */
async function waiting(table: string, count: number): Promise<void> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%${table}%'`
  while ((await query(sql)).length < count) await delay(10)
}
