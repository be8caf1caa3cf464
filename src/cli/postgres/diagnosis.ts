import { ConfigurationError } from '../../errors.ts'
import type { Connection } from '../../stores/postgres/connection.ts'
import { type Names, namesOf } from '../../stores/postgres/names.ts'
import { inspected, serverOf } from '../../stores/postgres/server.ts'
import { clockFound, expiredFound, GRACE, recordFaults } from '../doctor/faults.ts'
import { type Check, type DoctorOptions, type Fault, orFine } from '../doctor/finding.ts'
import type { Target } from '../target.ts'

export function checksOfPostgreSQL(
  connection: Connection,
  { names: { schema, table } }: Target,
  { field, timeout = 5000 }: DoctorOptions,
): Check[] {
  const names = namesOf({ schema, table })
  const ask = async (sql: string, ...values: string[]) =>
    (await connection.query(sql, values, 'none')) as readonly string[][]
  const hasSessions = async () => (await inspected(connection, names)).isComplete
  const none = 'There are no sessions yet'
  return [
    { name: 'connection', look: () => connectionFound(ask) },
    { name: 'names', look: () => namesFound(connection, ask, names) },
    { name: 'rights', look: async () => ((await hasSessions()) ? rightsFound(ask, names) : none) },
    { name: 'indexes', look: () => indexesFound(connection, names, field) },
    { name: 'durability', look: () => durabilityFound(ask, names) },
    { name: 'waits', look: () => waitsFound(ask, timeout) },
    { name: 'clock', look: () => clockOf(ask) },
    { name: 'expired', look: async () => ((await hasSessions()) ? expiredIn(ask, names) : none) },
    { name: 'records', look: async () => ((await hasSessions()) ? recordsFound(ask, names) : none) },
  ]
}

/** The rows of a statement, all columns of which are texts. */
type Ask = (sql: string, ...values: string[]) => Promise<readonly (readonly string[])[]>

const OLDEST = 12

async function connectionFound(ask: Ask): Promise<readonly Fault[] | string> {
  const [row = []] = await ask(
    "SELECT current_setting('server_version_num'), current_setting('server_version'), pg_is_in_recovery()::text, current_setting('server_encoding')",
  )
  const [number, version, isStandby, encoding] = row
  const faults: Fault[] = []
  if (Number(number) < OLDEST * 10_000) {
    faults.push({
      severity: 'error',
      message: `The server is PostgreSQL ${version}, which lacks what the store needs`,
      advice: `Use PostgreSQL ${OLDEST} or newer`,
    })
  }
  if (isStandby === 'true') {
    faults.push({
      severity: 'error',
      message: 'The address leads to a standby, which takes no changes and may not know of a session yet',
      advice: 'Give the primary, as by target_session_attrs or an address that follows it',
    })
  }
  if (encoding !== 'UTF8') {
    faults.push({
      severity: 'error',
      message: `The database has the encoding ${encoding}, which lacks most characters`,
      advice: "Make a database WITH ENCODING 'UTF8'",
    })
  }
  return orFine(faults, `PostgreSQL ${version}`)
}

async function namesFound(
  connection: Connection,
  ask: Ask,
  names: Names,
): Promise<readonly Fault[] | string> {
  const { hasSessions, hasMeta, isComplete } = await inspected(connection, names)
  if (isComplete) {
    const fault = await serverOf(connection, names).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof ConfigurationError) return error.message
        throw error
      },
    )
    if (fault === undefined) return `The tables of ${names.shown} are there`
    return [
      { severity: 'error', message: fault, advice: 'Run one version of koa-atomic-session in all processes' },
    ]
  }
  if (hasSessions && !hasMeta) {
    return [
      {
        severity: 'error',
        message: `There is a table ${names.shown}, and it is none of this store's`,
        advice: 'Give postgresStore another table or schema',
      },
    ]
  }
  const others = await ask(
    "SELECT table_schema || '.' || table_name FROM information_schema.columns " +
      "WHERE column_name IN ('user_key', 'sweep_at', 'small', 'large') GROUP BY 1 HAVING count(*) = 4 ORDER BY 1",
  )
  const elsewhere = others.map(([name]) => name).filter(name => name !== names.shown)
  const hint = elsewhere.length > 0 ? `, but there are those of ${elsewhere.join(', ')}` : ''
  return [
    {
      severity: 'error',
      message: `The tables of ${names.shown} are missing${hint}`,
      advice:
        elsewhere.length > 0
          ? 'Give --schema and --table, or let the app use the tables that were meant'
          : 'Call await sessions.ensureIndex() when the app starts, or run the SQL of `koa-atomic-session schema`',
    },
  ]
}

