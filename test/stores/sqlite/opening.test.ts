import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
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
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { StoreUnavailableError } from '../../../src/errors.ts'
import { loadDriver, type SQLiteDatabase } from '../../../src/stores/sqlite/driver.ts'
import { sqliteStore } from '../../../src/stores/sqlite/store.ts'
import { aChange, anEndedSession, aSession, fieldsOf, inc, together } from '../../contract/records.ts'
import { builtStore, Counter } from '../../support/sqlite/counter.ts'
import {
  aPath,
  aStore,
  countIn,
  isConfigurationError,
  type SQLiteStore,
  theDatabase,
} from '../../support/sqlite/files.ts'

const run = promisify(execFile)

type AppDatabase = SQLiteDatabase & { defaultSafeIntegers?(isOn: boolean): void }

const OPENINGS = 200

test('opening and closing a file loses nothing of what other processes write to it', async t => {
  const path = aPath(t)
  const first = aStore(t, path)
  const { id } = await aSession(first, { n: 0 })
  const counter = new Counter(builtStore(), path, id, { size: 0 })
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
  const store = builtStore()
  const program = `
    const { sqliteStore } = await import(${JSON.stringify(store)})
    for (let opening = 0; opening < ${5 * OPENINGS}; opening++) await sqliteStore({ path: ${JSON.stringify(path)} }).close()`
  const opener = () => run(process.execPath, ['--input-type=module', '--eval', program])
  await Promise.all([opener(), opener()])
})

test('hundreds of stores use one file at a time', async t => {
  const path = aPath(t)
  const stores = Array.from({ length: 300 }, () => aStore(t, path))
  const { id } = await aSession(stores[0] as SQLiteStore, { n: 0 })
  await Promise.all(stores.map(store => store.update(id, aChange(inc('n')))))
  assert.equal((await fieldsOf(stores[299] as SQLiteStore, id)).n, 300)
})

test('a file that has been removed or replaced while it is open is not written to any more, nor read', async t => {
  for (const leave of [rmSync, (path: string) => renameSync(path, `${path}-old`)]) {
    const path = aPath(t)
    const store = aStore(t, path)
    const { id } = await aSession(store, { n: 0 })
    leave(path)
    if (leave !== rmSync) rmSync(`${path}-old`)
    const isGone = (error: unknown) => {
      assert.ok(error instanceof StoreUnavailableError, String(error))
      assert.match(error.message, /removed or replaced/)
      return true
    }
    await assert.rejects(store.update(id, aChange(inc('n'))), isGone)
    const isRefused = (error: unknown) => isGone(error) && (error as StoreUnavailableError).outcome === 'none'
    await assert.rejects(store.update(id, aChange(inc('n'))), isRefused)
    await assert.rejects(store.load(id), isRefused)
  }
})

test('a link that leads to another file by now is noticed before a change is acknowledged', async t => {
  const path = aPath(t)
  const link = join(dirname(path), 'current')
  symlinkSync(path, link)
  const store = aStore(t, link)
  const { id } = await aSession(store, { n: 0 })
  const other = aPath(t)
  await aStore(t, other).close()
  rmSync(link)
  symlinkSync(other, link)
  await assert.rejects(store.update(id, aChange(inc('n'))), /current has been removed or replaced/)
})

test('a file whose place cannot be checked after the commit has each change once, and its outcome is unknown', async t => {
  const path = aPath(t)
  const folder = join(dirname(path), 'folder')
  mkdirSync(folder)
  const store = aStore(t, join(folder, 'sessions.sqlite'))
  // Time stands still, so that the look before the commit is still valid.
  const now = performance.now()
  const clock = t.mock.method(performance, 'now', () => now)
  const { id } = await aSession(store, { n: 0 })
  renameSync(folder, `${folder}-old`)
  symlinkSync('folder', folder)
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => store.update(id, aChange(inc('n')))))
  rmSync(folder)
  renameSync(`${folder}-old`, folder)
  clock.mock.restore()
  for (const outcome of outcomes) {
    const error = outcome.status === 'rejected' ? outcome.reason : undefined
    assert.ok(error instanceof StoreUnavailableError && error.outcome === 'unknown', String(error))
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ELOOP')
  }
  assert.equal((await fieldsOf(store, id)).n, 3)
})

test('worker threads use a file as processes do, and one that is ended at any moment stops nobody', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0 })
  const built = builtStore()
  const program = `const { workerData: { built, path, id }, parentPort } = require('node:worker_threads')
    parentPort.on('message', () => process.exit())
    import(built).then(async ({ sqliteStore }) => {
      const store = sqliteStore({ path })
      const operations = [{ op: '$inc', path: 'n', arg: 1 }]
      for (;;) {
        await store.update(id, { guards: [], operations })
        parentPort.postMessage(1)
      }
    })`
  const acknowledged = { count: 0 }
  // The packages end the whole process where a thread is terminated during a call of theirs that fails.
  const isOwn = loadDriver().name === 'DatabaseSync'
  await together(3, async () => {
    const worker = new Worker(program, { eval: true, workerData: { built, path, id } })
    worker.on('message', () => acknowledged.count++)
    const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
    failed.catch(() => {})
    for (let messages = 0; messages < 50; messages++) await Promise.race([once(worker, 'message'), failed])
    if (isOwn) await worker.terminate()
    else {
      worker.postMessage('end')
      await once(worker, 'exit')
    }
  })
  const before = Number((await fieldsOf(store, id)).n)
  assert.ok(before >= acknowledged.count, `${before} of ${acknowledged.count}`)
  await store.update(id, aChange(inc('n')))
  assert.equal((await fieldsOf(store, id)).n, before + 1)
})

