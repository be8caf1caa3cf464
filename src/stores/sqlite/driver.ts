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

/** The members of an open database that the store uses. */
export interface SQLiteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SQLiteStatement
  close(): unknown
}

/** What the drivers' statements have besides, each under names of its own. */
interface Settings {
  setReturnArrays?(isOn: boolean): unknown
  raw?(isOn: boolean): unknown
  setReadBigInts?(isOn: boolean): unknown
  safeIntegers?(isOn: boolean): unknown
}

/**
 * A statement that reads. Its rows are arrays, which drivers make faster than objects, and its integers are numbers, whatever the app
 * has set for its database.
 */
export class Query<Columns extends readonly unknown[]> {
  readonly #statement: SQLiteStatement

  constructor(db: SQLiteDatabase, sql: string) {
    this.#statement = db.prepare(sql)
    const settings = this.#statement as Settings
    if (settings.setReturnArrays) settings.setReturnArrays(true)
    else settings.raw?.(true)
    if (settings.setReadBigInts) settings.setReadBigInts(false)
    else settings.safeIntegers?.(false)
  }

  row(...values: SQLValue[]): Columns | undefined {
    const row = this.#statement.get(...values)
    return row === undefined ? undefined : columnsOf(row)
  }

  rows(...values: SQLValue[]): Columns[] {
    return this.#statement.all(...values).map(row => columnsOf<Columns>(row))
  }
}

/** Not every version of the drivers can read arrays. */
function columnsOf<Columns extends readonly unknown[]>(row: unknown): Columns {
  return (Array.isArray(row) ? row : Object.values(row as object)) as unknown as Columns
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
