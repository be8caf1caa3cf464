import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Long } from 'bson'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { SessionRecord } from '../../../src/store/record.ts'
import { type SQLiteStoreOptions, sqliteStore } from '../../../src/stores/sqlite/store.ts'
import { storeContract } from '../../contract/index.ts'
import {
  aChange,
  anEndedSession,
  anExtendedSession,
  aRecord,
  aSecondAgo,
  aSession,
  fieldsOf,
  inAnHour,
  inc,
  set,
  soon,
  together,
  unset,
} from '../../contract/records.ts'
import {
  aPath,
  aStore,
  countIn,
  isConfigurationError,
  type SQLiteStore,
  theDatabase,
  until,
} from '../../support/sqlite/files.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const sweeping = { sweepEvery: 5 }

for (const durability of ['process', 'disk'] as const) {
  describe(durability, () =>
    storeContract(async t => {
      const path = aPath(t)
      return () => aStore(t, path, { durability })
    }),
  )
}

async function found(store: SQLiteStore, path: string, value: unknown): Promise<string[]> {
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
    import { sqliteStore } from './src/stores/sqlite/store.ts'
    import { aSession } from './test/contract/records.ts'
    const store = sqliteStore({ path: ${JSON.stringify(aPath(t))}, sweepEvery: 5 })
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
  const { outcome } = await anExtendedSession(store)
  assert.deepEqual(outcome, {})
  const db = theDatabase(t, path)
  await until(() => countIn(db) === 22)
  assert.equal(countIn(db, 'user IS NOT NULL'), 20)
  assert.deepEqual(await found(store, 'user', 'ada'), idsOf(living))
  assert.deepEqual(await store.load(standing.id), standing.tombstone)
})

test('several stores sweep one file at once, and sessions go on being changed meanwhile', async t => {
  const path = aPath(t)
  const stores = Array.from({ length: 3 }, () => aStore(t, path, sweeping))
  const [store] = stores as [SQLiteStore]
  const { id } = await aSession(store, { n: 0 })
  await together(3000, () => aSession(store, {}, { expires: aSecondAgo() }))
  const db = theDatabase(t, path)
  let changes = 0
  await until(async () => {
    await together(3, index => (stores[index] as SQLiteStore).update(id, aChange(inc('n'))))
    changes += 3
    return countIn(db) === 1
  })
  assert.deepEqual(await fieldsOf(store, id), { n: changes })
})

test('sweeping leaves the log short, so that no change has to move much of it into the file', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await together(3000, () => aSession(store, {}, { expires: aSecondAgo() }))
  theDatabase(t, path).exec('PRAGMA wal_checkpoint(TRUNCATE)')
  assert.equal(await store.sweep(), 3000)
  const { size } = statSync(`${path}-wal`)
  assert.ok(size < 1_500_000, `${size} bytes`)
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
  assert.equal(countIn(theDatabase(t, path), 'user IS NOT NULL'), 251)
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
  const db = theDatabase(t, path)
  assert.equal(countIn(db, 'user IS NOT NULL'), 1)
  await writer.update(id, aChange(unset('user.id')))
  assert.equal(countIn(db, 'user IS NOT NULL'), 0)
})

test('a file has one index by user, the last that was asked for, and finds by other fields too', async t => {
  const path = aPath(t)
  const [store, other] = [aStore(t, path), aStore(t, path)]
  const { id } = await aSession(store, { user: 'ada', team: 'red' })
  await store.ensureIndex('user')
  assert.deepEqual([await other.isIndexed('user'), await other.isIndexed('team')], [true, false])
  await other.ensureIndex('team')
  assert.deepEqual([await store.isIndexed('user'), await store.isIndexed('team')], [false, true])
  const eve = await aSession(store, { user: 'eve', team: 'red' })
  assert.deepEqual(await found(store, 'team', 'red'), [id, eve.id].sort())
  assert.deepEqual(await found(store, 'user', 'eve'), [eve.id])
  const users = theDatabase(t, path).prepare('SELECT DISTINCT user FROM sessions').all()
  assert.deepEqual(
    users.map(row => (row as { user: string }).user),
    ['string red'],
  )
})

