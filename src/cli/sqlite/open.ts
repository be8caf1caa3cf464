import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigurationError } from '../../errors.ts'
import { bsonFor } from '../../stores/bson.ts'
import { loadDriver, type SQLiteDatabase } from '../../stores/sqlite/driver.ts'
import { numberOf } from '../../stores/sqlite/form.ts'
import { sqliteStore } from '../../stores/sqlite/store.ts'
import { type OpenedStore, orClosed } from '../opened.ts'
import type { Target } from '../target.ts'

/** The database, for looking at it only. */
function lookInto(path: string): SQLiteDatabase {
  const Database = loadDriver()
  const db = new Database(resolve(path))
  db.exec('PRAGMA query_only = ON')
  db.exec('PRAGMA busy_timeout = 5000')
  return db
}

/** @throws {ConfigurationError} where there is no such database, since the driver would make one. */
export function lookIntoExisting(path: string): SQLiteDatabase {
  const file = statSync(path, { throwIfNoEntry: false })
  if (!file) throw new ConfigurationError(`There is no file ${path}`)
  if (!file.isFile()) throw new ConfigurationError(`${path} is no file`)
  let db: SQLiteDatabase | undefined
  try {
    db = lookInto(path)
    // Only now is it read.
    numberOf(db, 'SELECT count(*) FROM sqlite_schema')
    return db
  } catch (error) {
    db?.close()
    throw new ConfigurationError(`${path} cannot be read as an SQLite database`, { cause: error })
  }
}

export async function openSQLite(target: Target): Promise<OpenedStore> {
  const bson = bsonFor('The SQLite store')
  const path = target.address
  assertUsable(path)
  const store = sqliteStore({ path, sweepEvery: '1 day' })
  const db = await orClosed(
    () => store.close?.(),
    () => lookInto(path),
  )
  return {
    target,
    store,
    bson,
    async userFields() {
      const { userPath } = db.prepare('SELECT userPath FROM session_file').get() as {
        userPath: string | null
      }
      return userPath === null ? [] : [userPath]
    },
    countExpired: async () => numberOf(db, `SELECT count(*) FROM sessions WHERE expires <= ${Date.now()}`),
    sweep: async () => (await store.sweep?.()) ?? 0,
    async close() {
      db.close()
      await store.close?.()
    },
  }
}

/** The store would make what is missing, and files beside it that belong to whoever gives the command. */
function assertUsable(path: string): void {
  const file = statSync(path, { throwIfNoEntry: false })
  if (!file) throw new ConfigurationError(`There is no file ${path}`)
  // All that was written may still be in the log.
  if (file.size === 0 && !existsSync(`${path}-wal`)) throw new ConfigurationError(`${path} is empty`)
  const user = process.getuid?.()
  if (user === undefined || user === file.uid) return
  throw new ConfigurationError(
    `${path} belongs to user ${file.uid}, and you are user ${user}: the app could not use what would be made beside it. Give the ` +
      `command as that user, such as by sudo -u '#${file.uid}'`,
  )
}