async function rightsFound(ask: Ask, names: Names): Promise<readonly Fault[] | string> {
  const missing: string[] = []
  for (const table of [names.sessions, names.fields, names.meta]) {
    const wanted = table === names.meta ? ['SELECT'] : ['SELECT', 'INSERT', 'UPDATE', 'DELETE']
    for (const right of wanted) {
      const [row] = await ask(
        'SELECT has_table_privilege(to_regclass($1::text), $2::text)::text',
        table,
        right,
      )
      if (row?.[0] === 'false') missing.push(`${right} on ${table}`)
    }
  }
  if (missing.length === 0) return 'The role may do what the store does'
  return [
    {
      severity: 'error',
      message: `The role of this address lacks ${missing.join(', ')}`,
      advice: 'Grant SELECT, INSERT, UPDATE and DELETE on the three tables to the role of the app',
    },
  ]
}

async function indexesFound(
  connection: Connection,
  names: Names,
  field: string | undefined,
): Promise<readonly Fault[] | string> {
  const { hasSessions, isComplete, hasUserIndex } = await inspected(connection, names)
  if (!hasSessions) return 'There is nothing to index yet'
  const faults: Fault[] = []
  if (!isComplete) {
    faults.push({
      severity: 'warning',
      message: `The index ${names.sweepIndex} or a table beside ${names.shown} is missing, so that looking for expired sessions reads all of them`,
      advice: 'Call await sessions.ensureIndex(), or run the SQL of `koa-atomic-session schema`',
    })
  }
  const user = await serverOf(connection, names).then(
    server => server.user,
    () => undefined,
  )
  if (field !== undefined && (user !== field || !hasUserIndex)) {
    const instead = user === undefined || user === field ? '' : ` (it is by ${user})`
    faults.push({
      severity: 'warning',
      message: `There is no index by ${field}${instead}, so find() and endAll() look at every session`,
      advice: `Give Session the option user: '${field}', and call await sessions.ensureIndex() each time the app starts`,
    })
  }
  return orFine(faults, 'The indexes are there')
}

async function durabilityFound(ask: Ask, names: Names): Promise<readonly Fault[] | string> {
  const settings = ['synchronous_commit', 'fsync', 'full_page_writes']
  const [row = []] = await ask(`SELECT ${settings.map(name => `current_setting('${name}')`).join(', ')}`)
  const [synchronousCommit, fsync, fullPageWrites] = row
  const faults: Fault[] = []
  if (synchronousCommit === 'off') {
    faults.push({
      severity: 'warning',
      message:
        'synchronous_commit is off. A crash loses what was acknowledged in the last moments, the end of a session among it',
      advice: 'Set synchronous_commit to on for the role of the app, or for all',
    })
  }
  const off = [fsync === 'off' && 'fsync', fullPageWrites === 'off' && 'full_page_writes'].filter(Boolean)
  if (off.length > 0) {
    faults.push({
      severity: 'error',
      message: `${off.join(' and ')} ${off.length === 1 ? 'is' : 'are'} off. A crash of the machine may lose all data of this server`,
      advice: 'Set fsync and full_page_writes to on',
    })
  }
  const [persistence] = await ask(
    'SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass($1::text)',
    names.sessions,
  )
  if (persistence?.[0] === 'u') {
    faults.push({
      severity: 'warning',
      message: `The tables of ${names.shown} are unlogged. PostgreSQL empties them after a crash, and standbys do not have them`,
      advice: `If that is not meant: ALTER TABLE ${names.sessions} SET LOGGED, and likewise the others. Else give --skip durability`,
    })
  }
  return orFine(faults, 'What is acknowledged is on disk')
}

