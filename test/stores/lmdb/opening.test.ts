import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { serialize } from 'bson'
import { StoreUnavailableError } from '../../../src/errors.ts'
import { META } from '../../../src/stores/lmdb/keys.ts'
import { lmdbStore } from '../../../src/stores/lmdb/store.ts'
import { aChange, aSession, fieldsOf, inc, together } from '../../contract/records.ts'
import { builtStore, Counter } from '../../support/lmdb/counter.ts'
import {
  aPath,
  aStore,
  countsOf,
  isConfigurationError,
  type LMDBStore,
  theFile,
} from '../../support/lmdb/files.ts'

const run = promisify(execFile)

const OPENINGS = 200

test('opening and closing a file loses nothing of what other processes write to it', async t => {
  const path = aPath(t)
  const first = aStore(t, path)
  const { id } = await aSession(first, { n: 0 })
  const counter = new Counter(builtStore('lmdb-opening'), path, id, { size: 0 })
  t.after(() => counter.kill())
  await counter.begun()
  await first.close()
  for (let opening = 0; opening < OPENINGS; opening++) {
    await aStore(t, path).close()
    // Reads what the counter tells, which else would have to wait.
    await setImmediate()
  }
  counter.kill()

  const counts = await counter.counts()
  assert.deepEqual(
    counts,
    counts.map((_, index) => index + 1),
  )
  t.diagnostic(`${counts.length} changes during ${OPENINGS} openings`)
})

test('processes that open and close one file all the time always can', async t => {
  const path = aPath(t)
  const store = builtStore('lmdb-opening')
  const program = `
    const { lmdbStore } = await import(${JSON.stringify(store)})
    for (let opening = 0; opening < ${5 * OPENINGS}; opening++) await lmdbStore({ path: ${JSON.stringify(path)} }).close()`
  const opener = () => run(process.execPath, ['--input-type=module', '--eval', program])
  await Promise.all([opener(), opener()])
})

test('hundreds of stores use one file at a time', async t => {
  const path = aPath(t)
  const stores = Array.from({ length: 300 }, () => aStore(t, path))
  const { id } = await aSession(stores[0] as LMDBStore, { n: 0 })
  await Promise.all(stores.map(store => store.update(id, aChange(inc('n')))))
  assert.equal((await fieldsOf(stores[299] as LMDBStore, id)).n, 300)
})

test('a file that has been removed or replaced while it is open is not written to any more, nor read', async t => {
  for (const leave of [rmSync, (path: string) => renameSync(path, `${path}-old`)]) {
    const path = aPath(t)
    const store = aStore(t, path)
    const { id } = await aSession(store, { n: 0 })
    leave(path)
    if (leave !== rmSync) rmSync(`${path}-old`)
    const isGone = (error: unknown) => {
      assert.ok(error instanceof StoreUnavailableError && error.outcome === 'none', String(error))
      assert.match(error.message, /removed or replaced/)
      return true
    }
    await assert.rejects(store.update(id, aChange(inc('n'))), isGone)
    await assert.rejects(store.load(id), isGone)
  }
})

test('a worker thread is refused, which would leave the file locked if it were ended while it writes', async t => {
  const path = aPath(t)
  const store = builtStore('lmdb-opening')
  const worker = new Worker(
    `const { workerData: { store, path } } = require('node:worker_threads')
    import(store).then(({ lmdbStore }) => lmdbStore({ path }))`,
    { eval: true, workerData: { store, path } },
  )
  const [error] = await once(worker, 'error')
  assert.match(String(error), /lmdbStore is for the main thread/)
  assert.deepEqual(readdirSync(dirname(path)), [])
})

test('nobody but the owner may read the file, or hold its locks', async t => {
  const path = aPath(t)
  await aSession(aStore(t, path))
  for (const file of [path, `${path}-lock`, `${path}-mutex`, `${path}-mutex-lock`]) {
    assert.equal(statSync(file).mode & 0o777, 0o600, file)
  }
})

test('a file has the same locks by whatever name it is opened', async t => {
  const path = aPath(t)
  const link = join(dirname(path), 'link')
  symlinkSync(path, link)
  const { id } = await aSession(aStore(t, link), { n: 1 })
  assert.equal((await fieldsOf(aStore(t, path), id)).n, 1)
  assert.deepEqual(readdirSync(dirname(path)).sort(), [
    'link',
    'sessions.lmdb',
    'sessions.lmdb-lock',
    'sessions.lmdb-mutex',
    'sessions.lmdb-mutex-lock',
  ])
})

