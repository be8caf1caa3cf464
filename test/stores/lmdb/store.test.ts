import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Long, serialize } from 'bson'
import { IdTakenError, StoreUnavailableError } from '../../../src/errors.ts'
import type { SessionRecord } from '../../../src/store/record.ts'
import { sessionKey } from '../../../src/stores/lmdb/keys.ts'
import { type LMDBStoreOptions, lmdbStore } from '../../../src/stores/lmdb/store.ts'
import { storeContract } from '../../contract/index.ts'
import {
  aChange,
  anEndedSession,
  aRecord,
  aSecondAgo,
  aSession,
  beforeItsEnd,
  fieldsOf,
  inAnHour,
  inc,
  recordOf,
  set,
  soon,
  together,
  unset,
} from '../../contract/records.ts'
import {
  aPath,
  aStore,
  countsOf,
  isConfigurationError,
  type LMDBStore,
  theFile,
  until,
} from '../../support/lmdb/files.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const sweeping = { sweepEvery: 5 }

for (const durability of ['process', 'disk'] as const) {
  describe(durability, () => storeContract(async t => aStore(t, aPath(t), { durability })))
}

async function found(store: LMDBStore, path: string, value: unknown): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of store.find(path, value)) ids.push(id)
  return ids.sort()
}

function idsOf(records: readonly SessionRecord[]): string[] {
  return records.map(({ id }) => id).sort()
}

test('what was acknowledged is there when the file is opened again', async t => {
  const path = aPath(t)
  for (const durability of ['process', 'disk'] as const) {
    const store = aStore(t, path, { durability })
    const record = await aSession(store, { user: 'ada', n: 1 })
    await store.update(record.id, aChange(inc('n')))
    const { tombstone, id } = await anEndedSession(store)
    await store.close()
    const again = aStore(t, path, { durability })
    assert.deepEqual(await again.load(record.id), { ...record, rev: 2, fields: { user: 'ada', n: 2 } })
    assert.deepEqual(await again.load(id), tombstone)
    await again.close()
  }
})

test('two stores on one file see at once what the other has acknowledged', async t => {
  const path = aPath(t)
  const [one, other] = [aStore(t, path), aStore(t, path)]
  const { id } = await aSession(one, { n: 0 })
  for (let n = 1; n <= 200; n++) {
    const [writer, reader] = n % 2 ? [one, other] : [other, one]
    await writer.update(id, aChange(inc('n')))
    assert.equal((await fieldsOf(reader, id)).n, n)
  }
})

test('a closed store has kept what was asked for before, and says that it is closed', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { n: 0 })
  const pending = together(50, () => store.update(id, aChange(inc('n'))))
  const closed = store.close()
  assert.ok((await pending).every(outcome => typeof outcome === 'object'))
  await closed
  await store.close()
  const calls: (() => Promise<unknown>)[] = [
    () => store.insert(aRecord()),
    () => store.load(id),
    () => store.read(id, ['n']),
    () => store.update(id, aChange(inc('n'))),
    () => store.end(id, { ended: new Date() }, inAnHour()),
    () => store.delete(id),
    () => found(store, 'user', 'ada'),
    () => store.ensureIndex('user'),
  ]
  for (const call of calls) {
    await assert.rejects(call, (error: unknown) => {
      assert.ok(error instanceof StoreUnavailableError && error.outcome === 'none')
      assert.match(error.message, /closed/)
      return true
    })
  }
  assert.equal((await fieldsOf(aStore(t, path), id)).n, 50)
})

test('a program that does not close its store ends all the same', async t => {
  const program = `
    import { lmdbStore } from './src/stores/lmdb/store.ts'
    import { aSession } from './test/contract/records.ts'
    const store = lmdbStore({ path: ${JSON.stringify(aPath(t))}, sweepEvery: 5 })
    console.log((await aSession(store)).rev)`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  assert.equal(stdout, '1\n')
})

test('expired sessions and tombstones are removed from the file, with their index entries, and no others', async t => {
  const path = aPath(t)
  const store = aStore(t, path, sweeping)
  await store.ensureIndex('user')
  await together(300, () => aSession(store, { user: 'ada' }, { expires: aSecondAgo() }))
  const living = await together(20, () => aSession(store, { user: 'ada' }, { absolute: inAnHour() }))
  await aSession(store, { user: 'eve' }, { expires: aSecondAgo() })
  const ended = await aSession(store, { user: 'eve' })
  const standing = await anEndedSession(store, { user: 'eve' })
  await store.end(ended.id, { ended: new Date() }, aSecondAgo())
  const { done: moved } = await beforeItsEnd(async end => {
    const { id } = await aSession(store, {}, { expires: end })
    return store.update(id, { ...aChange(), expires: inAnHour() })
  })
  assert.deepEqual(moved, {})
  const file = theFile(t, path)
  await until(() => countsOf(file).s === 22)
  assert.deepEqual(countsOf(file), { e: 22, m: 1, s: 22, u: 20 })
  assert.deepEqual(await found(store, 'user', 'ada'), idsOf(living))
  assert.deepEqual(await store.load(standing.id), standing.tombstone)
})

