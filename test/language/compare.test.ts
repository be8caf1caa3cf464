import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Binary, Decimal128, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'bson'
import fc from 'fast-check'
import { compare, compareStrings, equal } from '../../src/language/compare.ts'
import { someStoredValue } from '../support/generators.ts'

function assertAscending(values: readonly unknown[]): void {
  for (const [i, a] of values.entries()) {
    for (const [j, b] of values.entries()) {
      assert.equal(Math.sign(compare(a, b)), Math.sign(i - j), `number ${i} and number ${j}`)
    }
  }
}

test('types come in BSON order', () => {
  assertAscending([
    new MinKey(),
    null,
    5,
    '',
    {},
    [],
    Buffer.alloc(0),
    new ObjectId('0'.repeat(24)),
    false,
    new Date(0),
    new Timestamp(0n),
    new MaxKey(),
  ])
})

test('strings come in the order of their code points, which is that of their UTF-8 bytes', () => {
  assertAscending(['', '\0', 'B', 'a', 'a\0', 'ab', 'b', 'ü', '\ud7ff', '\uffee', '😀', '😁'])
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      assert.equal(Math.sign(compareStrings(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})

test('objects are compared member by member: type, then name, then value', () => {
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`name${index}`, index]))
  for (const shared of [{}, many]) {
    const all = [{}, { b: 1 }, { b: 1, a: 1 }, { b: 2 }, { c: 0 }, { a: 'x' }, { a: {} }]
    assertAscending(all.map(fields => ({ ...shared, ...fields })))
  }
})

test('arrays are compared element by element', () => {
  assertAscending([[], [null], [1], [1, 1], [2], ['a'], [[]]])
})

test('bytes are compared by length, then subtype, then content', () => {
  assertAscending([
    Buffer.from([9]),
    Buffer.from([1, 2]),
    Buffer.from([1, 3]),
    new Binary(Buffer.from([1, 2]), 5),
    new UUID('00000000-0000-4000-8000-000000000000'),
  ])
  assert.ok(equal(Buffer.from([1]), new Binary(Buffer.from([1]))))
  assert.ok(equal(new Uint8Array([1]), Buffer.from([1])))
})

test('object ids, booleans, dates and timestamps are compared by value', () => {
  assertAscending([new ObjectId('0'.repeat(24)), new ObjectId('f'.repeat(24)), false, true])
  assertAscending([new Date(-1), new Date(0), new Date(1), new Timestamp(1n), new Timestamp(2n ** 64n - 1n)])
})

test('numbers are equal across kinds, also deep inside', () => {
  assert.ok(equal({ a: [1, { b: 2n }] }, { a: [Decimal128.fromString('1.0'), { b: Long.fromNumber(2) }] }))
  assert.ok(!equal(1, '1'))
  assert.ok(!equal(1, true))
})

test('objects with the same members in another order are not equal', () => {
  assert.ok(!equal({ a: 1, b: 2 }, { b: 2, a: 1 }))
  assert.ok(!equal({ a: 1 }, { a: 1, b: undefined }))
})

test('keys that name a prototype are compared as any other', () => {
  const polluted: unknown = JSON.parse('{"__proto__": {"a": 1}}')
  assert.ok(!equal(polluted, {}))
  assert.ok(equal(polluted, JSON.parse('{"__proto__": {"a": 1}}')))
})

test('the order is total: reflexive, antisymmetric and transitive', () => {
  fc.assert(
    fc.property(someStoredValue, someStoredValue, someStoredValue, (a, b, c) => {
      assert.equal(compare(a, a), 0)
      assert.equal(Math.sign(compare(a, b)), -Math.sign(compare(b, a)) + 0)
      const [x, y, z] = [a, b, c].sort(compare)
      assert.ok(compare(x, y) <= 0 && compare(y, z) <= 0 && compare(x, z) <= 0)
      if (compare(x, y) === 0 || compare(y, z) === 0) {
        assert.equal(compare(x, z) === 0, compare(x, y) === 0 && compare(y, z) === 0)
      }
    }),
  )
})