test('nobody but the owner may read the file, or what is beside it', async t => {
  const path = aPath(t)
  await aSession(aStore(t, path))
  for (const file of [path, `${path}-wal`, `${path}-shm`, `${path}-reserve`]) {
    assert.equal(statSync(file).mode & 0o777, 0o600, file)
  }
})

test('a file that is made where a link leads may be read by its owner only', async t => {
  const path = aPath(t)
  const target = `${path}-target`
  symlinkSync(target, path)
  await aSession(aStore(t, path))
  for (const file of [target, `${target}-wal`, `${target}-shm`, `${target}-reserve`]) {
    assert.equal(statSync(file).mode & 0o777, 0o600, file)
  }
})

test('a file whose maker was killed before it took away the first name is a store', async t => {
  const path = aPath(t)
  writeFileSync(path, '')
  const [trial, other] = ['.sessions.sqlite-new-1', '.sessions.sqlite-new-2'].map(name =>
    join(dirname(path), name),
  )
  linkSync(path, trial as string)
  writeFileSync(other as string, '')
  await aSession(aStore(t, path))
  // The other may be one that is being made.
  assert.deepEqual(
    [trial, other].map(file => existsSync(file as string)),
    [false, true],
  )
})

test('a file that another process makes a store of while it is looked at is that store', async t => {
  const path = aPath(t)
  const db = theDatabase(t, path)
  db.exec('PRAGMA journal_mode = WAL')
  let other: SQLiteStore | undefined
  const database = {
    exec: (sql: string) => db.exec(sql),
    prepare: (sql: string) => {
      if (sql === 'PRAGMA user_version') other ??= aStore(t, path)
      return db.prepare(sql)
    },
    close: () => db.close(),
  }
  const store = sqliteStore({ database }) as SQLiteStore
  const { id } = await aSession(store, { n: 1 })
  assert.equal((await fieldsOf(other as SQLiteStore, id)).n, 1)
  await store.close()
})

test('no store is made of a database with an open transaction', async t => {
  const path = aPath(t)
  for (const makeBefore of [() => undefined, () => aStore(t, path).close()]) {
    await makeBefore()
    const database = theDatabase(t, path)
    database.exec('BEGIN')
    assert.throws(() => sqliteStore({ database }), isConfigurationError(/has a transaction open: end it/))
    database.exec('ROLLBACK')
    await sqliteStore({ database }).close?.()
  }
})

test('a database is used whatever the app has set for what it reads', async t => {
  const path = aPath(t)
  const Database = loadDriver() as unknown as new (path: string, options: object) => AppDatabase
  const database = new Database(path, { readBigInts: true, returnArrays: true })
  t.after(() => database.close())
  database.defaultSafeIntegers?.(true)
  database.exec('PRAGMA full_column_names = 1; PRAGMA short_column_names = 0')
  const store = sqliteStore({ database }) as SQLiteStore
  await store.ensureIndex('user')
  const record = await aSession(store, { user: 'ada', n: 1 })
  const { id, tombstone } = await anEndedSession(store)
  assert.deepEqual(await store.update(record.id, aChange(inc('n'))), {})
  assert.deepEqual(await fieldsOf(store, record.id), { user: 'ada', n: 2 })
  assert.deepEqual(await store.load(id), tombstone)
  assert.equal(await store.count(), 1)
  for await (const one of store.find('user', 'ada')) assert.equal(one.id, record.id)
  await store.delete(record.id)
  assert.equal(await store.sweep(), 0)
  await store.close()
})

test('a file has the same log by whatever name it is opened', async t => {
  const path = aPath(t)
  const link = join(dirname(path), 'link')
  symlinkSync(path, link)
  const { id } = await aSession(aStore(t, link), { n: 1 })
  assert.equal((await fieldsOf(aStore(t, path), id)).n, 1)
  assert.deepEqual(readdirSync(dirname(path)).sort(), [
    'link',
    'sessions.sqlite',
    'sessions.sqlite-reserve',
    'sessions.sqlite-shm',
    'sessions.sqlite-wal',
  ])
})

test('a file that is no session store is refused and left as it is', async t => {
  const path = aPath(t)
  for (const content of ['short', 'a text that is longer than the header of an SQLite file '.repeat(300)]) {
    writeFileSync(path, content)
    assert.throws(() => sqliteStore({ path }), isConfigurationError(/something else/))
    assert.equal(readFileSync(path, 'utf8'), content)
  }
})

