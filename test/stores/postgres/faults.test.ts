import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type LookupFunction, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { SessionRecord } from '../../../src/store/record.ts'
import { type PostgreSQLStoreOptions, postgresStore } from '../../../src/stores/postgres/store.ts'
import {
  aChange,
  aRecord,
  aSession,
  fieldsOf,
  inAnHour,
  inc,
  push,
  recordOf,
  set,
  together,
} from '../../contract/records.ts'
import { freePort } from '../../support/ports.ts'
import {
  aPgPool,
  aPostgresSql,
  aStore,
  aTable,
  type PostgreSQLStore,
  query,
  thePostgreSQL,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'
import { aProxy } from '../../support/postgres/proxy.ts'
import { startPostgreSQL } from '../../support/postgres/server.ts'
import { startStandby } from '../../support/postgres/standby.ts'
import { repeatedly } from '../../support/repeatedly.ts'

const skip = withoutPostgreSQL

type Pool = PostgreSQLStoreOptions['pool']

/** Milliseconds. A busy machine may take long to connect, and who is refused is told so at once. */
const PATIENCE = 30_000

const drivers: Record<string, (t: TestContext, uri: string, max: number) => Promise<Pool>> = {
  pg: (t, uri, max) => aPgPool(t, { max, connectionTimeoutMillis: PATIENCE }, uri),
  postgres: (t, uri, max) =>
    aPostgresSql(t, { max, connect_timeout: PATIENCE / 1000, backoff: () => 0.05 }, uri),
}

function hasOutcome(outcome: 'none' | 'unknown'): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof StoreUnavailableError, String(error))
    assert.equal(error.outcome, outcome, String(error.cause))
    return true
  }
}

/** Until it is answered: after a fault a client may still have connections that are gone. */
async function eventually<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      assert.ok(error instanceof StoreUnavailableError, String(error))
      await delay(20)
    }
  }
}

