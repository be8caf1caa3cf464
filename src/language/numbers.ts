import {
  compareDecimals,
  type Decimal,
  type Decimal128,
  decimalOf,
  decimalOfDouble,
  decimalOfInteger,
  encoded,
  exactDecimal,
  exactNumberOfDecimal,
  productOfDecimals,
  sumOfDecimals,
} from './decimals.ts'
import { isBSON } from './values.ts'

/**
 * Makes a stored double from a number that would otherwise count as an int32. A store with only one kind of number returns it
 * unchanged.
 */
export type DoubleMaker = (n: number) => unknown

/** Stored numbers are of BSON's four kinds. A JS number is an int32 if it is a whole one in range and not -0. */
type Numeric =
  | { readonly kind: 'int32' | 'double'; readonly value: number }
  | { readonly kind: 'int64'; readonly value: bigint }
  | { readonly kind: 'decimal'; readonly value: Decimal; readonly instance: Decimal128 }

const numericTypes = new Set(['Int32', 'Double', 'Long', 'Decimal128'])

export function isNumber(value: unknown): boolean {
  if (typeof value === 'object') return isBSON(value) && numericTypes.has(value._bsontype)
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Whether a value is NaN, as a double or as a decimal. */
export function isNaNumber(value: unknown): boolean {
  if (typeof value === 'number') return Number.isNaN(value)
  if (typeof value !== 'object' || !isNumber(value)) return false
  const numeric = numericOf(value)
  return numeric.kind === 'decimal' ? numeric.value.special === 'NaN' : Number.isNaN(numeric.value)
}

/** The result of MongoDB's `$inc`; `undefined` if it does not fit into 64 bits, which MongoDB refuses. */
export function sum(current: unknown, by: unknown, double: DoubleMaker): unknown {
  if (typeof current === 'number' && typeof by === 'number' && isInt32(current) && isInt32(by)) {
    return fromInt32s(current + by)
  }
  const [a, b] = [numericOf(current), numericOf(by)]
  const operands = decimalsOf(a, b)
  if (operands) return decimal(operands[0], sumOfDecimals(operands[0], operands[1]), current, by)
  if (a.kind === 'double' || b.kind === 'double') {
    return fromDouble(Number(a.value) + Number(b.value), a, current, double)
  }
  if (a.kind === 'int32' && b.kind === 'int32') return fromInt32s(a.value + b.value)
  return fromInt64(BigInt(a.value as number | bigint) + BigInt(b.value as number | bigint))
}

/**
 * The sum of two arguments of `inc`, if adding it has the same result as adding one after the other: both are whole, and no digit
 * is lost. `undefined` otherwise, and if the sum would be of another kind of number.
 */
export function exactSum(a: unknown, b: unknown): number | bigint | undefined {
  const total = sum(a, b, () => undefined)
  if (typeof total === 'bigint') return total
  return typeof total === 'number' && [a, b, total].every(isExactWhole) ? total : undefined
}

function isExactWhole(value: unknown): boolean {
  const { kind, value: number } = numericOf(value)
  return kind !== 'decimal' && Number.isSafeInteger(Number(number))
}

/** The result of MongoDB's `$mul`; `undefined` if it does not fit into 64 bits, which MongoDB refuses. */
export function product(current: unknown, by: unknown, double: DoubleMaker): unknown {
  if (typeof current === 'number' && typeof by === 'number' && isInt32(current) && isInt32(by)) {
    const result = current * by
    // Beyond 2^53 a JS product is no longer exact.
    return Number.isSafeInteger(result) ? fromInt32s(result) : BigInt(current) * BigInt(by)
  }
  const [a, b] = [numericOf(current), numericOf(by)]
  const operands = decimalsOf(a, b)
  if (operands) return decimal(operands[0], productOfDecimals(operands[0], operands[1]), current, by)
  if (a.kind === 'double' || b.kind === 'double') {
    return fromDouble(Number(a.value) * Number(b.value), a, current, double)
  }
  if (a.kind === 'int32' && b.kind === 'int32') return product(a.value, b.value, double)
  return fromInt64(BigInt(a.value as number | bigint) * BigInt(b.value as number | bigint))
}

/** By exact value across all kinds; NaN is less than every other number and equals itself. */
export function compareNumbers(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return compareExactly(a, b)
  const [x, y] = [numericOf(a), numericOf(b)]
  if (x.kind !== 'decimal' && y.kind !== 'decimal') return compareExactly(x.value, y.value)
  return compareDecimals(exactly(x), exactly(y))
}

/**
 * The same value for all numbers that are equal: a JS number if one is exact, otherwise a bigint, or a string for any other decimal.
 */
export function exactNumber(value: unknown): number | bigint | string {
  const numeric = numericOf(value)
  if (numeric.kind !== 'decimal') {
    const whole = numeric.value
    return typeof whole === 'number' || BigInt(Number(whole)) !== whole ? whole : Number(whole)
  }
  return exactNumberOfDecimal(numeric.value)
}

/** JS compares a number with a bigint by exact value. */
function compareExactly(a: number | bigint, b: number | bigint): number {
  if (a < b) return -1
  if (a > b) return 1
  return Number(Number.isNaN(b)) - Number(Number.isNaN(a))
}

function numericOf(value: unknown): Numeric {
  if (typeof value === 'number') return { kind: isInt32(value) ? 'int32' : 'double', value }
  if (typeof value === 'bigint') return { kind: 'int64', value }
  const { _bsontype } = value as { _bsontype: string }
  switch (_bsontype) {
    case 'Int32':
      return { kind: 'int32', value: (value as { value: number }).value }
    case 'Double':
      return { kind: 'double', value: (value as { value: number }).value }
    case 'Long':
      return { kind: 'int64', value: (value as { toBigInt(): bigint }).toBigInt() }
    case 'Decimal128':
      return { kind: 'decimal', value: decimalOf(value as Decimal128), instance: value as Decimal128 }
    default:
      throw new TypeError(`Not a number: BSON's ${_bsontype}`)
  }
}

/** Both as decimals, if at least one is a decimal. */
function decimalsOf(a: Numeric, b: Numeric): [Decimal, Decimal] | undefined {
  if (a.kind !== 'decimal' && b.kind !== 'decimal') return undefined
  return [asDecimal(a), asDecimal(b)]
}

function asDecimal(numeric: Numeric): Decimal {
  if (numeric.kind === 'decimal') return numeric.value
  return numeric.kind === 'double' ? decimalOfDouble(numeric.value) : decimalOfInteger(BigInt(numeric.value))
}

function exactly(numeric: Numeric): Decimal {
  return numeric.kind === 'double' ? exactDecimal(numeric.value) : asDecimal(numeric)
}

// MongoDB keeps a number if the result equals it and has its kind: -0 + 0.0 stays -0, 1.0 + 0.00 stays 1.0.

function decimal(before: Decimal, result: Decimal, current: unknown, by: unknown): unknown {
  const isDecimal = isBSON(current) && current._bsontype === 'Decimal128'
  if (isDecimal && result.special !== 'NaN' && compareDecimals(before, result) === 0) return current
  return encoded(result, (isDecimal ? current : by) as Decimal128)
}

function fromDouble(result: number, before: Numeric, current: unknown, double: DoubleMaker): unknown {
  if (before.kind === 'double' && before.value === result) return current
  return isInt32(result) ? double(result) : result
}

/** Int32 arithmetic that overflows gives an int64. Adding 0 turns -0 into 0, since -0 is not an integer. */
function fromInt32s(result: number): number | bigint {
  return isInt32(result + 0) ? result + 0 : BigInt(result)
}

function fromInt64(result: bigint): bigint | undefined {
  return result === BigInt.asIntN(64, result) ? result : undefined
}

function isInt32(n: number): boolean {
  return (n | 0) === n && !Object.is(n, -0)
}