test('several stores sweep one file at once, and sessions go on being changed meanwhile', async t => {
  const path = aPath(t)
  const stores = Array.from({ length: 3 }, () => aStore(t, path, sweeping))
  const [store] = stores as [LMDBStore]
  const { id } = await aSession(store, { n: 0 })
  await together(3000, () => aSession(store, {}, { expires: aSecondAgo() }))
  const file = theFile(t, path)
  let changes = 0
  await until(async () => {
    await together(3, index => (stores[index] as LMDBStore).update(id, aChange(inc('n'))))
    changes += 3
    return countsOf(file).s === 1
  })
  assert.deepEqual(await fieldsOf(store, id), { n: changes })
})

test('sessions stored before there was an index are found by it', async t => {
  const path = aPath(t)
  const [store, other] = [aStore(t, path), aStore(t, path)]
  const before = await together(250, index => aSession(store, { user: index % 5 === 0 ? 'ada' : `${index}` }))
  const adas = before.filter(({ fields }) => fields.user === 'ada')
  assert.deepEqual(await found(store, 'user', 'ada'), idsOf(adas))
  const made = store.ensureIndex('user')
  const meanwhile = await aSession(other, { user: 'ada' })
  await other.update((adas[0] as SessionRecord).id, aChange(set('user', 'eve')))
  await made
  assert.equal(countsOf(theFile(t, path)).u, 251)
  assert.deepEqual(await found(other, 'user', 'ada'), idsOf([...adas.slice(1), meanwhile]))
})

test('the index follows whatever a change does to the user, written by whatever store', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const { id } = await aSession(store, { user: { id: 7 } })
  await store.ensureIndex('user.id')
  const writer = aStore(t, path)
  const isFound = async (value: unknown) => (await found(store, 'user.id', value)).length === 1
  assert.ok(await isFound(Long.fromNumber(7)))
  await writer.update(id, aChange(inc('user.id')))
  assert.ok((await isFound(8)) && !(await isFound(7)))
  await writer.update(id, aChange(set('user', { id: ['ada', 'eve'] })))
  assert.ok((await isFound('ada')) && (await isFound('eve')) && !(await isFound(8)))
  await writer.update(id, aChange({ op: '$rename', path: 'user', to: 'former' }))
  assert.ok(!(await isFound('ada')) && (await isFound(null)))
  await writer.update(id, aChange(set('admin', { id: 'ada' })))
  await writer.update(id, aChange({ op: '$rename', path: 'admin', to: 'user' }))
  assert.ok(await isFound('ada'))
  assert.equal(countsOf(theFile(t, path)).u, 1)
  await writer.update(id, aChange(unset('user.id')))
  assert.equal(countsOf(theFile(t, path)).u, undefined)
})

test('a damaged entry makes one visitor anonymous and harms nobody else', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await store.ensureIndex('user')
  const [healthy, neighbour] = await together(2, () => aSession(store, { user: 'ada' }))
  const file = theFile(t, path)
  const bytes = file.read(sessionKey((neighbour as SessionRecord).id)) as Buffer
  const altered = Buffer.from(bytes)
  altered[altered.length - 3] = 88
  const junk = [
    Buffer.from('junk'),
    Buffer.alloc(0),
    Buffer.alloc(500),
    bytes.subarray(0, -1),
    altered,
    bytes,
  ]
  for (const value of [...junk, serialize({ data: 'a string' }), Buffer.alloc(2 ** 24, 1)]) {
    const record = await aSession(store, { user: 'ada' })
    await file.write(() => file.put(sessionKey(record.id), value))
    assert.equal(await store.load(record.id), undefined)
    assert.equal(await store.read(record.id, ['user']), undefined)
    assert.equal(await store.update(record.id, { ...aChange(set('a', 1)), expires: inAnHour() }), 'absent')
    assert.equal(await store.end(record.id, { ended: new Date() }, inAnHour()), false)
    await assert.rejects(store.insert(record), IdTakenError)
    assert.deepEqual(file.read(sessionKey(record.id)), Buffer.from(value))
    assert.deepEqual(await found(store, 'user', 'ada'), idsOf([healthy, neighbour] as SessionRecord[]))
    await store.delete(record.id)
    await store.insert(record)
    assert.deepEqual(await recordOf(store, record.id), record)
    await store.delete(record.id)
  }
})

test('an entry of a later version is left as it is until its time has come', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const end = soon()
  const { id } = await aSession(store, { a: 1 }, { expires: end })
  const file = theFile(t, path)
  const later = Buffer.from(file.read(sessionKey(id)) as Buffer)
  later[0] = 2
  await file.write(() => file.put(sessionKey(id), later))
  const sweeper = aStore(t, path, sweeping)
  assert.equal(await sweeper.load(id), undefined)
  assert.equal(await sweeper.update(id, aChange(set('a', 2))), 'absent')
  assert.equal(await sweeper.end(id, { ended: new Date() }, inAnHour()), false)
  await until(() => {
    const now = file.read(sessionKey(id))
    if (now) assert.deepEqual(now, later)
    else assert.ok(Date.now() >= end.getTime())
    return now === undefined
  })
})

const wrong: [what: string, options: unknown, message: RegExp][] = [
  ['no path', {}, /path/],
  ['an empty path', { path: '' }, /path/],
  ['a path that is no text', { path: 7 }, /path/],
  ['an unknown durability', { path: 'x', durability: 'none' }, /durability.*'process' or 'disk'.*none/],
  ['nonsense for sweepEvery', { path: 'x', sweepEvery: 'often' }, /sweepEvery/],
]

for (const [what, options, message] of wrong) {
  test(`a store is not made of ${what}`, () => {
    assert.throws(() => lmdbStore(options as LMDBStoreOptions), isConfigurationError(message))
  })
}
