import assert from 'node:assert/strict'
import { renameSync, statSync } from 'node:fs'
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
import { SmallDisk, withoutDisks } from '../../support/sqlite/disk.ts'
import { aStore, countIn, type SQLiteStore, theDatabase, until } from '../../support/sqlite/files.ts'

const MiB = 1024 * 1024

/** A store on a disk of its own, of so many MiB, a few of which another program has, which `fill` lets have all. */
function onSmallDisk(t: TestContext, size = 28) {
  const disk = new SmallDisk(size, 4)
  const path = join(disk.folder, 'sessions.sqlite')
  const store = aStore(t, path)
  t.after(async () => {
    await store.close()
    disk.remove()
  })
  return { path, store, fill: () => disk.fill(), release: () => disk.release() }
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

test('an app begins to serve on a disk without a byte left, and its visitors sign out', {
  skip: withoutDisks,
}, async t => {
  const { path, store, fill } = onSmallDisk(t)
  const records = await Promise.all(Array.from({ length: 20 }, () => aSession(store)))
  await store.close()
  // Nothing is there but the file itself, as after a restart of the machine.
  for (const name of ['', '-reserve']) renameSync(`${path}${name}`, `${path}-again${name}`)
  fill()
  const again = aStore(t, `${path}-again`)
  for (const record of records) {
    assert.deepEqual(await again.load(record.id), record)
    assert.equal(await again.end(record.id, { ended: new Date() }, inAnHour()), true)
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
