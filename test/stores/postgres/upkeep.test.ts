import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from '../../../src/store/store.ts'
import { schemaOf } from '../../../src/stores/postgres/store.ts'
import {
  aChange,
  aRecord,
  aSecondAgo,
  aSession,
  fieldsOf,
  inAnHour,
  inc,
  set,
  together,
} from '../../contract/records.ts'
import { aPgPool, aStore, aTable, query, withoutPostgreSQL } from '../../support/postgres/database.ts'

const skip = withoutPostgreSQL

async function number(sql: string): Promise<number> {
  const [row] = await query(sql)
  return Number(Object.values(row ?? {})[0])
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(10)
}

test('touching and changing sessions leaves their rows where the indexes find them', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table })
  await store.ensureIndex?.('user')
  await query(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`)
  const sessions = await together(50, () => aSession(store, { user: 'ada', n: 0, text: 'x'.repeat(200) }))
  let end = inAnHour().getTime()
  for (let round = 0; round < 40; round++) {
    end += 60_000
    const expires = new Date(end)
    await Promise.all(
      sessions.map(({ id }) =>
        store.update(
          id,
          round % 2 ? { ...aChange(), expires } : { ...aChange(inc('n'), set('at', round)), expires },
        ),
      ),
    )
  }
  // The server tells of it when it gets to it.
  const counts = async () => {
    const [row] = await query(
      `SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = '${table}'`,
    )
    return row as { all: number; hot: number }
  }
  await until(async () => (await counts()).all === 50 * 40)
  const { all, hot } = await counts()
  t.diagnostic(`${hot} of ${all} updates left the indexes alone`)
  assert.ok(hot >= 0.95 * all, `${hot} of ${all}`)
})

/** Sessions that a statement stores, which is sooner done than by as many inserts. */
async function stored(table: string, count: number, expires: string): Promise<void> {
  await query(
    `INSERT INTO ${table} (id, created, expires, max_age, rev, size, sweep_at, small, large) ` +
      `SELECT md5(random()::text || g) || md5(g::text), now(), ${expires}, 3600000, 1, 5, ${expires}, '{"n": 1}', '{}' ` +
      `FROM generate_series(1, ${count}) AS g`,
  )
}

test('many expired sessions are swept while others go on, and each that lives stays', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table })
  await stored(table, 20_000, "now() - interval '1 minute'")
  await stored(table, 500, "now() + interval '1 hour'")
  const living = await together(20, () => aSession(store, { n: 0 }))
  let removed: number | undefined
  const sweeping = store.sweep?.().then(count => {
    removed = count
  })
  let rounds = 0
  while (removed === undefined) {
    await Promise.all(living.map(({ id }) => store.update(id, aChange(inc('n')))))
    rounds++
  }
  await sweeping
  assert.equal(removed, 20_000)
  assert.equal(await number(`SELECT count(*) FROM ${table}`), 520)
  for (const { id } of living) assert.equal((await fieldsOf(store, id)).n, rounds)
})

test('of processes that sweep at once one does, and together they remove each session once', {
  skip,
}, async t => {
  const table = aTable()
  const stores = await Promise.all([1, 2, 3].map(async () => aStore(t, { table, pool: await aPgPool(t) })))
  await stored(table, 5000, "now() - interval '1 minute'")
  const counts = await Promise.all(stores.map(store => store.sweep?.() ?? 0))
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    5000,
  )
  assert.equal(await number(`SELECT count(*) FROM ${table}`), 0)
})

test('while another process sweeps nobody waits for it', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table })
  await stored(table, 100, "now() - interval '1 minute'")
  const [, lock] = /pg_advisory_xact_lock\((-?\d+)\)/.exec(schemaOf({ table })) ?? []
  assert.ok(lock)
  const pool = await aPgPool(t)
  const client = await pool.connect()
  try {
    // A session of the hundred is locked, as by a change under way: it is left for the next time.
    await client.query('BEGIN')
    await client.query(`SELECT id FROM ${table} LIMIT 1 FOR UPDATE`)
    assert.equal(await store.sweep?.(), 99)
    await client.query('ROLLBACK')
  } finally {
    client.release()
  }
  assert.equal(await store.sweep?.(), 1)
})

test('expired sessions go by themselves now and then, until the store is closed', { skip }, async t => {
  const table = aTable()
  const pool = await aPgPool(t)
  const store = await aStore(t, { table, pool, sweepEvery: 20 })
  const gone = async () => (await number(`SELECT count(*) FROM ${table} WHERE small = '{}'`)) === 0
  await together(5, () => aSession(store, {}, { expires: aSecondAgo() }))
  await until(gone)
  await store.close?.()
  // A sweep may be under way.
  await until(async () => pool.idleCount === pool.totalCount)
  await store.insert(aRecord({}, { expires: aSecondAgo() }))
  await delay(100)
  assert.equal(await gone(), false)
})

test('nothing is left of the large fields of sessions that are gone', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table })
  const large = { text: 'x'.repeat(3000) }
  const left = () => number(`SELECT count(*) FROM ${table}_fields`)
  const ids = (await together(4, () => aSession(store, large))).map(({ id }) => id) as [
    string,
    string,
    string,
    string,
  ]
  await aSession(store, large, { expires: aSecondAgo() })
  assert.equal(await left(), 5)
  await store.update(ids[0], aChange(set('text', 'small')))
  assert.equal(await left(), 4)
  await store.update(ids[1], aChange({ op: '$unset', path: 'text' }))
  assert.equal(await left(), 3)
  await store.end(ids[2], { ended: new Date() }, inAnHour())
  assert.equal(await left(), 2)
  await store.delete(ids[3])
  assert.equal(await left(), 1)
  await store.sweep?.()
  assert.equal(await left(), 0)
})

test('a session can be read in the database: small values as JSON, larger ones in rows of their own', {
  skip,
}, async t => {
  const table = aTable()
  const store: Store = await aStore(t, { table })
  const { id } = await aSession(store, {
    name: 'Ada',
    n: 7,
    isAdmin: true,
    nothing: null,
    half: 0.5,
    long: 2n ** 60n,
    cart: [{ sku: 'tea', count: 2, price: 1.5 }],
    day: new Date(0),
    text: 'x'.repeat(2000),
  })
  // Also once the app, and not the server, has changed it.
  await store.update(
    id,
    aChange({ op: '$push', path: 'cart', arg: [{ sku: 'jam', count: 1, price: 2.5 }], modifiers: {} }),
  )
  const [row] = await query(`SELECT small, large FROM ${table}`)
  const { cart, day, ...rest } = Object(row).small
  assert.deepEqual(rest, {
    name: 'Ada',
    n: 7,
    isAdmin: true,
    nothing: null,
    half: { d: 0.5 },
    long: { l: '1152921504606846976' },
  })
  assert.equal(cart.j, '[{"sku":"tea","count":2,"price":1.5},{"sku":"jam","count":1,"price":2.5}]')
  assert.deepEqual(Object.keys(day), ['b'])
  assert.deepEqual(Object(row).large, { text: 2002 })
})