for (const [name, connected] of Object.entries(drivers)) {
  test(`a change whose answer is lost is unknown, and is made once: ${name}`, { skip }, async t => {
    const { proxy, uri } = await aProxy(t)
    const store = await aStore(t, { pool: await connected(t, uri, 1) })
    const { id } = await aSession(store, { n: 0, list: [] })
    for (let time = 1; time <= 5; time++) {
      // A statement may have been prepared before, or not.
      const change = time < 3 ? aChange(inc('n'), push('list', time)) : aChange(inc('n'))
      await eventually(() => store.load(id))
      proxy.cutAnswersAfter(0)
      await assert.rejects(store.update(id, change))
      await proxy.heal()
      const { n } = await eventually(() => fieldsOf(store, id))
      assert.ok(Number(n) <= time)
    }
    const { rev, fields } = await recordOf(store, id)
    assert.equal(rev, 1 + Number(fields.n))
  })

  test(`each lost answer leaves its change made or not made, and no more: ${name}`, { skip }, async t => {
    const { proxy, uri } = await aProxy(t)
    const store = await aStore(t, { pool: await connected(t, uri, 4) })
    const sessions = await Promise.all(Array.from({ length: 20 }, () => aSession(store, { n: 0 })))
    const counts = new Map(sessions.map(({ id }) => [id, { least: 0, most: 0 }]))
    let lost = 0
    let passed = 0
    // At random, and in any case some.
    proxy.loseAnswers(() => ++passed % 40 === 0 || Math.random() < 0.05)
    for (let round = 0; round < 15; round++) {
      await Promise.all(
        sessions.map(async ({ id }) => {
          const count = counts.get(id) as { least: number; most: number }
          await store.update(id, aChange(inc('n'))).then(
            () => {
              count.least++
              count.most++
            },
            error => {
              assert.ok(error instanceof StoreUnavailableError, String(error))
              lost++
              if (error.outcome === 'unknown') count.most++
            },
          )
        }),
      )
    }
    await proxy.heal()
    assert.ok(lost > 0)
    for (const [id, { least, most }] of counts) {
      const { n } = await eventually(() => fieldsOf(store, id))
      assert.ok(Number(n) >= least && Number(n) <= most, `${n} is not from ${least} to ${most}`)
    }
  })

  test(`where nobody answers at all, nothing has been done: ${name}`, { skip }, async t => {
    const { proxy, uri } = await aProxy(t)
    const store = await aStore(t, { pool: await connected(t, uri, 2) })
    const { id } = await aSession(store, { n: 0 })
    await proxy.refuse()
    // The first may have gone out on a connection that was about to be cut.
    await assert.rejects(store.update(id, aChange(inc('n'))))
    await assert.rejects(store.update(id, aChange(inc('n'))), hasOutcome('none'))
    await assert.rejects(store.load(id), hasOutcome('none'))
    await assert.rejects(store.insert(aRecord()), hasOutcome('none'))
    await proxy.heal()
    await eventually(() => store.update(id, aChange(inc('n'))))
    assert.ok(Number((await fieldsOf(store, id)).n) <= 2)
  })

  test(`what the server refuses is not done, as it says: ${name}`, { skip }, async t => {
    const { uri } = await thePostgreSQL()
    const table = aTable()
    const store = await aStore(t, { table })
    const { id } = await aSession(store, { n: 0 })
    const address = new URL(uri)
    address.searchParams.set('options', '-c statement_timeout=100')
    const limited = postgresStore({ table, pool: await connected(t, address.href, 2) })
    const other = new Client({ connectionString: uri })
    await other.connect()
    try {
      await other.query('BEGIN')
      await other.query(`SELECT id FROM ${table} FOR UPDATE`)
      const calls = [
        () => limited.update(id, aChange(inc('n'))),
        () => limited.update(id, aChange(push('list', 1))),
        () => limited.end(id, { ended: new Date() }, inAnHour()),
        () => limited.delete(id),
      ]
      for (const call of calls) await assert.rejects(call, hasOutcome('none'))
      await other.query('ROLLBACK')
    } finally {
      await other.end()
    }
    assert.deepEqual(await recordOf(store, id), await eventually(() => recordOf(limited, id)))
    assert.equal((await recordOf(store, id)).rev, 1)
  })
}

for (const [name, connected] of Object.entries(drivers)) {
  test(`what PostgreSQL refuses only at the commit is not acknowledged: ${name}`, { skip }, async t => {
    const { uri } = await thePostgreSQL()
    const table = aTable()
    const store = await aStore(t, { table, pool: await connected(t, uri, 1) })
    const { id } = await aSession(store, { n: 0 })
    await query(`
      CREATE FUNCTION ${table}_refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'Not this one'; END $$;
      CREATE CONSTRAINT TRIGGER refused AFTER UPDATE ON public.${table}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${table}_refused()`)
    // A statement may have been prepared before, or not.
    for (let time = 0; time < 3; time++) {
      await assert.rejects(store.update(id, aChange(inc('n'))), hasOutcome('none'))
    }
    assert.deepEqual(await fieldsOf(store, id), { n: 0 })
  })

  test(`whoever is not let in has changed nothing: ${name}`, { skip }, async t => {
    const { uri } = await thePostgreSQL()
    const table = aTable()
    await aStore(t, { table })
    await query('CREATE ROLE barred NOLOGIN; CREATE ROLE full LOGIN CONNECTION LIMIT 0')
    t.after(() => query('DROP ROLE barred, "full"'))
    for (const [username, database] of [
      ['tests', 'absent'],
      ['barred', 'postgres'],
      ['full', 'postgres'],
    ] as const) {
      const address = Object.assign(new URL(uri), { username, pathname: database })
      const store = postgresStore({ table, pool: await connected(t, address.href, 1), prepare: true })
      await assert.rejects(store.insert(aRecord()), hasOutcome('none'))
    }
  })
}

