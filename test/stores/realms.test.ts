import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { onceOfAKind } from '../../src/reports.ts'
import { sound } from '../../src/stores/bson.ts'
import { codeOf, isOfDriver } from '../../src/stores/mongodb/errors.ts'
import { pairsOf } from '../../src/stores/redis/replies.ts'
import { isFull } from '../../src/stores/sqlite/errors.ts'

/** As a test runner's sandbox gives, which has classes of its own. */
function anErrorOfAnotherRealm(members: object): Error {
  return Object.assign(runInNewContext('new Error()'), members)
}

test('an error of another realm tells a store as much as one of its own', () => {
  assert.ok(isFull(anErrorOfAnotherRealm({ code: 'SQLITE_FULL' })))
  assert.ok(!isFull(anErrorOfAnotherRealm({ code: 'SQLITE_BUSY' })))
  const error = anErrorOfAnotherRealm({ name: 'MongoServerError', code: 11000 })
  assert.ok(isOfDriver(error))
  assert.equal(codeOf(error), 11000)
  assert.ok(!isOfDriver(anErrorOfAnotherRealm({ name: 'BSONError' })))
  for (const none of [null, undefined, 'MongoServerError', { name: 'MongoServerError', code: 1 }]) {
    assert.ok(!isOfDriver(none) && codeOf(none) === undefined && !isFull(none))
  }
})

test('damage that a driver of another realm finds is damage', () => {
  for (const name of ['BSONError', 'BSONOffsetError', 'RangeError']) {
    const error = anErrorOfAnotherRealm({ name })
    assert.equal(
      sound(() => {
        throw error
      }),
      undefined,
    )
  }
  const fault = anErrorOfAnotherRealm({ name: 'TypeError' })
  assert.throws(
    () =>
      sound(() => {
        throw fault
      }),
    error => error === fault,
  )
})

test('a hash comes as what a client of another realm gives', () => {
  const value = Buffer.from('v')
  const pairs = [['a', value]]
  for (const reply of [
    runInNewContext('pairs.flat()', { pairs }),
    runInNewContext('new Map(pairs)', { pairs }),
    runInNewContext('Object.fromEntries(pairs)', { pairs }),
  ])
    assert.deepEqual(pairsOf(reply), pairs)
})

test('errors of another realm are reported once of each kind, as others are', () => {
  const told: unknown[] = []
  const report = onceOfAKind(error => told.push(error))
  const names = ['TypeError', 'RangeError', 'TypeError']
  for (const name of names) report(anErrorOfAnotherRealm({ name }))
  assert.equal(told.length, 2)
})
