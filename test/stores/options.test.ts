import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigurationError, mongoStore } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { postgresStore, schemaOf } from '../../src/stores/postgres/store.ts'
import { redisStore } from '../../src/stores/redis/store.ts'
import { sqliteStore } from '../../src/stores/sqlite/store.ts'
import { memoryStore as testStore } from '../../src/testing/index.ts'

const factories: [name: string, factory: (options: never) => unknown][] = [
  ['mongoStore', mongoStore],
  ['memoryStore', memoryStore],
  ['memoryStore', testStore],
  ['sqliteStore', sqliteStore],
  ['redisStore', redisStore],
  ['postgresStore', postgresStore],
  ['schemaOf', schemaOf],
]

function refusal(factory: (options: never) => unknown, options: unknown): string {
  try {
    factory(options as never)
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, `${error}`)
    return error.message
  }
  return 'none'
}

test('options that a store does not have are refused by their names, and what is no options as such', () => {
  for (const [name, factory] of factories) {
    const unknown = refusal(factory, { nope: 1 })
    assert.ok(unknown.startsWith(`${name}() has no option "nope"; there are `), unknown)
    for (const wrong of [null, () => 1, 'sessions', [], new Map()]) {
      const refused = refusal(factory, wrong)
      assert.ok(refused.startsWith(`${name}() takes options as a plain object, not `), refused)
    }
  }
})

test('a store without options says what it needs', () => {
  const needed: [factory: (options: never) => unknown, message: RegExp][] = [
    [mongoStore, /^collection is not a collection/],
    [sqliteStore, /^path is not a file's name: give one/],
    [redisStore, /^client is no client for Redis .*: give one/],
    [postgresStore, /^pool is no pool: give /],
  ]
  for (const [factory, message] of needed) {
    assert.match(refusal(factory, undefined), message)
    assert.match(refusal(factory, {}), message)
  }
})

test('a clock that cannot be asked is refused', () => {
  for (const factory of [memoryStore, testStore]) {
    assert.equal(refusal(factory, { clock: undefined }), 'none')
    for (const clock of [5, null, '5', {}]) {
      assert.match(refusal(factory, { clock }), /^clock is not a function that returns milliseconds: /)
    }
  }
})