test('of several addresses none of which answers, nothing has been done', { skip }, async t => {
  const port = await freePort()
  const lookup: LookupFunction = (_, __, told) =>
    told(null, [
      { address: '127.0.0.1', family: 4 },
      { address: '127.0.0.2', family: 4 },
    ])
  const socket = async () => {
    const opened = connect({ host: 'database', port, lookup, autoSelectFamily: true })
    await once(opened, 'connect')
    return opened
  }
  const store = postgresStore({
    pool: await aPostgresSql(t, { max: 1, ...inPlaceOfItsOwn(socket) }),
    prepare: true,
  })
  await assert.rejects(store.insert(aRecord()), hasOutcome('none'))
})

test('an error that ends a connection after a change was sent leaves it unknown, whatever its code', {
  skip,
}, async t => {
  const { port } = await thePostgreSQL()
  const opened: Socket[] = []
  const socket = async () => {
    const last = connect(port, '127.0.0.1')
    opened.push(last)
    await once(last, 'connect')
    return last
  }
  const pool = await aPostgresSql(t, { max: 1, ...inPlaceOfItsOwn(socket) })
  const table = aTable()
  const direct = await aStore(t, { table })
  const store = await aStore(t, { table, pool, prepare: true })
  const { id } = await aSession(store, { n: 0 })
  await store.update(id, aChange(inc('n')))
  const last = opened.at(-1)
  assert.ok(last)
  // As the kernel ends it when packets are answered with "host unreachable" for long enough: here once the answer is there.
  last.removeAllListeners('data')
  last.once('data', () => {
    const fields = { code: 'EHOSTUNREACH', syscall: 'read', errno: -113 }
    last.destroy(Object.assign(new Error('read EHOSTUNREACH'), fields))
  })
  await assert.rejects(store.update(id, aChange(inc('n'))), hasOutcome('unknown'))
  assert.deepEqual(await fieldsOf(direct, id), { n: 2 })
})

/** The package reads this option, and its types lack it. */
function inPlaceOfItsOwn(socket: () => Promise<Socket>): object {
  return { socket }
}

test('a change that has waited for a connection until nobody waits for it is not made', { skip }, async t => {
  const pool = await aPgPool(t, { max: 1 })
  const store = await aStore(t, { pool })
  const { id } = await aSession(store, { n: 0 })
  store.useTimeout?.(100)
  const client = await pool.connect()
  const late = store.update(id, aChange(inc('n')))
  await delay(150)
  client.release()
  await assert.rejects(late, hasOutcome('none'))
  store.useTimeout?.(PATIENCE)
  assert.deepEqual(await fieldsOf(store, id), { n: 0 })
  await store.update(id, aChange(inc('n')))
  assert.deepEqual(await fieldsOf(store, id), { n: 1 })
})

test('a server that crashes has kept all that it acknowledged', { skip }, async t => {
  const server = await startPostgreSQL()
  assert.ok(server)
  t.after(() => server.stop())
  const pools = [
    await aPgPool(t, { max: 4 }, server.uri),
    await aPostgresSql(t, { max: 4, backoff: () => 0.05 }, server.uri),
  ]
  const table = aTable()
  const stores: PostgreSQLStore[] = []
  for (const pool of pools) stores.push(await aStore(t, { table, pool }))
  const [first] = stores as [PostgreSQLStore]
  const sessions = await Promise.all(Array.from({ length: 8 }, () => aSession(first, { n: 0, list: [] })))
  for (let crash = 0; crash < 3; crash++) {
    const counts = sessions.map(() => ({ least: 0, most: 0 }))
    const before = await Promise.all(sessions.map(async ({ id }) => Number((await fieldsOf(first, id)).n)))
    const stops = sessions.map(({ id }, index) => {
      const count = counts[index] as { least: number; most: number }
      const store = stores[index % 2] as PostgreSQLStore
      return repeatedly(t, async () => {
        count.most++
        const change = index % 3 ? aChange(inc('n')) : aChange(inc('n'), set('text', 'x'.repeat(3000)))
        const isDone = await store.update(id, change).then(
          () => true,
          error => {
            assert.ok(error instanceof StoreUnavailableError, String(error))
            if (error.outcome === 'none') count.most--
            return false
          },
        )
        if (isDone) count.least++
        else await delay(5)
      })
    })
    while (counts.some(({ least }) => least === 0)) await delay(5)
    await server.crash()
    await delay(100)
    await Promise.all(stops.map(stop => stop()))
    for (const [index, { id }] of sessions.entries()) {
      const n = Number((await eventually(() => fieldsOf(first, id))).n) - Number(before[index])
      const { least, most } = counts[index] as { least: number; most: number }
      assert.ok(least > 0 && n >= least && n <= most, `${n} is not from ${least} to ${most}`)
    }
  }
})