test('looking for sessions comes to an end, however many are made meanwhile', async t => {
  const store = aStore(t)
  await together(150, () => aSession(store, { user: 'ada' }))
  for (const index of [false, true]) {
    if (index) await store.ensureIndex('user')
    const before = await store.count()
    let all = 0
    for await (const _ of store.find('user', 'ada')) if (all++ < 1000) await aSession(store, { user: 'ada' })
    assert.equal(all, before)
  }
})

test('users of whatever length and letters are found, and in the index they are short', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await store.ensureIndex('user')
  for (const user of ['x'.repeat(50_000), 'a\0b', '', '😀', "O'Hara"]) {
    const { id } = await aSession(store, { user })
    assert.deepEqual(await found(store, 'user', user), [id])
  }
  assert.equal(countIn(theDatabase(t, path), 'length(user) > 120'), 0)
})

test('a row with a mark, an id or a number that the store does not write is no session', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await store.ensureIndex('user')
  const healthy = await aSession(store, { user: 'ada' })
  const db = theDatabase(t, path)
  const marks = ["'x'", "x'00'", '1e300', `${2n ** 62n}`].map(value => `v = ${value}`)
  for (const damage of [...marks, 'maxAge = 0', 'id = CAST(id AS BLOB)', `rowid = ${2n ** 62n}`]) {
    const { id } = await aSession(store, { user: 'ada' })
    db.exec(`UPDATE sessions SET ${damage} WHERE id = '${id}'`)
    assert.equal(await store.load(id), undefined, damage)
    assert.equal(await store.update(id, aChange(set('a', 1))), 'absent', damage)
    assert.deepEqual(await found(store, 'user', 'ada'), [healthy.id], damage)
    db.exec(`DELETE FROM sessions WHERE rowid != (SELECT rowid FROM sessions WHERE id = '${healthy.id}')`)
  }
})

test('a record of a later form is left as it is until its time has come', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  const end = soon()
  const { id } = await aSession(store, { a: 1 }, { expires: end })
  const db = theDatabase(t, path)
  db.prepare('UPDATE sessions SET v = 3 WHERE id = ?').run(id)
  const select = db.prepare('SELECT v, rev, expires, fields FROM sessions WHERE id = ?')
  const later = select.get(id) as object
  const sweeper = aStore(t, path, sweeping)
  assert.equal(await sweeper.load(id), undefined)
  assert.equal(await sweeper.update(id, aChange(set('a', 2))), 'absent')
  assert.equal(await sweeper.end(id, { ended: new Date() }, inAnHour()), false)
  await until(() => {
    const now = select.get(id) as object | undefined
    if (now) assert.deepEqual(Object.entries(now).slice(0, 4), Object.entries(later).slice(0, 4))
    else assert.ok(Date.now() >= end.getTime())
    return now === undefined
  })
})

const wrong: [what: string, options: unknown, message: RegExp][] = [
  ['no path', {}, /path/],
  ['an empty path', { path: '' }, /path/],
  ['a path that is no text', { path: 7 }, /path/],
  ['a path and a database', { path: 'x', database: {} }, /not both/],
  ['what is no database', { database: {} }, /database is none/],
  ['an unknown durability', { path: 'x', durability: 'none' }, /durability.*'process' or 'disk'.*none/],
  ['nonsense for sweepEvery', { path: 'x', sweepEvery: 'often' }, /sweepEvery/],
]

for (const [what, options, message] of wrong) {
  test(`a store is not made of ${what}`, () => {
    assert.throws(() => sqliteStore(options as SQLiteStoreOptions), isConfigurationError(message))
  })
}

test('a test that has mocked all timers can write, read and close', async t => {
  const store = sqliteStore({ path: aPath(t) })
  t.mock.timers.enable()
  const { id } = await aSession(store, { n: 1 })
  assert.deepEqual(await store.update(id, aChange(inc('n'))), {})
  assert.deepEqual(await fieldsOf(store, id), { n: 2 })
  await store.close?.()
})
