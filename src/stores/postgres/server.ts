import { ConfigurationError, StoreUnavailableError } from '../../errors.ts'
import type { Path } from '../../language/paths.ts'
import type { Connection } from './connection.ts'
import { type Names, SCHEMA_VERSION } from './names.ts'
import { milliseconds, NOW, Parameters } from './statement.ts'

/** What a process must know before it writes. */
export interface Server {
  /** The field of the index by user. */
  readonly user: Path | undefined
}

/** The oldest version whose language the statements are written in, as the server counts: 12. */
const OLDEST = 120_000

/** How far clocks may differ, in milliseconds: sessions live that much longer or shorter. */
const MAX_SKEW = 2000

/** Reads the store's own settings from its table. */
export async function serverOf(connection: Connection, names: Names): Promise<Server> {
  const sql = `SELECT m.version::text, m.user_path FROM ${names.meta} AS m`
  const [row] = await connection.query(sql, [], 'none')
  const [version, user = null] = row ?? []
  if (Number(version) !== SCHEMA_VERSION) {
    throw new ConfigurationError(
      `The tables of ${names.shown} are of version ${version ?? 'none'}, and this version of koa-atomic-session needs ${SCHEMA_VERSION}: ` +
        'use the version that made them, or other tables',
    )
  }
  return { user: user ?? undefined }
}

/** Which tables and indexes of `schemaOf` exist. */
export interface Inspection {
  readonly hasSessions: boolean
  readonly hasMeta: boolean
  /** The rest of the tables, and the index that sweeping needs. */
  readonly isComplete: boolean
  readonly hasUserIndex: boolean
}

export async function inspected(connection: Connection, names: Names): Promise<Inspection> {
  const parameters = new Parameters()
  const inSchema = (index: string) =>
    `to_regclass(${parameters.text(`${names.schema}.${index}`)}) IS NOT NULL`
  const isThere = (table: string) => `to_regclass(${parameters.text(table)}) IS NOT NULL`
  const columns = [
    isThere(names.sessions),
    isThere(names.meta),
    `${isThere(names.fields)} AND ${inSchema(names.sweepIndex)}`,
    inSchema(names.userIndex),
  ]
  const [row = []] = await connection.query(
    `SELECT ${columns.map(column => `(${column})::text`).join(', ')}`,
    parameters.values,
    'none',
  )
  const [hasSessions, hasMeta, hasRest, hasUserIndex] = row.map(text => text === 'true')
  return {
    hasSessions: hasSessions === true,
    hasMeta: hasMeta === true,
    isComplete: hasSessions === true && hasMeta === true && hasRest === true,
    hasUserIndex: hasUserIndex === true,
  }
}

/** Refuses or warns of server settings that break a promise. */
export async function assertUsable(connection: Connection): Promise<void> {
  connection.warn()
  const settings = [
    'server_version_num',
    'server_encoding',
    'synchronous_commit',
    'fsync',
    'full_page_writes',
  ]
  const columns = [
    'pg_is_in_recovery()::text',
    ...settings.map(name => `current_setting('${name}')`),
    milliseconds(NOW),
  ]
  const before = Date.now()
  const [row = []] = await connection.query(`SELECT ${columns.join(', ')}`, [], 'none')
  const after = Date.now()
  const [isStandby, version, encoding, synchronousCommit, fsync, fullPageWrites, now] = row
  if (isStandby === 'true') {
    throw new StoreUnavailableError(
      'pool leads to a standby, which takes no changes and may not know of a session yet: give the primary, as by ' +
        'target_session_attrs or several hosts',
      'none',
    )
  }
  if (Number(version) < OLDEST) {
    throw new ConfigurationError(
      `PostgreSQL ${OLDEST / 10_000} or newer is needed, not ${Math.floor(Number(version) / 10_000)}`,
    )
  }
  if (encoding !== 'UTF8') {
    throw new ConfigurationError(
      `The database has the encoding ${encoding}, which lacks most characters: it has to be UTF8`,
    )
  }
  if (synchronousCommit === 'off') {
    warn('synchronous_commit is off: what was acknowledged in the last moments before a crash is lost')
  }
  if (fsync === 'off' || fullPageWrites === 'off') {
    warn('fsync or full_page_writes is off: a crash may lose all sessions')
  }
  const skew = Number(now) - (before + after) / 2
  if (Math.abs(skew) > MAX_SKEW + (after - before) / 2) {
    const seconds = (Math.abs(skew) / 1000).toFixed(1)
    warn(
      `the server's clock is ${seconds} s ${skew > 0 ? 'ahead of' : 'behind'} this machine's: sessions end by it, so they live as much ` +
        `${skew > 0 ? 'shorter' : 'longer'}; synchronise both`,
    )
  }
}

function warn(what: string): void {
  process.emitWarning(`PostgreSQL: ${what}`, 'SessionWarning')
}
