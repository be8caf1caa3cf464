import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { Client, Pool } from 'pg'
import { ConfigurationError, StoreUnavailableError } from '../../../src/errors.ts'
import { type PostgreSQLStoreOptions, postgresStore, schemaOf } from '../../../src/stores/postgres/store.ts'
import { aChange, aSession, fieldsOf, inc, set, together } from '../../contract/records.ts'
import {
  aPgPool,
  aPostgresSql,
  aStore,
  aTable,
  query,
  thePgBouncer,
  thePostgreSQL,
  withoutPgBouncer,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'

const skip = withoutPostgreSQL

function isConfigurationError(words: RegExp): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof ConfigurationError, String(error))
    assert.match(error.message, words)
    return true
  }
}

/** The warnings of ours that are given while the test runs. */
function warnings(t: TestContext): string[] {
  const given: string[] = []
  const listen = (warning: Error) => void (warning.name === 'SessionWarning' && given.push(warning.message))
  process.on('warning', listen)
  t.after(() => process.off('warning', listen))
  return given
}

async function nextTurn(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
}

test('one client, a transaction and a reserved connection are refused, since a change there might be undone', {
  skip,
}, async t => {
  const pool = await aPgPool(t)
  const client = await pool.connect()
  // Without types `reserve` never returns.
  const sql = await aPostgresSql(t, { fetch_types: true })
  const reserved = await sql.reserve()
  const refused = (one: unknown, words: RegExp) =>
    assert.throws(
      () => postgresStore({ pool: one as PostgreSQLStoreOptions['pool'] }),
      isConfigurationError(words),
    )
  try {
    refused(client, /one client.*new Pool/)
    refused(new Client(), /one client.*new Pool/)
    refused(reserved, /reserved connection/)
    await sql.begin(async transaction => refused(transaction, /sql of a transaction/))
    for (const one of [undefined, null, {}, 'postgres://', () => {}]) refused(one, /is no pool/)
  } finally {
    client.release()
    reserved.release()
  }
})

test('names that PostgreSQL would cut off, and options that do not exist, are refused', { skip }, async t => {
  const pool = await aPgPool(t)
  const refused = (options: object, words: RegExp) =>
    assert.throws(() => postgresStore({ pool, ...options }), isConfigurationError(words))
  refused({ table: 'x'.repeat(60) }, /table .* too long/)
  refused({ table: 'ü'.repeat(30) }, /table .* too long/)
  refused({ schema: '' }, /schema is not a name/)
  refused({ table: 'a\0b' }, /table is not a name/)
  refused({ tabel: 'x' }, /did you mean "table"/)
  refused({ sweepEvery: 'now and then' }, /sweepEvery/)
  assert.throws(() => schemaOf({ pool } as object), isConfigurationError(/schemaOf\(\) has no option "pool"/))
})

test('any name will do for schema and table, quoted as it is', { skip }, async t => {
  const pool = await aPgPool(t)
  const schema = `App's "own" \\ Schema ${aTable()}`
  for (const table of ['select', 'Sitzungen "neu"', "it's; DROP TABLE x --", 'sessions']) {
    const store = await aStore(t, { pool, schema, table })
    await store.ensureIndex?.('user')
    const { id } = await aSession(store, { user: 'ada', n: 1, text: 'x'.repeat(3000) })
    await store.update(id, aChange(inc('n')))
    assert.equal((await fieldsOf(store, id)).n, 2)
    assert.equal(await store.count?.(), 1)
  }
})

test('many processes that start at once make the tables once', { skip }, async t => {
  const schema = `fresh_${aTable()}`
  for (const user of [undefined, 'user']) {
    const stores = await together(12, async index =>
      postgresStore({
        pool: index % 2 ? await aPgPool(t, { max: 1 }) : await aPostgresSql(t, { max: 1 }),
        schema,
      }),
    )
    await Promise.all(stores.map(store => store.ensureIndex?.(user)))
    const { id } = await aSession(stores[0] as (typeof stores)[0], { user: 'ada' })
    for (const store of stores) {
      assert.equal(await store.isIndexed?.(user), true)
      assert.deepEqual(await fieldsOf(store, id), { user: 'ada' })
    }
  }
})

test('tables made by a migration do, for a user who may not make any', { skip }, async t => {
  const table = aTable()
  await query(schemaOf({ table, user: 'user' }))
  await query(schemaOf({ table, user: 'user' }))
  const role = `role_${table}`
  await query(
    `CREATE ROLE "${role}" LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;` +
      `GRANT SELECT, INSERT, UPDATE, DELETE ON "${table}", "${table}_fields", "${table}_meta" TO "${role}"`,
  )
  const store = await aStore(t, { table, pool: await aPgPool(t, { user: role }) })
  await store.ensureIndex?.('user')
  const { id } = await aSession(store, { user: 'ada', n: 1, text: 'x'.repeat(3000) })
  await store.update(id, aChange(inc('n'), set('text', 'y'.repeat(3000))))
  assert.equal((await fieldsOf(store, id)).n, 2)
  await store.delete(id)
})

