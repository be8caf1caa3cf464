import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import {
  Binary,
  BSONRegExp,
  Code,
  DBRef,
  Decimal128,
  deserialize,
  Long,
  MaxKey,
  ObjectId,
  serialize,
  Timestamp,
  UUID,
} from 'bson'
import fc from 'fast-check'
import { FieldError } from '../../src/errors.ts'
import { equal } from '../../src/language/compare.ts'
import { sizeOf } from '../../src/language/size.ts'
import { comesBackAlike, copied, isPlain, literal, ownCopy } from '../../src/language/values.ts'

const someKey = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
  .filter(key => /^[^$.\0_][^.\0]*$/.test(key) && !(key in {}))
const someLeaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'grapheme' }),
  fc.date({ noInvalidDate: true }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)
const { someValue } = fc.letrec(tie => ({
  someValue: fc.oneof(
    { maxDepth: 4 },
    someLeaf,
    fc.array(tie('someValue'), { maxLength: 4 }),
    fc.dictionary(someKey, tie('someValue'), { maxKeys: 4, noNullPrototype: true }),
  ),
}))

test('a value that a session can hold is taken as it is, as a copy', () => {
  fc.assert(
    fc.property(someValue, value => {
      const copy = literal(value, 'v')
      assert.deepEqual(copy, value)
      if (typeof value === 'object' && value !== null) assert.notEqual(copy, value)
    }),
  )
})

test('whatever is given, the result is plain data or a FieldError that names the path', () => {
  fc.assert(
    fc.property(
      fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withSparseArray: true,
        withTypedArray: true,
        withNullPrototype: true,
      }),
      value => {
        let copy: unknown
        try {
          copy = literal(value, 'v')
        } catch (error) {
          assert.ok(error instanceof FieldError)
          assert.match(String(error.path), /^v/)
          return
        }
        assertPlain(copy)
      },
    ),
  )
})

function assertPlain(value: unknown): void {
  if (Array.isArray(value)) for (const item of value) assertPlain(item)
  else if (isPlain(value)) {
    for (const [key, item] of Object.entries(value)) {
      assert.ok(!key.startsWith('$') && !key.includes('.') && !key.includes('\0') && key !== '')
      assert.ok(!['__proto__', 'constructor', 'prototype', '_bsontype'].includes(key))
      assertPlain(item)
    }
  } else if (typeof value === 'object' && value !== null) {
    assert.ok(value instanceof Date || Buffer.isBuffer(value))
  } else {
    assert.ok(['string', 'number', 'boolean', 'bigint', 'object'].includes(typeof value))
    if (typeof value === 'number') assert.ok(Number.isFinite(value))
  }
}

test('the path of an error leads to what is wrong', () => {
  assert.throws(
    () => literal({ a: [1, { b: undefined }] }, 'cart'),
    (error: unknown) => error instanceof FieldError && error.path === 'cart.a.1.b',
  )
})

test('BSON’s own types are taken as copies of their class, the odd ones and imitations refused', () => {
  class Key extends UUID {}
  for (const value of [
    new ObjectId(),
    Long.fromNumber(-5),
    Long.fromNumber(5, true),
    Decimal128.fromString('1.5'),
    new Binary(new Uint8Array([1, 2]), 128),
    new UUID(),
    new Key(),
  ]) {
    for (const copy of [literal(value, 'v'), copied(value)]) {
      assert.notEqual(copy, value)
      assert.deepEqual(copy, value)
      assert.equal((copy as object).constructor, value.constructor)
      assert.equal(String(copy), String(value))
    }
  }
  for (const value of [new MaxKey(), Timestamp.fromNumber(1), { _bsontype: 'ObjectId', id: 'x' }]) {
    assert.throws(() => literal(value, 'v'), FieldError)
  }
})

