import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decimal128, Double, Int32, Long } from 'bson'
import fc from 'fast-check'
import { compareNumbers, isNaNumber, isNumber, product, sum } from '../../src/language/numbers.ts'
import { someNumber } from '../support/generators.ts'

const decimal = Decimal128.fromString
const plainly = (n: number): unknown => n
const add = (a: unknown, b: unknown) => sum(a, b, plainly)
const multiply = (a: unknown, b: unknown) => product(a, b, plainly)

test('int32s add and multiply as integers and become int64 where they overflow', () => {
  assert.equal(add(1, 2), 3)
  assert.equal(add(2 ** 31 - 1, 1), 2n ** 31n)
  assert.equal(add(-(2 ** 31), -1), -(2n ** 31n) - 1n)
  assert.equal(multiply(65536, 65536), 2n ** 32n)
  assert.equal(multiply(2 ** 31 - 1, 2 ** 31 - 1), (2n ** 31n - 1n) ** 2n)
  assert.equal(multiply(-(2 ** 31), -(2 ** 31)), 2n ** 62n)
  assert.equal(add(new Int32(2), 3), 5)
  assert.equal(multiply(new Int32(65536), new Int32(65536)), 2n ** 32n)
})

test('an integer is never minus zero', () => {
  assert.ok(Object.is(multiply(-5, 0), 0))
})

test('an int64 stays one, however small, and cannot overflow', () => {
  assert.equal(add(2n, -1), 1n)
  assert.equal(multiply(3, 2n), 6n)
  assert.equal(add(Long.fromNumber(5), 1), 6n)
  assert.equal(add(2n ** 63n - 1n, 1), undefined)
  assert.equal(multiply(2n ** 62n, 2), undefined)
  assert.equal(multiply(2n ** 62n, -2), -(2n ** 63n))
})

test('a double makes a double, infinity and NaN included', () => {
  assert.equal(add(1, 0.5), 1.5)
  assert.equal(add(2n ** 53n, 0.5), 2 ** 53)
  assert.equal(add(2 ** 31, 1), 2 ** 31 + 1)
  assert.equal(multiply(1e300, 1e300), Number.POSITIVE_INFINITY)
  assert.ok(Number.isNaN(multiply(Number.POSITIVE_INFINITY, 0)))
})

test('a double that looks like an integer is handed to the store to be kept a double', () => {
  const double = (n: number) => new Double(n)
  assert.deepEqual(sum(0.5, 0.5, double), new Double(1))
  assert.deepEqual(sum(new Double(1), 1, double), new Double(2))
  assert.equal(sum(0.5, 0.25, double), 0.75)
  assert.equal(sum(2 ** 31, 2 ** 31, double), 2 ** 32)
})

test('a result that equals what is there already leaves it as it is', () => {
  assert.ok(Object.is(add(-0, new Double(0)), -0))
  const one = decimal('1.0')
  assert.equal(add(one, decimal('0.000')), one)
})

test('a decimal makes a decimal of 34 digits, rounded half to even', () => {
  const cases: [unknown, unknown, string][] = [
    [decimal('1.10'), decimal('2.2'), '3.30'],
    [decimal('1'), 2, '3'],
    [2n ** 63n - 1n, decimal('1'), '9223372036854775808'],
    [
      decimal('9999999999999999999999999999999999'),
      decimal('0.5'),
      '1.000000000000000000000000000000000E+34',
    ],
    [decimal('9999999999999999999999999999999998'), decimal('0.5'), '9999999999999999999999999999999998'],
    [decimal('1E-40'), decimal('1'), '1.000000000000000000000000000000000'],
    [decimal('1'), decimal('1E-40'), '1'],
    [decimal('9.999999999999999999999999999999999E+6144'), decimal('1E+6144'), 'Infinity'],
    [decimal('9999999999999999999999999999999999E+6111'), decimal('6E+6110'), 'Infinity'],
    [decimal('Infinity'), decimal('-Infinity'), 'NaN'],
    [-0, decimal('-0'), '-0'],
    [-0, decimal('0'), '0'],
    [decimal('NaN'), 1, 'NaN'],
    [decimal('1'), decimal('-1.00'), '0.00'],
    [decimal('-5'), Number.POSITIVE_INFINITY, 'Infinity'],
  ]
  for (const [a, b, expected] of cases) assert.equal(String(add(a, b)), expected)
})