test('a file that is no session store is refused and left as it is', async t => {
  const path = aPath(t)
  for (const content of ['short', 'a text that is longer than the header of an LMDB file '.repeat(300)]) {
    writeFileSync(path, content)
    assert.throws(() => lmdbStore({ path }), isConfigurationError(/something else/))
    assert.equal(readFileSync(path, 'utf8'), content)
  }
})

test('another program’s LMDB file is refused and left as it is', async t => {
  const path = aPath(t)
  const { open }: typeof import('lmdb') = createRequire(import.meta.url)('lmdb')
  const theirs = open({ path, noSubdir: true })
  await theirs.put('key', 'value')
  await theirs.close()
  const before = readFileSync(path)
  assert.throws(() => lmdbStore({ path }), isConfigurationError(/something else/))
  assert.deepEqual(readFileSync(path), before)
})

test('a file that has been cut short is refused and left as it is', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await together(200, () => aSession(store, { text: 'x'.repeat(5000) }))
  await store.close()
  const half = readFileSync(path).subarray(0, 500_000)
  writeFileSync(path, half)
  assert.throws(() => lmdbStore({ path }), isConfigurationError(/cut short/))
  assert.deepEqual(readFileSync(path), half)
})

test('a file, or its mutex, of which there is hardly the beginning is refused and left as it is', async t => {
  const path = aPath(t)
  await aStore(t, path).close()
  for (const file of [path, `${path}-mutex`]) {
    const whole = readFileSync(file)
    writeFileSync(file, whole.subarray(0, 5000))
    assert.throws(() => lmdbStore({ path }), isConfigurationError(/cut short/))
    assert.deepEqual(readFileSync(file), whole.subarray(0, 5000))
    writeFileSync(file, whole)
  }
  await aSession(aStore(t, path))
})

test('a file of another format is refused and left as it is', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await aSession(store)
  const file = theFile(t, path)
  const future = serialize({ format: 2, sessions: 'elsewhere' })
  await file.write(() => file.put(META, future))
  // Even where it was open before another version took it over.
  await assert.rejects(aSession(store), isConfigurationError(/format 2/))
  assert.deepEqual(countsOf(file), { e: 1, m: 1, s: 1 })
  await store.close()
  await file.close()
  const before = readFileSync(path)
  assert.throws(() => lmdbStore({ path }), isConfigurationError(/format 2.*format 1/))
  assert.deepEqual(readFileSync(path), before)
})

test('a file is not opened where it cannot be', async t => {
  const path = aPath(t)
  assert.throws(() => lmdbStore({ path: dirname(path) }), isConfigurationError(/no file/))
  const missing = join(dirname(path), 'missing', 'sessions.lmdb')
  assert.throws(() => lmdbStore({ path: missing }), isConfigurationError(/folder.*does not exist.*missing/))
})

test('a file that has two names, and might have two locks, is refused', async t => {
  const path = aPath(t)
  await aStore(t, path).close()
  linkSync(path, `${path}-2`)
  assert.throws(() => lmdbStore({ path: `${path}-2` }), isConfigurationError(/another name/))
  rmSync(`${path}-2`)
  await aSession(aStore(t, path))
})

test('a file whose locks cannot be used is refused', async t => {
  const path = aPath(t)
  mkdirSync(`${path}-lock`)
  assert.throws(() => lmdbStore({ path }), isConfigurationError(/-lock is no file/))
})

test('a file that may not be read, or a folder that may not be written to, is refused', async t => {
  const path = aPath(t)
  const folder = join(dirname(path), 'readonly')
  chmodSync(dirname(path), 0o755)
  writeFileSync(path, '')
  chmodSync(path, 0)
  mkdirSync(folder, 0o555)
  asNobodySpecial(() => {
    assert.throws(() => lmdbStore({ path }), isConfigurationError(/cannot be opened/))
    assert.throws(() => lmdbStore({ path: join(folder, 'new') }), isConfigurationError(/cannot be opened/))
  })
})

/** To root nothing is forbidden. */
function asNobodySpecial(act: () => void): void {
  const isRoot = process.geteuid?.() === 0
  if (isRoot) process.seteuid?.(65_534)
  try {
    act()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

test('an empty file becomes a store', async t => {
  const path = aPath(t)
  writeFileSync(path, '')
  const store = aStore(t, path)
  const record = await aSession(store)
  assert.deepEqual(await store.load(record.id), record)
})

test('a file is not opened with two durabilities at a time', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await aSession(store)
  assert.throws(() => lmdbStore({ path, durability: 'disk' }), isConfigurationError(/durability 'process'/))
  await aSession(store)
  await store.close()
  const other = aStore(t, path, { durability: 'disk' })
  await aSession(other)
  assert.throws(() => lmdbStore({ path }), isConfigurationError(/durability 'disk'/))
})
