import { ConfigurationError } from '../../errors.ts'
import { Query, type SQLiteDatabase } from './driver.ts'

/** What an acknowledged change survives. */
export type Durability = 'process' | 'disk'

/** `koas`: by this the file is told from other programs' databases. */
export const APPLICATION_ID = 0x6b6f6173

/** The form of the tables. */
export const FORM = 1

/**
 * All instants are milliseconds since the epoch. Of a session that has ended, `v` is -2, `created` is when it ended, and
 * `fields` is null. `user` is what a session is found by: what it has at `userPath`, of which `session_file`, always one row,
 * tells. The form is there too, so that it is read with what a transaction has to read anyway.
 */
const TABLES = `
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    v INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    absolute INTEGER,
    maxAge INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    next TEXT,
    user TEXT,
    fields BLOB
  );
  CREATE INDEX sessions_by_expiry ON sessions (expires, v);
  CREATE INDEX sessions_by_user ON sessions (user) WHERE user IS NOT NULL;
  CREATE TABLE session_file (form INTEGER NOT NULL, userPath TEXT, isIndexed INTEGER NOT NULL);
  INSERT INTO session_file VALUES (${FORM}, NULL, 0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORM};
`

/** Creates the tables if there are none. Throws for a database of another program, and does not change it. */
export function prepareFile(db: SQLiteDatabase, durability: Durability, path: string): void {
  const isNew = atOneMoment(db, () => isEmpty(db, path))
  // A change writes whole pages. With SQLite's own 4096 bytes it takes a seventh longer, with 1024 a large session twice as long.
  if (isNew) db.exec('PRAGMA main.page_size = 2048')
  // A copy made by VACUUM INTO has no log any more.
  db.exec('PRAGMA main.journal_mode = WAL')
  // With a write-ahead log NORMAL may lose the last commits with the power, and no more. FULL flushes each.
  db.exec(`PRAGMA main.synchronous = ${durability === 'disk' ? 'FULL' : 'NORMAL'}`)
  db.exec('PRAGMA trusted_schema = OFF')
  db.exec('PRAGMA cell_size_check = ON')
  if (!isNew) return
  db.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been faster.
    if (isEmpty(db, path)) db.exec(TABLES)
    db.exec('COMMIT')
  } catch (error) {
    rollBack(db)
    throw error
  }
}

/** Calls `look` in a transaction: another process may be making the tables. */
function atOneMoment<T>(db: SQLiteDatabase, look: () => T): T {
  db.exec('BEGIN')
  try {
    // Where it is locked libsql leaves begun what it was to prepare, but not what it was to execute.
    db.exec('SELECT 1 FROM sqlite_schema LIMIT 1')
    return look()
  } finally {
    rollBack(db)
  }
}

/** Whether there is nothing in it yet. Throws if there is something else than sessions of this form. */
function isEmpty(db: SQLiteDatabase, path: string): boolean {
  const application = numberOf(db, 'PRAGMA application_id')
  const form = numberOf(db, 'PRAGMA user_version')
  if (application === APPLICATION_ID) {
    assertForm(form, path)
    return false
  }
  if (application === 0 && form === 0 && numberOf(db, 'SELECT count(*) FROM sqlite_schema') === 0) return true
  throw new ConfigurationError(`${path} holds something else than sessions; it was left as it is`)
}

/** Throws for what another version of this store has written, which is then left as it is. */
export function assertForm(form: number | undefined, path: string): void {
  if (form === FORM) return
  throw new ConfigurationError(
    `${path} has form ${form}, and this version of koa-atomic-session writes form ${FORM}: ` +
      'use the version that made it, or another file',
  )
}

export function numberOf(db: SQLiteDatabase, sql: string): number {
  return new Query<[number]>(db, sql).row()?.[0] ?? 0
}

/** If SQLite has not done so itself. */
export function rollBack(db: SQLiteDatabase): void {
  try {
    db.exec('ROLLBACK')
  } catch {
    // There is none under way.
  }
}