test('a standby is refused, and has all that was acknowledged once it takes over', { skip }, async t => {
  const primary = await startPostgreSQL({
    settings: ["synchronous_standby_names = ''", 'wal_level = replica'],
  })
  assert.ok(primary)
  const table = aTable()
  const pool = await aPgPool(t, {}, primary.uri)
  const store = await aStore(t, { table, pool })
  const { id } = await aSession(store, { n: 0 })
  const standby = await startStandby(primary)
  t.after(() => standby.stop())
  await pool.query("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
  await pool.query('SELECT pg_reload_conf()')
  const isSynchronous = async () =>
    (await pool.query("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'")).rowCount === 1
  while (!(await isSynchronous())) await delay(20)

  const other = postgresStore({ table, pool: await aPgPool(t, {}, standby.uri) })
  await assert.rejects(async () => other.ensureIndex?.(), /standby.*primary/)
  for (let count = 0; count < 20; count++) await store.update(id, aChange(inc('n')))
  await assert.rejects(other.update(id, aChange(inc('n'))), hasOutcome('none'))
  await pool.end().catch(() => {})
  t.mock.method(pool, 'end', async () => {})
  await primary.stop()

  const promoted = await aPgPool(t, {}, standby.uri)
  await promoted.query('SELECT pg_promote(true)')
  await other.ensureIndex?.()
  assert.equal((await fieldsOf(other, id)).n, 20)
  await other.update(id, aChange(inc('n')))
  assert.equal((await fieldsOf(other, id)).n, 21)
})

test('a statement of the app that fails halfway through the same client hides no session', {
  skip,
}, async t => {
  const pool = await aPostgresSql(t, { max: 1 })
  const store = await aStore(t, { pool })
  const record = await aSession(store, { n: 1 })
  const failing = () => assert.rejects(pool.unsafe('SELECT 1 / (3 - n) FROM generate_series(1, 5) AS n'))
  await failing()
  assert.deepEqual(await store.load(record.id), record)
  await failing()
  assert.deepEqual(await store.update(record.id, aChange(inc('n'))), {})
  await failing()
  assert.equal(await store.count?.(), 1)
  await failing()
  assert.equal(await store.end(record.id, { ended: new Date() }, inAnHour()), true)
})

for (const [driver, poolOf] of Object.entries({ pg: aPgPool, postgres: aPostgresSql })) {
  test(`a row that the server cannot read hides its own session alone: ${driver}`, { skip }, async t => {
    const table = aTable()
    const store = await aStore(t, { table, pool: await poolOf(t) })
    const sessions = await together(12, index => aSession(store, { n: 'tea'.repeat(1000 + index) }))
    const [broken, ...whole] = sessions as [SessionRecord, ...SessionRecord[]]
    // As another program may have written it: text that is no UTF-8.
    await query(`UPDATE public.${table}_fields SET v = '\\x7bff' WHERE id = '${broken.id}'`)
    for (const look of [store.load, (id: string) => store.read(id, ['n'])]) {
      const all = await Promise.all([...whole, broken].map(({ id }) => look(id)))
      assert.deepEqual(all.map(fieldsIn), [...whole.map(({ fields }) => fields), undefined])
    }
  })
}

function fieldsIn(found: object | undefined): unknown {
  return found && 'fields' in found && found.fields
}
