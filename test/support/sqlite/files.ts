import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ConfigurationError } from '../../../src/errors.ts'
import type { Store } from '../../../src/store/store.ts'
import { loadDriver, type SQLiteDatabase } from '../../../src/stores/sqlite/driver.ts'
import { type SQLiteStoreOptions, sqliteStore } from '../../../src/stores/sqlite/store.ts'

/** What the SQLite store has of optional methods. */
export type SQLiteStore = Required<Store>

/** What has to be closed before its file is removed. */
const closings = new WeakMap<TestContext, (() => unknown)[]>()

/** A file's name in a folder of its own, which is removed when the test ends. */
export function aPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sqlite-'))
  t.after(async () => {
    for (const close of closings.get(t)?.splice(0) ?? []) await close()
    await rm(folder, { recursive: true })
  })
  return join(folder, 'sessions.sqlite')
}

function closedAtTheEnd(t: TestContext, close: () => unknown): void {
  const known = closings.get(t)
  if (known) known.push(close)
  else closings.set(t, [close])
}

/** A store that closes itself when the test ends. */
export function aStore(
  t: TestContext,
  path = aPath(t),
  options: Partial<SQLiteStoreOptions> = {},
): SQLiteStore {
  const store = sqliteStore({ path, ...options }) as SQLiteStore
  closedAtTheEnd(t, () => store.close())
  return store
}

/** The file itself, beside the stores that use it, opened with the driver that they have. */
export function theDatabase(t: TestContext, path: string): SQLiteDatabase {
  const Database = loadDriver()
  const db = new Database(path)
  db.exec('PRAGMA busy_timeout = 5000')
  closedAtTheEnd(t, () => db.close())
  return db
}

/** How many rows of the sessions there are, or of some of them. */
export function countIn(db: SQLiteDatabase, where = 'true'): number {
  const row = db.prepare(`SELECT count(*) AS count FROM sessions WHERE ${where}`).get()
  return (row as { count: number }).count
}

/** Waits for what another turn of the event loop, or another process, brings about. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(resolve => setTimeout(resolve, 2))
}

/** For `assert.throws`. */
export function isConfigurationError(message: RegExp): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof ConfigurationError, String(error))
    assert.match(error.message, message)
    return true
  }
}