test('the queries that the documents show find sessions and their large fields', { skip }, async t => {
  const schema = `documented_${aTable()}`
  const store = await aStore(t, { schema, table: 'sessions' })
  const cart = ['x'.repeat(2000)]
  const { id } = await aSession(store, { user_id: 'ada', cart, dates: Array(500).fill(new Date(0)) })
  const page = await readFile(new URL('../../../docs/stores/postgresql.md', import.meta.url), 'utf8')
  const found = await Promise.all(
    Array.from(page.matchAll(/```sql\n([^`]+)```/g), ([, sql]) =>
      query(`SET search_path = ${schema}; ${sql}`),
    ),
  )
  const [[session] = [], fields] = found.map(rows => rows.map(row => Object(row)))
  assert.deepEqual([session.id, session.user_id], [id, 'ada'])
  assert.deepEqual(fields, [{ id, name: 'cart', value: JSON.stringify(cart) }])
})

test('without its tables the store says what to do, and works once they are there', { skip }, async t => {
  const table = aTable()
  const store = postgresStore({ table, pool: await aPgPool(t) })
  const asked = () => aSession(store)
  for (const call of [asked, () => store.load('x'), () => store.count?.() ?? asked()]) {
    await assert.rejects(call, isConfigurationError(/ensureIndex.*schemaOf/))
  }
  assert.equal(await store.isIndexed?.(), false)
  await store.ensureIndex?.()
  assert.equal(await store.isIndexed?.(), true)
  assert.equal(await store.isIndexed?.('user'), false)
  await asked()
})

test("somebody else's table is left as it is, and so are tables of a later version", { skip }, async t => {
  const pool = await aPgPool(t)
  const table = aTable()
  await query(`CREATE TABLE ${table} (sid text)`)
  await assert.rejects(
    async () => aStore(t, { pool, table }),
    isConfigurationError(/none of this store's.*another table/),
  )
  assert.deepEqual(await query(`SELECT * FROM ${table}`), [])

  const later = aTable()
  await aStore(t, { pool, table: later })
  await query(`UPDATE ${later}_meta SET version = 99`)
  await assert.rejects(async () => aStore(t, { pool, table: later }), isConfigurationError(/version 99/))
  const store = postgresStore({ pool, table: later })
  await assert.rejects(async () => aSession(store), isConfigurationError(/version 99/))
})

test('unlogged tables are made where that is asked for', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table, unlogged: true })
  const { id } = await aSession(store, { text: 'x'.repeat(3000) })
  assert.equal(String((await fieldsOf(store, id)).text).length, 3000)
  const kinds = await query(
    `SELECT relname, relpersistence FROM pg_class WHERE relname IN ('${table}', '${table}_fields') ORDER BY relname`,
  )
  assert.deepEqual(
    kinds.map(({ relpersistence }) => relpersistence),
    ['u', 'u'],
  )
})

test('a pool that would end the process when a connection is lost is warned of', { skip }, async t => {
  const given = warnings(t)
  const { uri } = await thePostgreSQL()
  const pool = new Pool({ connectionString: uri })
  t.after(() => pool.end())
  await aStore(t, { pool })
  await nextTurn()
  assert.equal(given.length, 1)
  assert.match(given[0] ?? '', /pool\.on\('error'/)
})

test('a client of postgres that would end the process when a new connection is lost is warned of', {
  skip,
}, async t => {
  const given = warnings(t)
  await aStore(t, { pool: await aPostgresSql(t) })
  await nextTurn()
  assert.deepEqual(given, [])
  await aStore(t, { pool: await aPostgresSql(t, { fetch_types: true }) })
  await nextTurn()
  assert.equal(given.length, 1)
  assert.match(given[0] ?? '', /fetch_types: false/)
})

test('settings by which a crash loses what was acknowledged are warned of', { skip }, async t => {
  const given = warnings(t)
  await aStore(t, { pool: await aPgPool(t, { options: '-c synchronous_commit=off' }) })
  await nextTurn()
  assert.equal(given.length, 1)
  assert.match(given[0] ?? '', /synchronous_commit is off/)
})

test('a database whose encoding lacks characters is refused', { skip }, async t => {
  const { uri } = await thePostgreSQL()
  const name = aTable()
  await query(`CREATE DATABASE ${name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`)
  const pool = await aPgPool(t, {}, uri.replace(/\/postgres$/, `/${name}`))
  await assert.rejects(async () => aStore(t, { pool }), isConfigurationError(/LATIN1.*UTF8/))
})

test('a server that takes no changes is told from one that does', { skip }, async t => {
  const table = aTable()
  const store = await aStore(t, { table })
  const { id } = await aSession(store, { n: 1 })
  const pool = await aPgPool(t, { options: '-c default_transaction_read_only=on' })
  const readOnly = postgresStore({ table, pool })
  await assert.rejects(readOnly.update(id, aChange(inc('n'))), (error: unknown) => {
    assert.ok(error instanceof StoreUnavailableError)
    assert.equal(error.outcome, 'none')
    return true
  })
})

for (const driver of ['pg', 'postgres'] as const) {
  test(`behind a pooler that keeps no prepared statements sessions go on without, and it is said once: ${driver}`, {
    skip: withoutPgBouncer,
  }, async t => {
    const given = warnings(t)
    const { uri } = await thePgBouncer()
    const pool = driver === 'pg' ? await aPgPool(t, {}, uri) : await aPostgresSql(t, {}, uri)
    const store = await aStore(t, { pool })
    const { id } = await aSession(store, { n: 0 })
    await together(20, async () => {
      await store.update((await aSession(store, { n: 0 })).id, aChange(inc('n')))
      await store.update(id, aChange(inc('n')))
    })
    assert.equal((await fieldsOf(store, id)).n, 20)
    await nextTurn()
    assert.equal(given.length, 1)
    assert.match(given[0] ?? '', /pooler.*prepare: false/)

    given.length = 0
    const quiet = postgresStore({ pool, prepare: false, table: aTable() })
    await quiet.ensureIndex?.()
    await together(20, () => aSession(quiet))
    await nextTurn()
    assert.deepEqual(given, [])
  })
}
