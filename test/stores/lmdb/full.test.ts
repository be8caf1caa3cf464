import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
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
import { aPath, aStore, countsOf, type LMDBStore, theFile, until } from '../../support/lmdb/files.ts'

const MiB = 1024 * 1024
/** The kernel refuses to let this process write beyond a size as it refuses to write to a full disk. */
const withoutLimits =
  spawnSync('prlimit', ['--version']).status !== 0 &&
  'NOT TESTED: full disks, for want of prlimit (util-linux)'

function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
}

/** A store in whose file there is room for no more than about 20 MiB, until `release` is called. */
function onSmallDisk(t: TestContext): { path: string; store: LMDBStore; release: () => void } {
  const path = aPath(t)
  const store = aStore(t, path)
  const release = () => limitFiles('unlimited')
  t.after(release)
  limitFiles(20 * MiB)
  return { path, store, release }
}

function isFull(error: unknown): true {
  assert.ok(error instanceof StoreUnavailableError, String(error))
  assert.equal(error.outcome, 'none')
  assert.equal(error.status, 503)
  assert.match(error.message, /no room/)
  assert.equal((error.cause as { code?: unknown }).code, 'EFBIG')
  return true
}

const large = 'x'.repeat(100_000)

/** Stores sessions until there is no room for more. */
async function filled(store: LMDBStore, rest: Partial<SessionRecord> = {}): Promise<SessionRecord[]> {
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
  skip: withoutLimits,
}, async t => {
  const { store, release } = onSmallDisk(t)
  const records = await filled(store)
  assert.ok(records.length > 50)
  const [first, second, third] = records as [SessionRecord, SessionRecord, SessionRecord]
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

  // Signing out works, and makes room.
  assert.equal(await store.end(first.id, { ended: new Date() }, inAnHour()), true)
  await store.delete(second.id)
  assert.equal(await store.load(second.id), undefined)

  release()
  await aSession(store, { large })
  assert.deepEqual(await store.update(third.id, aChange(set('n', 7)), { paths: ['n'], when: 'after' }), {
    rev: attempts[2]?.status === 'fulfilled' ? 3 : 2,
    fields: { n: 7 },
  })
})

test('on a full disk a change that is too much does not take its neighbours along', {
  skip: withoutLimits,
}, async t => {
  const { store } = onSmallDisk(t)
  const { id } = await aSession(store, { n: 0 })
  const huge = aRecord({ huge: 'x'.repeat(14 * MiB) })
  const counted = () => store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' })
  const [before, refused, after] = await Promise.allSettled([counted(), store.insert(huge), counted()])
  assert.deepEqual(before, { status: 'fulfilled', value: { rev: 2, fields: { n: 1 } } })
  assert.ok(refused.status === 'rejected' && isFull(refused.reason))
  assert.deepEqual(after, { status: 'fulfilled', value: { rev: 3, fields: { n: 2 } } })
  assert.equal(await store.load(huge.id), undefined)
})

test('sweeping makes room on a full disk', { skip: withoutLimits }, async t => {
  const { path, store } = onSmallDisk(t)
  const records = await filled(store, { expires: aSecondAgo() })
  aStore(t, path, { sweepEvery: 5 })
  const file = theFile(t, path)
  await until(() => countsOf(file).s === undefined)
  assert.ok((await filled(store)).length > records.length / 2)
})

test('on a full disk no file is made, and none is left that could not be opened', {
  skip: withoutLimits,
}, async t => {
  const path = aPath(t)
  t.after(() => limitFiles('unlimited'))
  limitFiles(100_000)
  assert.throws(() => aStore(t, path), isFull)
  limitFiles('unlimited')
  await aSession(aStore(t, path))
})