test('another program’s SQLite database is refused and left as it is', async t => {
  const path = aPath(t)
  const theirs = theDatabase(t, path)
  theirs.exec('CREATE TABLE theirs (a)')
  const before = readFileSync(path)
  assert.throws(() => sqliteStore({ path }), isConfigurationError(/something else/))
  assert.throws(() => sqliteStore({ database: theirs }), isConfigurationError(/something else/))
  assert.deepEqual(readFileSync(path), before)
})

test('a file that has been cut short is refused and left as it is', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await together(200, () => aSession(store, { text: 'x'.repeat(5000) }))
  await store.close()
  for (const length of [500_000, 5000]) {
    const part = readFileSync(path).subarray(0, length)
    writeFileSync(`${path}-${length}`, part)
    assert.throws(() => sqliteStore({ path: `${path}-${length}` }), isConfigurationError(/damaged/))
    assert.deepEqual(readFileSync(`${path}-${length}`), part)
  }
})

test('damage within the file makes the store unavailable, and says so', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const records = await together(200, () => aSession(store, { text: 'x'.repeat(2000) }))
  await store.close()
  const bytes = readFileSync(path)
  bytes.fill(0xff, 5 * 4096)
  writeFileSync(path, bytes)
  const damaged = aStore(t, path)
  const isUnavailable = (error: unknown) => error instanceof StoreUnavailableError && error.outcome === 'none'
  for (const { id } of records.slice(0, 5)) {
    await assert.rejects(damaged.load(id), isUnavailable)
    await assert.rejects(damaged.update(id, aChange(inc('n'))), isUnavailable)
  }
})

test('a file of another form is refused and left as it is', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await aSession(store)
  const db = theDatabase(t, path)
  db.exec('UPDATE session_file SET form = 2')
  db.exec('PRAGMA user_version = 2')
  // Even where it was open before another version took it over.
  await assert.rejects(aSession(store), isConfigurationError(/form 2/))
  assert.equal(countIn(db), 1)
  await store.close()
  const before = readFileSync(path)
  assert.throws(() => sqliteStore({ path }), isConfigurationError(/form 2.*form 1/))
  assert.deepEqual(readFileSync(path), before)
})

test('a file is not opened where it cannot be', async t => {
  const path = aPath(t)
  assert.throws(() => sqliteStore({ path: dirname(path) }), isConfigurationError(/no file/))
  const missing = join(dirname(path), 'missing', 'sessions.sqlite')
  assert.throws(() => sqliteStore({ path: missing }), isConfigurationError(/folder.*does not exist.*missing/))
})

test('a file that has two names, and might have two logs, is refused', async t => {
  const path = aPath(t)
  await aStore(t, path).close()
  linkSync(path, `${path}-2`)
  assert.throws(() => sqliteStore({ path: `${path}-2` }), isConfigurationError(/another name/))
  rmSync(`${path}-2`)
  await aSession(aStore(t, path))
})

test('a file that may not be read, or a folder that may not be written to, is refused', async t => {
  const path = aPath(t)
  const folder = join(dirname(path), 'readonly')
  chmodSync(dirname(path), 0o755)
  writeFileSync(path, '')
  chmodSync(path, 0)
  mkdirSync(folder, 0o555)
  asNobodySpecial(() => {
    assert.throws(() => sqliteStore({ path }), isConfigurationError(/cannot be opened/))
    assert.throws(() => sqliteStore({ path: join(folder, 'new') }), isConfigurationError(/cannot be opened/))
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

test('a file is used with two durabilities at a time', async t => {
  const path = aPath(t)
  const [fast, safe] = [aStore(t, path), aStore(t, path, { durability: 'disk' })]
  const { id } = await aSession(fast, { n: 0 })
  await Promise.all([fast, safe].map(store => store.update(id, aChange(inc('n')))))
  assert.equal((await fieldsOf(fast, id)).n, 2)
})

test('a copy that SQLite itself has made while the file was in use is a store', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const record = await aSession(store, { user: 'ada' })
  await store.ensureIndex('user')
  theDatabase(t, path).exec(`VACUUM INTO '${path}-copy'`)
  const copy = aStore(t, `${path}-copy`)
  assert.deepEqual(await copy.load(record.id), record)
  assert.equal(await copy.isIndexed('user'), true)
})

test('a closed store leaves all in the file itself, so that it can be moved without its log', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const record = await aSession(store)
  await store.close()
  renameSync(path, `${path}-moved`)
  assert.deepEqual(await aStore(t, `${path}-moved`).load(record.id), record)
})

test('a database that the app has opened is used, and left open', async t => {
  const path = aPath(t)
  const db = theDatabase(t, path)
  const store = sqliteStore({ database: db }) as SQLiteStore
  const record = await aSession(store, { a: 1 })
  assert.equal(Object.values(db.prepare('PRAGMA busy_timeout').get() as object)[0], 0)
  await store.close()
  assert.equal(countIn(db), 1)
  assert.deepEqual(await aStore(t, path).load(record.id), record)
})

test('sessions are kept in a database in memory, too', async t => {
  const store = sqliteStore({ database: theDatabase(t, ':memory:') }) as SQLiteStore
  const record = await aSession(store, { a: 1 })
  assert.deepEqual(await store.load(record.id), record)
  await store.close()
})
