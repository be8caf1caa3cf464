import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Binary, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp, UUID } from 'bson'
import fc from 'fast-check'
import { equal } from '../../src/language/compare.ts'
import { ValueSet } from '../../src/language/valueset.ts'
import { someNumber, someStoredValue, someText } from '../support/generators.ts'

/** So many that they are no longer compared one by one. */
const MANY = Array.from({ length: 20 }, (_, index) => `other ${index}`)

const bytes = (...content: number[]) => new Uint8Array(content)
const uuid = '00000000-0000-4000-8000-000000000000'

/** Of each list all are equal, and none equals one of another list. */
const kinds: unknown[][] = [
  [0, -0, 0n, new Double(-0), new Int32(0), Long.ZERO, ...['0', '-0', '0E+9'].map(Decimal128.fromString)],
  [1, 1n, new Double(1), Long.ONE, Decimal128.fromString('1.00'), Decimal128.fromString('10E-1')],
  [0.5, new Double(0.5), Decimal128.fromString('0.5')],
  [0.1],
  [Decimal128.fromString('0.1'), Decimal128.fromString('1E-1')],
  [1e21, Decimal128.fromString('1E21')],
  [1e23],
  [Decimal128.fromString('1E23')],
  [2 ** 63, Decimal128.fromString('9223372036854775808')],
  [Decimal128.fromString('9223372036854776000')],
  [2n ** 63n - 1n, Long.MAX_VALUE, Decimal128.fromString('9223372036854775807')],
  [2 ** 53, 2n ** 53n],
  [2n ** 53n + 1n, Decimal128.fromString('9007199254740993')],
  [5e-324],
  [Decimal128.fromString('1E-400')],
  [Decimal128.fromString('1E+6000'), Decimal128.fromString('10E+5999')],
  [Number.NaN, new Double(Number.NaN), Decimal128.fromString('NaN')],
  [Number.POSITIVE_INFINITY, Decimal128.fromString('Infinity')],
  [null],
  [undefined],
  [true],
  [false],
  ['', ''],
  ['1'],
  ['n1;'],
  ['null'],
  ['0:'],
  [new Date(1), new Date(1)],
  [new Timestamp(1n)],
  [new ObjectId('0'.repeat(24)), new ObjectId('0'.repeat(24))],
  ['0'.repeat(24)],
  [bytes(1, 2), Buffer.from([1, 2]), new Binary(bytes(1, 2)), binaryWithRoom(1, 2)],
  [new Binary(bytes(1, 2), 128)],
  [bytes()],
  [new UUID(uuid), new Binary(new UUID(uuid).buffer, 4)],
  [new MinKey()],
  [new MaxKey()],
  [
    { a: 1, b: 2 },
    { a: 1n, b: new Double(2) },
  ],
  [{ b: 2, a: 1 }],
  [{ a: { b: 1 } }],
  [{ a: 1 }],
  [{ a: '1' }],
  [{}],
  [[]],
  [[[]]],
  [
    [1, 2],
    [1n, 2],
  ],
  [[12]],
  [['1', '2']],
  [['1:2']],
  [[{ a: 1 }, { b: 2 }]],
  [[{ a: 1, b: 2 }]],
]

function binaryWithRoom(...content: number[]): Binary {
  const binary = new Binary()
  for (const byte of content) binary.put(byte)
  return binary
}

test('among many, a value is found exactly if an equal one is there', () => {
  for (const [index, kind] of kinds.entries()) {
    for (const one of kind) {
      const set = new ValueSet([...MANY, one])
      for (const [at, others] of kinds.entries()) {
        for (const other of others) {
          assert.equal(equal(one, other), at === index, `${String(one)} ${String(other)}`)
          assert.equal(set.has(other), at === index, `${String(one)} ${String(other)}`)
        }
      }
    }
  }
})

test('any values are found among many as they are among few', () => {
  const someAlike = fc.oneof(someStoredValue, someNumber, someText, fc.constantFrom(...kinds.flat()))
  fc.assert(
    fc.property(
      fc.array(someAlike, { maxLength: 6 }),
      fc.array(someAlike, { maxLength: 6 }),
      (values, others) => {
        const many = new ValueSet([...MANY, ...values])
        for (const other of [...values, ...others]) {
          const isThere = values.some(value => equal(value, other))
          assert.equal(many.has(other), isThere)
          assert.equal(new ValueSet(values).has(other), isThere)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('of equal values the first is kept, and their order is that of the first ones', () => {
  for (const more of [[], MANY]) {
    const set = new ValueSet([2n, 'a', 2, { b: 1 }, 'a', ...more])
    assert.deepEqual(set.values(), [2n, 'a', { b: 1 }, ...more])
    set.delete(2)
    set.delete({ b: 1n })
    set.delete('nothing of the kind')
    assert.deepEqual(set.values(), ['a', ...more])
  }
})