test('an integer that BSON’s 64 bits with a sign cannot hold is refused, whatever holds it', () => {
  for (const value of [
    2n ** 63n - 1n,
    -(2n ** 63n),
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    Long.MAX_VALUE.toUnsigned(),
  ]) {
    const { kept } = deserialize(serialize({ kept: literal(value, 'v') }), { useBigInt64: true })
    assert.equal(kept, BigInt(String(value)))
  }
  for (const value of [
    2n ** 63n,
    -(2n ** 63n) - 1n,
    Long.fromBigInt(2n ** 63n, true),
    Long.MAX_UNSIGNED_VALUE,
  ]) {
    assert.throws(() => literal([value], 'v'), { name: 'FieldError', path: 'v.0', message: /beyond int64/ })
  }
})

test('a value of a type that only other programs store is handed out as a copy', () => {
  const oid = new ObjectId()
  const stored: [make: () => object, change: (copy: never) => unknown][] = [
    [() => new Timestamp({ t: 1, i: 2 }), (copy: { low: number }) => (copy.low = 99)],
    [() => new BSONRegExp('a', 'i'), (copy: BSONRegExp) => (copy.pattern = 'b')],
    [() => new Code('f', { list: [1] }), (copy: Code) => (copy.code = 'g')],
    [() => new Code('f', { list: [1] }), (copy: Code) => copy.scope?.list.push(2)],
    [() => new DBRef('users', oid, 'shop', { seen: new Date(5) }), (copy: DBRef) => (copy.db = 'other')],
    [
      () => new DBRef('users', oid, 'shop', { seen: new Date(5) }),
      (copy: DBRef) => copy.fields.seen.setTime(6),
    ],
    [() => new MaxKey(), (copy: { more?: number }) => (copy.more = 1)],
    [() => /a/gi, (copy: RegExp) => (copy.lastIndex = 1)],
  ]
  for (const [make, change] of stored) {
    const value = make()
    for (const copy of [ownCopy(value), copied({ value }).value]) {
      assert.deepEqual(copy, value)
      assert.deepEqual(serialize({ copy }), serialize({ copy: value }))
      assert.equal(Object.getPrototypeOf(copy), Object.getPrototypeOf(value))
      change(copy as never)
      assert.notDeepEqual(copy, value)
      assert.deepEqual(value, make())
    }
  }
})

test('bytes are copied on the way in and on the way out, whatever holds them', () => {
  const ones = () => new Uint8Array(16).fill(1)
  const holders: [holder: unknown, bytes: Uint8Array][] = [ones(), Buffer.from(ones())].map(bytes => [
    bytes,
    bytes,
  ])
  for (const binary of [new Binary(ones()), new UUID(ones())]) holders.push([binary, binary.buffer])
  const decimal = new Decimal128(ones())
  holders.push([decimal, decimal.bytes])
  for (const [holder, bytes] of holders) {
    const before = new Decimal128(ones()).toString()
    const copies = [literal(holder, 'v'), copied(holder), copied([holder])[0], ownCopy(holder)]
    bytes.fill(2)
    for (const copy of copies) {
      if (copy instanceof Decimal128) assert.equal(copy.toString(), before)
      else assert.deepEqual([...bytesOf(copy)], [...ones()], String(holder))
    }
    assert.equal(Buffer.isBuffer(copies[1]), Buffer.isBuffer(holder))
  }
})

function bytesOf(value: unknown): Uint8Array {
  return value instanceof Binary ? value.buffer : (value as Uint8Array)
}

test('an object of another realm, such as a worker’s or a test runner’s, is plain all the same', () => {
  assert.ok(isPlain(Object.create(null)))
  assert.ok(isPlain({}))
  assert.ok(!isPlain([]))
  assert.ok(!isPlain(new Date()))
  assert.ok(!isPlain(new Map()))
  assert.ok(!isPlain(null))
  assert.ok(!isPlain(() => {}))
})