test('decimals multiply with the exponents added, down to the smallest and up to infinity', () => {
  const cases: [unknown, unknown, string][] = [
    [decimal('1.50'), decimal('2.0'), '3.000'],
    [decimal('-1.50'), 0, '-0.00'],
    [decimal('1E-6176'), decimal('0.5'), '0E-6176'],
    [decimal('3E-6176'), decimal('0.5'), '2E-6176'],
    [decimal('1E+6111'), decimal('10'), '1.0E+6112'],
    [decimal('1E+6144'), decimal('10'), 'Infinity'],
    [decimal('Infinity'), 0, 'NaN'],
  ]
  for (const [a, b, expected] of cases) assert.equal(String(multiply(a, b)), expected)
})

test('a double meets a decimal with its first 15 digits', () => {
  const cases: [number, string][] = [
    [0.1, '1.100000000000000'],
    [1 / 3, '1.333333333333333'],
    [0.5, '1.500000000000000'],
    [1e21, '1000000000000000000001'],
    [999999999999999.9, '1000000000000001'],
    [5e-324, '1'],
  ]
  for (const [double, expected] of cases) assert.equal(String(add(decimal('1'), double)), expected)
})

test('numbers of all kinds are compared by their exact value', () => {
  const ascending: unknown[] = [
    Number.NaN,
    Number.NEGATIVE_INFINITY,
    decimal('-1E+400'),
    -1e300,
    -(2n ** 63n),
    -1,
    decimal('-1E-400'),
    0,
    5e-324,
    decimal('0.1'),
    0.1,
    decimal('0.1000000000000000055511151231257828'),
    1,
    2 ** 53,
    2n ** 53n + 1n,
    decimal('9007199254740994.5'),
    2n ** 63n - 1n,
    2 ** 63,
    1.7976931348623157e308,
    decimal('1E+400'),
    Number.POSITIVE_INFINITY,
  ]
  for (const [i, a] of ascending.entries()) {
    for (const [j, b] of ascending.entries()) {
      assert.equal(Math.sign(compareNumbers(a, b)), Math.sign(i - j), `${a} and ${b}`)
    }
  }
})

test('equal numbers are equal whatever their kind', () => {
  const ones = [
    1,
    1n,
    new Int32(1),
    new Double(1),
    Long.ONE,
    decimal('1'),
    decimal('1.00'),
    decimal('0.1E+1'),
  ]
  for (const a of ones) for (const b of ones) assert.equal(compareNumbers(a, b), 0)
  assert.equal(compareNumbers(-0, 0), 0)
  assert.equal(compareNumbers(decimal('-0E+3'), 0), 0)
  assert.equal(compareNumbers(decimal('NaN'), Number.NaN), 0)
  assert.equal(compareNumbers(decimal('Infinity'), Number.POSITIVE_INFINITY), 0)
})

test('numbers are told from everything else, and NaN from numbers', () => {
  for (const value of [1, 1n, Long.ONE, decimal('1'), new Double(1)]) assert.ok(isNumber(value))
  for (const value of [null, undefined, '1', true, {}, [1], new Date()]) assert.ok(!isNumber(value))
  for (const value of [Number.NaN, decimal('NaN'), new Double(Number.NaN)]) assert.ok(isNaNumber(value))
  for (const value of [0, 1n, Long.ONE, decimal('Infinity'), null, 'NaN']) assert.ok(!isNaNumber(value))
})

test('the order of operands changes nothing', () => {
  const isSame = (a: unknown, b: unknown) =>
    a === b || (a !== undefined && b !== undefined && compareNumbers(a, b) === 0)
  fc.assert(
    fc.property(someNumber, someNumber, (a, b) => {
      assert.ok(isSame(add(a, b), add(b, a)))
      assert.ok(isSame(multiply(a, b), multiply(b, a)))
    }),
  )
})

test('decimals calculate as integers do, as long as 34 digits hold the result', () => {
  const someInteger = fc.bigInt({ min: -(10n ** 16n), max: 10n ** 16n })
  fc.assert(
    fc.property(someInteger, someInteger, (a, b) => {
      assert.equal(compareNumbers(add(decimal(`${a}`), b), decimal(`${a + b}`)), 0)
      assert.equal(compareNumbers(multiply(decimal(`${a}`), b), decimal(`${a * b}`)), 0)
    }),
  )
})
