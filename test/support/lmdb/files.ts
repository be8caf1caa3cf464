import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ConfigurationError } from '../../../src/errors.ts'
import type { Store } from '../../../src/store/store.ts'
import { SessionFile } from '../../../src/stores/lmdb/file.ts'
import { everything } from '../../../src/stores/lmdb/keys.ts'
import { type LMDBStoreOptions, lmdbStore } from '../../../src/stores/lmdb/store.ts'

/** What the LMDB store has of optional methods. */
export type LMDBStore = Required<Store>

/** A file's name in a folder of its own, which is removed when the test ends. */
export function aPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'lmdb-'))
  t.after(() => rm(folder, { recursive: true }))
  return join(folder, 'sessions.lmdb')
}

/** A store that closes itself when the test ends. */
export function aStore(t: TestContext, path = aPath(t), options: Partial<LMDBStoreOptions> = {}): LMDBStore {
  const store = lmdbStore({ path, ...options }) as LMDBStore
  t.after(() => store.close())
  return store
}

/** The file itself, beside the stores that use it. */
export function theFile(t: TestContext, path: string): SessionFile {
  const file = new SessionFile(path, 'process')
  t.after(() => file.close())
  return file
}

/** How many sessions and entries of indexes the file has, by the letter their keys begin with. */
export function countsOf(file: SessionFile): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const key of file.readKeys(everything, 1e6)) {
    const letter = key.toString('latin1', 0, 1)
    counts[letter] = 1 + (counts[letter] ?? 0)
  }
  return counts
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