test('dates, bytes, arrays and objects of another realm are what they are', () => {
  const theirs = runInNewContext(
    '({ date: new Date(5), bytes: new Uint8Array([1, 2]), list: [{ a: 1 }], nothing: new Date(NaN), map: new Map() })',
  )
  const value = { date: theirs.date, bytes: theirs.bytes, list: theirs.list }
  const copy = literal(value, 'v') as typeof value
  assert.deepEqual(copy, { date: new Date(5), bytes: Buffer.from([1, 2]), list: [{ a: 1 }] })
  assert.ok(
    copy.date instanceof Date &&
      Object.getPrototypeOf(copy.list) === Array.prototype &&
      Object.getPrototypeOf(copy.list[0]) === Object.prototype,
  )
  theirs.date.setTime(6)
  assert.equal(copy.date.getTime(), 5)
  for (const wrong of [theirs.nothing, theirs.map]) assert.throws(() => literal(wrong, 'v'), FieldError)
  assert.deepEqual(copied(theirs.date), new Date(6))
  assert.notEqual(copied(theirs.date), theirs.date)
  assert.equal(sizeOf(value), sizeOf(copy))
  assert.ok(equal({ ...value, date: new Date(6) }, { ...copy, date: theirs.date }))
  assert.ok(!comesBackAlike(theirs.bytes))
})

test('the size of a value is that of its BSON', () => {
  const numbers = [0, -0, 1.5, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, Number.NaN, Infinity]
  const bytes = new Uint8Array([1, 2, 3])
  const values = [...numbers, 5n, bytes, ...[0, 2, 4, 128].map(subtype => new Binary(bytes, subtype))]
  for (const value of values) {
    assert.equal(sizeOf({ value }), serialize({ value }).length, inspect(value))
    assert.equal(sizeOf({ list: [value, value] }), serialize({ list: [value, value] }).length, inspect(value))
  }
})

test('a vector is refused exactly where bson would not encode it', () => {
  const [INT8, FLOAT32, PACKED] = [0x03, 0x27, 0x10]
  const good = [
    [INT8, 0, 1, 2],
    [FLOAT32, 0, 0, 0, 0x80, 0x3f],
    [PACKED, 4, 0xf0],
  ]
  const bad = [
    [INT8, 1, 1, 2],
    [FLOAT32, 0, 1, 2],
    [PACKED, 8, 0xff],
  ]
  for (const bytes of [...good, ...bad]) {
    const vector = new Binary(Uint8Array.from(bytes), 9)
    let isEncoded = true
    try {
      serialize({ vector })
    } catch {
      isEncoded = false
    }
    if (good.includes(bytes)) assert.ok(isEncoded)
    if (isEncoded) assert.ok(equal(literal({ vector }, 'v'), { vector }))
    else assert.throws(() => literal({ vector }, 'v'), { name: 'FieldError', message: /an invalid vector/ })
  }
})

test('a circle is refused and does not overflow the stack', () => {
  const circle: unknown[] = []
  circle.push({ circle })
  assert.throws(() => literal(circle, 'v'), FieldError)
})

test('the 64th level is the last', () => {
  const nested = (levels: number) => Array.from({ length: levels }).reduce<unknown>(value => [value], 1)
  literal(nested(64), 'v')
  assert.throws(() => literal(nested(65), 'v'), FieldError)
})

test('a copy is the caller’s own, and lacks keys that could act', () => {
  const stored = JSON.parse('{"a":[{"__proto__":{"isAdmin":true},"b":1}],"constructor":1}')
  const copy = copied(stored) as { a: { b: number; isAdmin?: boolean }[] }
  assert.deepEqual(copy, { a: [{ b: 1 }] })
  assert.equal(copy.a[0]?.isAdmin, undefined)
  fc.assert(
    fc.property(someValue, value => {
      const own = copied(value)
      assert.deepEqual(own, value)
      if (typeof value === 'object' && value !== null) assert.notEqual(own, value)
    }),
  )
})

test('arrays and dates with properties of their own are refused, which no store would keep', () => {
  for (const value of [
    /(?<letter>b)/.exec('abc'),
    Object.assign([1], { total: 1 }),
    Object.assign([], { total: 0 }),
    Object.assign(new Date(), { zone: 'Z' }),
  ]) {
    assert.throws(() => literal([value], 'a'), {
      name: 'FieldError',
      message: /"a\.0" is an? \w+ with properties of its own/,
    })
  }
  const strings = ((parts: TemplateStringsArray) => parts)`one`
  assert.deepEqual(literal(strings, 'a'), ['one'])
})