async function waitsFound(ask: Ask, timeout: number): Promise<readonly Fault[] | string> {
  const [row] = await ask("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'")
  const ms = Number(row?.[0])
  if (ms > 0 && ms <= timeout) return 'A statement ends no later than its request'
  return [
    {
      severity: 'warning',
      message: `statement_timeout is ${ms > 0 ? `${ms} ms` : 'not set'} for this role, and the app's timeout is ${timeout} ms. A change that waits for a lock may be made after its request was answered with 503`,
      advice: `ALTER ROLE … SET statement_timeout = '${timeout}ms'. If the app gives it to its pool, check that, and give --skip waits`,
    },
  ]
}

async function clockOf(ask: Ask): Promise<readonly Fault[] | string> {
  const before = Date.now()
  const [row] = await ask('SELECT floor(extract(epoch from clock_timestamp()) * 1000)::text')
  return clockFound(
    Number(row?.[0]),
    before,
    Date.now(),
    "The server's clock decides when a session has expired, and the app's when it should",
  )
}

async function expiredIn(ask: Ask, names: Names): Promise<readonly Fault[] | string> {
  const limit = `statement_timestamp() - interval '${GRACE} milliseconds'`
  const [row] = await ask(
    'SELECT count(*)::text, floor(extract(epoch from min(expires)) * 1000)::text ' +
      `FROM ${names.sessions} WHERE sweep_at <= ${limit} AND expires <= ${limit}`,
  )
  const count = Number(row?.[0])
  const oldest = count > 0 ? new Date(Number(row?.[1])) : undefined
  return expiredFound(
    count,
    oldest,
    'Each process of the app removes them once a minute. If none lives that long, call sessions.sweep() from a scheduled job.',
  )
}

/** So many records are looked at. */
const MOST = 100_000

async function recordsFound(ask: Ask, names: Names): Promise<readonly Fault[] | string> {
  const [row] = await ask(
    `SELECT count(*) FILTER (WHERE id !~ '^[0-9a-f]{64}$')::text,
      count(*) FILTER (WHERE jsonb_typeof(small) = 'object' AND EXISTS (
        SELECT FROM jsonb_each(CASE jsonb_typeof(small) WHEN 'object' THEN small ELSE '{}' END) AS field
        WHERE jsonb_typeof(field.value) = 'array'
          OR jsonb_typeof(field.value) = 'object' AND NOT field.value ?| ARRAY['d', 'l', 'j', 'b']))::text,
      count(*) FILTER (WHERE jsonb_typeof(small) <> 'object' OR jsonb_typeof(large) <> 'object' OR max_age < 0 OR rev < 0
        OR EXISTS (SELECT FROM jsonb_object_keys(CASE jsonb_typeof(large) WHEN 'object' THEN large ELSE '{}' END) AS name
          WHERE NOT EXISTS (SELECT FROM ${names.fields} AS f WHERE f.id = s.id AND f.name = name)))::text,
      count(*)::text
      FROM (SELECT * FROM ${names.sessions} LIMIT ${MOST}) AS s`,
  )
  const [others, unknown, broken, all] = (row ?? []).map(Number) as [number, number, number, number]
  const faults = recordFaults({ others, unknown, broken }, 'Rows', `the table ${names.shown}`)
  return orFine(faults, all === MOST ? `The first ${MOST} records are ours` : 'All records are ours')
}
