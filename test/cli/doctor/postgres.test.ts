import { suite, type TestContext, test } from 'node:test'
import { postgresStore } from '../../../src/stores/postgres/store.ts'
import { aSession } from '../../contract/records.ts'
import {
  aPgPool,
  aStore,
  aTable,
  query,
  thePostgreSQL,
  withoutPostgreSQL,
} from '../../support/postgres/database.ts'
import { startStandby } from '../../support/postgres/standby.ts'
import { until } from '../../support/sqlite/files.ts'
import { assertFound, assertWell, diagnosed } from '../diagnosed.ts'

const HOUR = 3_600_000

/** The server's address, with settings for this connection. */
async function address(...settings: string[]): Promise<string> {
  const { uri } = await thePostgreSQL()
  const options = ['statement_timeout=5000', ...settings].map(setting => `-c ${setting}`).join(' ')
  return `${uri}?options=${encodeURIComponent(options)}`
}

/** Tables that are set up as they should be, with a session. */
async function aRightTable(t: TestContext): Promise<string> {
  const table = aTable()
  const store = await aStore(t, { table })
  await store.ensureIndex?.('user_id')
  await aSession(store, {
    user_id: 'ada',
    note: 'x'.repeat(2000),
    half: 0.5,
    cart: ['tea'],
    seen: new Date(),
  })
  return table
}

suite('in PostgreSQL the doctor', { skip: withoutPostgreSQL }, () => {
  test('finds nothing wrong where all is right, and tells a standby from its primary', async t => {
    const table = await aRightTable(t)
    assertWell(await diagnosed(await address(), '--table', table, '--field', 'user_id'))
    const standby = await startStandby(await thePostgreSQL())
    t.after(() => standby.stop())
    const findings = await diagnosed(standby.uri, '--table', table)
    assertFound(findings, 'connection', 'error', /leads to a standby/)
  })

  test('finds that nothing answers', async () => {
    assertFound(await diagnosed('postgres://a@127.0.0.1:1/shop'), 'connection', 'error', /ECONNREFUSED/)
  })

  test('finds that the tables are missing, and where there are some', async t => {
    const table = await aRightTable(t)
    const findings = await diagnosed(await address(), '--table', 'sesions')
    assertFound(
      findings,
      'names',
      'error',
      new RegExp(`tables of public\\.sesions are missing, but .*public\\.${table}`),
    )
  })

  test('finds a table of another program, and tables of another version', async t => {
    const foreign = aTable()
    await query(`CREATE TABLE ${foreign} (sid text)`)
    assertFound(
      await diagnosed(await address(), '--table', foreign),
      'names',
      'error',
      /none of this store's/,
    )
    const table = await aRightTable(t)
    await query(`UPDATE ${table}_meta SET version = 9`)
    assertFound(await diagnosed(await address(), '--table', table), 'names', 'error', /are of version 9/)
  })

  test('finds that the role may not write', async t => {
    const table = await aRightTable(t)
    const role = aTable()
    await query(
      `CREATE ROLE ${role} LOGIN; GRANT SELECT ON ${table}, ${table}_fields, ${table}_meta TO ${role}`,
    )
    const limited = (await address()).replace('tests@', `${role}@`)
    const findings = await diagnosed(limited, '--table', table)
    assertFound(findings, 'rights', 'error', /lacks INSERT on .*UPDATE on .*DELETE on /)
  })

  test('finds that indexes are missing', async t => {
    const table = await aRightTable(t)
    const other = await diagnosed(await address(), '--table', table, '--field', 'owner')
    assertFound(other, 'indexes', 'warning', /no index by owner \(it is by user_id\)/)
    await query(`DROP INDEX ${table}_sweep_at`)
    const findings = await diagnosed(await address(), '--table', table)
    assertFound(findings, 'indexes', 'warning', /_sweep_at.* is missing/)
  })

  test('finds settings by which a crash loses what was acknowledged', async t => {
    const table = await aRightTable(t)
    const off = await diagnosed(await address('synchronous_commit=off'), '--table', table)
    assertFound(off, 'durability', 'warning', /synchronous_commit is off/)
    const unlogged = aTable()
    await aStore(t, { table: unlogged, unlogged: true })
    assertFound(
      await diagnosed(await address(), '--table', unlogged),
      'durability',
      'warning',
      /are unlogged/,
    )
    const set = async (fsync: string) => {
      await query(`ALTER SYSTEM SET fsync = ${fsync}`)
      await query('SELECT pg_reload_conf()')
      await until(async () => (await query('SHOW fsync'))[0]?.fsync === fsync)
    }
    t.after(() => set('on'))
    await set('off')
    assertFound(await diagnosed(await address(), '--table', table), 'durability', 'error', /^fsync is off/)
  })

  test('finds statements that go on when nobody waits', async t => {
    const table = await aRightTable(t)
    const { uri } = await thePostgreSQL()
    assertFound(await diagnosed(uri, '--table', table), 'waits', 'warning', /statement_timeout is not set/)
    const findings = await diagnosed(await address(), '--table', table, '--timeout', '2s')
    assertFound(findings, 'waits', 'warning', /statement_timeout is 5000 ms/)
  })

  test('finds clocks that differ', async t => {
    const table = await aRightTable(t)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + HOUR })
    assertFound(await diagnosed(await address(), '--table', table), 'clock', 'error', /behind/)
  })

  test('finds expired sessions that nobody removes', async t => {
    const table = await aRightTable(t)
    const store = postgresStore({ pool: await aPgPool(t), table })
    t.after(() => store.close?.())
    await aSession(store, {}, { expires: new Date(Date.now() - HOUR) })
    assertFound(
      await diagnosed(await address(), '--table', table),
      'expired',
      'warning',
      /^Expired sessions .*: 1/,
    )
  })

  test('finds records that are none of ours, of an unknown version, or altered', async t => {
    const table = await aRightTable(t)
    const columns = 'id, created, expires, max_age, rev, size, sweep_at, small, large'
    const row = (id: string, small: string, large = '{}') =>
      query(
        `INSERT INTO ${table} (${columns}) VALUES ('${id}', now(), now() + interval '1 hour', 1000, 1, 5, now() + interval '1 hour', '${small}', '${large}')`,
      )
    await row('abc', '{}')
    await row('a'.repeat(64), '{"n": {"future": 1}}')
    await row('b'.repeat(64), '{}', '{"lost": 5000}')
    const findings = await diagnosed(await address(), '--table', table)
    assertFound(findings, 'records', 'warning', /^Rows in .* no sessions of this library: 1/)
    assertFound(findings, 'records', 'error', /^Rows in .* does not know: 1/)
    assertFound(findings, 'records', 'warning', /^Rows in .* altered.*: 1/)
  })
})
