import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { diskOf } from '../../../src/cli/sqlite/disk.ts'
import { idOf, newSecret } from '../../../src/ids.ts'
import type { SQLiteDatabase } from '../../../src/stores/sqlite/driver.ts'
import { sqliteStore } from '../../../src/stores/sqlite/store.ts'
import { aSession } from '../../contract/records.ts'
import { root } from '../../support/documents.ts'
import { theDatabase } from '../../support/sqlite/files.ts'
import { assertFound, assertWell, diagnosed } from '../diagnosed.ts'
import { given } from '../terminal.ts'

const HOUR = 3_600_000

/** A file's name in a folder of its own below another: where others keep temporary files is in memory on some machines. */
function aName(t: TestContext, parent = join(root, 'node_modules/.cache')): string {
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, 'doctor-'))
  t.after(() => rm(folder, { recursive: true }))
  return join(folder, 'sessions.sqlite')
}

/** A file that is set up as it should be, with a session. Its store is closed. */
async function aRightFile(t: TestContext, path = aName(t)): Promise<string> {
  const store = sqliteStore({ path })
  await store.ensureIndex?.('user_id')
  await aSession(store, { user_id: 'ada' })
  await store.close?.()
  return path
}

/** Does something to the file by hand. */
function altered(t: TestContext, path: string, alter: (db: SQLiteDatabase) => unknown): void {
  alter(theDatabase(t, path))
}

suite('in SQLite the doctor', () => {
  test('finds nothing wrong where all is right, and leaves nothing behind', async t => {
    const path = await aRightFile(t)
    const before = readdirSync(dirname(path))
    assertWell(await diagnosed(path, '--field', 'user_id'), 'durability')
    assert.deepEqual(readdirSync(dirname(path)), before)
  })

  test('finds that there is no file, and makes none', async t => {
    const path = aName(t)
    assertFound(await diagnosed(path), 'connection', 'error', /There is no file/)
    assert.ok(!existsSync(path))
  })

  test('finds that the file is none of ours, or of another version', async t => {
    const text = aName(t)
    writeFileSync(text, 'Dear diary,'.repeat(500))
    assertFound(await diagnosed(text), 'connection', 'error', /cannot be read as an SQLite database/)
    const foreign = aName(t)
    writeFileSync(foreign, '')
    altered(t, foreign, db => db.exec('CREATE TABLE notes (text)'))
    assertFound(await diagnosed(foreign), 'names', 'error', /something else than sessions/)
    const later = await aRightFile(t)
    altered(t, later, db => db.exec('PRAGMA user_version = 9'))
    assertFound(await diagnosed(later), 'names', 'error', /has form 9/)
  })

  test('finds that others may read the file, or that it has another name', async t => {
    const path = await aRightFile(t)
    chmodSync(path, 0o644)
    linkSync(path, `${path}-too`)
    const findings = await diagnosed(path)
    assertFound(findings, 'rights', 'warning', /Others than its owner/)
    assertFound(findings, 'rights', 'error', /another name/)
  })

  const withoutRoot =
    process.getuid?.() === 0 ? false : 'NOT TESTED: files of other users, which only root may make'
  test('finds files that the app cannot write, and makes none itself', { skip: withoutRoot }, async t => {
    const path = await aRightFile(t)
    chownSync(path, 1234, 1234)
    assertFound(await diagnosed(path), 'rights', 'error', /-reserve belongs to another user/)
    const { code, told } = await given(['count', path])
    assert.match(told, /belongs to user 1234, and you are user 0.*sudo -u '#1234'/)
    assert.equal(code, 2)
  })

  test('finds that indexes are missing', async t => {
    const path = await aRightFile(t)
    assertFound(
      await diagnosed(path, '--field', 'owner'),
      'indexes',
      'warning',
      /by owner \(it is by user_id\)/,
    )
    altered(t, path, db => db.exec('DROP INDEX sessions_by_expiry'))
    assertFound(await diagnosed(path), 'indexes', 'warning', /sessions_by_expiry is missing/)
  })

  test('finds a journal that makes readers and writers wait', async t => {
    const path = await aRightFile(t)
    const copy = aName(t)
    altered(t, path, db => db.exec(`VACUUM INTO '${copy}'`))
    assertFound(await diagnosed(copy), 'durability', 'warning', /journal mode is delete/)
  })

  const memory = '/dev/shm'
  const withoutMemory =
    existsSync(memory) && diskOf(join(memory, 'x')) === 'memory'
      ? false
      : 'no file system in memory at /dev/shm'
  test('finds a file that is gone when the machine restarts', { skip: withoutMemory }, async t => {
    const path = await aRightFile(t, aName(t, memory))
    assertFound(await diagnosed(path), 'durability', 'error', /in memory/)
  })

  test('finds expired sessions that nobody removes', async t => {
    const path = await aRightFile(t)
    altered(t, path, db => db.exec(`UPDATE sessions SET expires = ${Date.now() - HOUR}`))
    assertFound(await diagnosed(path), 'expired', 'warning', /^Expired sessions .*: 1/)
  })

  test('finds records that are none of ours, of an unknown version, or altered', async t => {
    const path = await aRightFile(t)
    const expires = Date.now() + HOUR
    altered(t, path, db => {
      const add = db.prepare(
        `INSERT INTO sessions (id, v, created, expires, maxAge, rev, fields) VALUES (?, ?, 0, ${expires}, 1000, 1, ?)`,
      )
      add.run('abc', 2, Buffer.from([5, 0, 0, 0, 0]))
      add.run(idOf(newSecret()), 3, null)
      add.run(idOf(newSecret()), 2, Buffer.from('not BSON'))
    })
    const findings = await diagnosed(path)
    assertFound(findings, 'records', 'warning', /^Rows in .* no sessions of this library: 1/)
    assertFound(findings, 'records', 'error', /^Rows in .* does not know: 1/)
    assertFound(findings, 'records', 'warning', /^Rows in .* altered.*: 1/)
  })
})
