import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { SessionRecord } from '../../../src/store/record.ts'
import {
  aChange,
  aRecord,
  aSecondAgo,
  aSession,
  fieldsOf,
  inAnHour,
  inc,
  set,
} from '../../contract/records.ts'
import { aStore, countIn, type SQLiteStore, theDatabase, until } from '../../support/sqlite/files.ts'

const MiB = 1024 * 1024

const withoutDisks = !canMount() && 'NOT TESTED: full disks, for which only root may make a small one'

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'disk-'))
  const isDone = spawnSync('mount', ['-t', 'tmpfs', 'none', folder]).status === 0
  if (isDone) spawnSync('umount', [folder])
  rmSync(folder, { recursive: true })
  return isDone
}

/** A store on a disk of its own, of so many MiB, which `fill` leaves no byte free of, until `release`. */
function onSmallDisk(t: TestContext, size = 28) {
  const folder = mkdtempSync(join(tmpdir(), 'disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'none', folder])
  const path = join(folder, 'sessions.sqlite')
  const store = aStore(t, path)
  t.after(async () => {
    await store.close()
    // libsql closes its file with its garbage.
    execFileSync('umount', ['--lazy', folder])
    rmSync(folder, { recursive: true })
  })
  const filler = join(folder, 'filler')
  writeFileSync(filler, Buffer.alloc(4 * MiB))
  return { path, store, fill: () => fill(filler), release: () => rmSync(filler, { force: true }) }
}

/** By another program. */
function fill(path: string): void {
  const fd = openSync(path, 'a')
  try {
    for (const part of [Buffer.alloc(64 * 1024), Buffer.alloc(1)]) {
      try {
        for (;;) if (writeSync(fd, part) < part.length) break
      } catch {
        // It is full.
      }
    }
  } finally {
    closeSync(fd)
  }
}

function isFull(error: unknown): true {
  assert.ok(error instanceof StoreUnavailableError, String(error))
  assert.equal(error.outcome, 'none')
  assert.equal(error.status, 503)
  assert.match(error.message, /no room/)
  return true
}

const large = 'x'.repeat(100_000)

/** Stores sessions until there is no room for more. */
async function filled(store: SQLiteStore, rest: Partial<SessionRecord> = {}): Promise<SessionRecord[]> {
  const records: SessionRecord[] = []
  for (;;) {
    const record = aRecord({ n: 0, large }, rest)
    try {
      await store.insert(record)
    } catch (error) {
      assert.ok(isFull(error))
      return records
    }
    records.push(record)
  }
}

test('a full disk refuses writes, keeps what was acknowledged, and is left alone by the rest', {
  skip: withoutDisks,
}, async t => {
  const { store, fill, release } = onSmallDisk(t)
  const first = await aSession(store, { n: 0, large })
  const records = [first, ...(await filled(store))]
  fill()
  assert.ok(records.length > 20, `${records.length}`)
  for (const record of records) assert.deepEqual(await store.load(record.id), record)

  const attempts = await Promise.allSettled(
    records.map(({ id }) => store.update(id, aChange(inc('n'), set('more', large)))),
  )
  for (const attempt of attempts) assert.ok(attempt.status === 'fulfilled' || isFull(attempt.reason))
  assert.ok(attempts.some(({ status }) => status === 'rejected'))
  for (const [index, { id }] of records.entries()) {
    const { n } = await fieldsOf(store, id)
    assert.equal(n, attempts[index]?.status === 'fulfilled' ? 1 : 0)
  }

  release()
  await aSession(store, { large })
  assert.equal(typeof (await store.update(first.id, aChange(set('n', 7)))), 'object')
  assert.equal((await fieldsOf(store, first.id)).n, 7)
})

test('on a full disk every visitor can sign out', { skip: withoutDisks }, async t => {
  const { path, store, fill } = onSmallDisk(t)
  const small = await Promise.all(Array.from({ length: 300 }, () => aSession(store, { user: 'ada' })))
  const records = [...small, ...(await filled(store))]
  fill()
  for (const [index, { id }] of records.entries()) {
    if (index % 3 === 0) await store.delete(id)
    else assert.equal(await store.end(id, { ended: new Date() }, inAnHour()), true)
    const left = await store.load(id)
    assert.ok(index % 3 === 0 ? left === undefined : left && 'ended' in left)
    // Others take what becomes free.
    fill()
  }
  assert.equal(countIn(theDatabase(t, path), 'v = 2'), 0)
})

test('who signs out on a full disk can do so after the store was opened anew', {
  skip: withoutDisks,
}, async t => {
  const { path, store, fill } = onSmallDisk(t)
  const records = await filled(store)
  await store.close()
  fill()
  const again = aStore(t, path)
  for (const { id } of records) {
    assert.equal(await again.end(id, { ended: new Date() }, inAnHour()), true)
    fill()
  }
})

test('room for signing out is taken again as soon as there is some', { skip: withoutDisks }, async t => {
  const { path, store, fill, release } = onSmallDisk(t)
  const [record] = await filled(store)
  fill()
  await store.end((record as SessionRecord).id, { ended: new Date() }, inAnHour())
  release()
  aStore(t, path, { sweepEvery: 5 })
  await until(() => statSync(`${path}-reserve`).size >= 8 * MiB)
})

test('on a full disk a change that is too much does not take its neighbours along', {
  skip: withoutDisks,
}, async t => {
  const { store } = onSmallDisk(t)
  const { id } = await aSession(store, { n: 0 })
  const huge = aRecord({ huge: 'x'.repeat(15.9 * MiB) })
  const counted = () => store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' })
  const [before, refused, after] = await Promise.allSettled([counted(), store.insert(huge), counted()])
  assert.deepEqual(before, { status: 'fulfilled', value: { rev: 2, fields: { n: 1 } } })
  assert.ok(refused.status === 'rejected' && isFull(refused.reason))
  assert.deepEqual(after, { status: 'fulfilled', value: { rev: 3, fields: { n: 2 } } })
  assert.equal(await store.load(huge.id), undefined)
})

test('sweeping makes room on a full disk', { skip: withoutDisks }, async t => {
  const { path, store, fill } = onSmallDisk(t)
  const records = await filled(store, { expires: aSecondAgo() })
  fill()
  aStore(t, path, { sweepEvery: 5 })
  const db = theDatabase(t, path)
  await until(() => countIn(db) === 0)
  assert.ok((await filled(store)).length > records.length / 3)
})

test('on a full disk no file is made, and none is left that could not be opened', {
  skip: withoutDisks,
}, async t => {
  const { path, fill, release } = onSmallDisk(t, 16)
  const other = `${path}-other`
  fill()
  assert.throws(() => aStore(t, other), isFull)
  release()
  await aSession(aStore(t, other))
})
