import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { lmdbStore } from '../../src/stores/lmdb.ts'
import { storeContract } from '../contract/index.ts'

function aPath(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'lmdb-'))
  t.after(() => rm(folder, { recursive: true }))
  return join(folder, 'sessions.lmdb')
}

storeContract(async t => {
  const store = lmdbStore({ path: aPath(t) })
  t.after(() => store.close?.())
  return store
})
