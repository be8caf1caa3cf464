import { ConfigurationError } from '../../errors.ts'
import { requiredByProgram } from '../packages.ts'
import { requireNative } from '../require.cjs'

export type SQLValue = null | number | string | Uint8Array

/** The members of a statement that the store uses; `node:sqlite`, `better-sqlite3` and `libsql` all have them. */
export interface SQLiteStatement {
  run(...values: SQLValue[]): unknown
  get(...values: SQLValue[]): unknown
  all(...values: SQLValue[]): unknown[]
}

/** Has rows read as arrays, where the driver can do so: an object for each row takes it longer. */
export function withRowsAsArrays(statement: SQLiteStatement): SQLiteStatement {
  const { setReturnArrays, raw } = statement as {
    setReturnArrays?(on: boolean): void
    raw?(on: boolean): void
  }
  if (setReturnArrays) setReturnArrays.call(statement, true)
  else raw?.call(statement, true)
  return statement
}

/** The columns of a row that such a statement has read, in order. */
export function columnsOf<Columns extends unknown[]>(row: unknown): Columns {
  return (Array.isArray(row) ? row : Object.values(row as object)) as Columns
}

/** The members of an open database that the store uses. */
export interface SQLiteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SQLiteStatement
  close(): unknown
}

type DatabaseClass = new (path: string) => SQLiteDatabase

/** Loads `node:sqlite`, or else the first of the packages that works here. */
export function loadDriver(): DatabaseClass {
  const own = process.getBuiltinModule?.('node:sqlite') as { DatabaseSync: DatabaseClass } | undefined
  if (own) return own.DatabaseSync
  const causes: unknown[] = []
  for (const name of ['better-sqlite3', 'libsql']) {
    for (const load of [requireNative, requiredByProgram]) {
      try {
        const Database = load(name) as DatabaseClass
        // Only then does better-sqlite3 look for its native part.
        new Database(':memory:').close()
        return Database
      } catch (error) {
        causes.push(error)
      }
    }
  }
  throw Object.assign(
    new ConfigurationError(
      'sqliteStore needs node:sqlite, which Node.js has since 22.13, or one of the packages better-sqlite3 and libsql: ' +
        'npm install libsql',
    ),
    { cause: causes.find(isOfLoading) ?? causes[0] },
  )
}

/** Of a package that is there. */
function isOfLoading(error: unknown): boolean {
  return (error as { code?: unknown }).code !== 'MODULE_NOT_FOUND'
}
