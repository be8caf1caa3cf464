import type { BSONInstance } from './values.ts'

/** A decimal number of any precision: coefficient × 10^exponent. Zero has a sign and an exponent, as in IEEE 754. */
export interface Decimal {
  readonly negative: boolean
  readonly coefficient: bigint
  readonly exponent: number
  readonly special?: 'Infinity' | 'NaN'
}

/** As much of BSON's `Decimal128` as is used here; results are made by the class of the operand itself. */
export interface Decimal128 extends BSONInstance {
  readonly bytes: Uint8Array
}

/** IEEE 754-2008, decimal128. */
const DIGITS = 34
const MIN_EXPONENT = -6176
const MAX_EXPONENT = 6111
/** MongoDB takes a double for its first 15 digits when it meets a decimal: what every double holds for certain. */
const DIGITS_OF_A_DOUBLE = 15

const NAN: Decimal = { negative: false, coefficient: 0n, exponent: 0, special: 'NaN' }

/** Reads the binary integer encoding that BSON uses. */
export function decimalOf({ bytes }: Decimal128): Decimal {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const low = view.getBigUint64(0, true)
  const high = view.getBigUint64(8, true)
  const negative = high >> 63n === 1n
  const combination = Number((high >> 58n) & 0x1fn)
  if (combination === 0x1f) return NAN
  if (combination === 0x1e) return infinity(negative)
  // The second form's coefficients are all beyond 34 digits, which the standard reads as zero.
  const second = combination >= 0x18
  const exponent = Number((high >> (second ? 47n : 49n)) & 0x3fffn) + MIN_EXPONENT
  const coefficient = second ? 0n : ((high & 0x1ffffffffffffn) << 64n) | low
  return { negative, coefficient: coefficient < 10n ** BigInt(DIGITS) ? coefficient : 0n, exponent }
}

/** Makes a `Decimal128` of the same class as `like`. */
export function encoded(decimal: Decimal, like: Decimal128): Decimal128 {
  const sign = decimal.negative ? '-' : ''
  const text = decimal.special ?? `${decimal.coefficient}E${decimal.exponent}`
  const { fromString } = like.constructor as unknown as { fromString(text: string): Decimal128 }
  return fromString.call(like.constructor, sign + text)
}

export function decimalOfInteger(integer: bigint): Decimal {
  return { negative: integer < 0n, coefficient: integer < 0n ? -integer : integer, exponent: 0 }
}

/** As MongoDB takes a double into decimal arithmetic: with exactly 15 digits. */
export function decimalOfDouble(double: number): Decimal {
  const exact = exactDecimal(double)
  if (exact.special || exact.coefficient === 0n) return exact
  const { negative, coefficient, exponent } = withDigits(exact, DIGITS)
  const missing = DIGITS_OF_A_DOUBLE - digitsOf(coefficient)
  if (missing < 0) return withDigits({ negative, coefficient, exponent }, DIGITS_OF_A_DOUBLE)
  return { negative, coefficient: coefficient * 10n ** BigInt(missing), exponent: exponent - missing }
}

/** A double's value to the last digit. */
export function exactDecimal(double: number): Decimal {
  if (Number.isNaN(double)) return NAN
  const negative = double < 0 || Object.is(double, -0)
  if (!Number.isFinite(double)) return infinity(negative)
  let fraction = Math.abs(double)
  let halvings = 0
  while (!Number.isInteger(fraction)) {
    fraction *= 2
    halvings++
  }
  // x / 2^n = x × 5^n / 10^n
  return { negative, coefficient: BigInt(fraction) * 5n ** BigInt(halvings), exponent: -halvings }
}

/** IEEE 754 addition in decimal128, rounding half to even. */
export function sumOfDecimals(a: Decimal, b: Decimal): Decimal {
  if (a.special || b.special) {
    if (a.special === 'NaN' || b.special === 'NaN') return NAN
    if (a.special && b.special && a.negative !== b.negative) return NAN
    return infinity(a.special ? a.negative : b.negative)
  }
  const exponent = Math.min(a.exponent, b.exponent)
  const sum = signedAt(a, exponent) + signedAt(b, exponent)
  const negative = sum === 0n ? a.negative && b.negative : sum < 0n
  return rounded({ negative, coefficient: sum < 0n ? -sum : sum, exponent })
}

/** IEEE 754 multiplication in decimal128, rounding half to even. */
export function productOfDecimals(a: Decimal, b: Decimal): Decimal {
  const negative = a.negative !== b.negative
  if (a.special || b.special) {
    if (a.special === 'NaN' || b.special === 'NaN' || isZero(a) || isZero(b)) return NAN
    return infinity(negative)
  }
  return rounded({ negative, coefficient: a.coefficient * b.coefficient, exponent: a.exponent + b.exponent })
}

/** By value; NaN comes before everything and equals itself, as in BSON's order. */
export function compareDecimals(a: Decimal, b: Decimal): number {
  if (a.special === 'NaN' || b.special === 'NaN')
    return Number(b.special === 'NaN') - Number(a.special === 'NaN')
  const signs = signOf(a) - signOf(b)
  if (signs !== 0) return Math.sign(signs)
  if (isZero(a)) return 0
  return a.negative ? compareMagnitudes(b, a) : compareMagnitudes(a, b)
}

/** The number or bigint that equals it or, where there is none, a text that all which equal it have in common. */
export function exactNumberOfDecimal(decimal: Decimal): number | bigint | string {
  const { negative, special } = decimal
  const sign = negative ? '-' : ''
  if (special) return special === 'NaN' ? Number.NaN : Number(`${sign}${special}`)
  let { coefficient, exponent } = decimal
  const double = Number(`${sign}${coefficient}E${exponent}`)
  if (compareDecimals(exactDecimal(double), decimal) === 0) return double
  while (coefficient % 10n === 0n) {
    coefficient /= 10n
    exponent++
  }
  // No bigint that a session holds has more digits.
  if (exponent < 0 || exponent > DIGITS) return `${sign}${coefficient}E${exponent}`
  const whole = shifted(coefficient, exponent)
  return negative ? -whole : whole
}

function compareMagnitudes(a: Decimal, b: Decimal): number {
  if (a.special || b.special) return Number(Boolean(a.special)) - Number(Boolean(b.special))
  // Aligning numbers of different magnitude would make needlessly long integers.
  const magnitudes = digitsOf(a.coefficient) + a.exponent - (digitsOf(b.coefficient) + b.exponent)
  if (magnitudes !== 0) return Math.sign(magnitudes)
  const exponent = Math.min(a.exponent, b.exponent)
  const [x, y] = [
    shifted(a.coefficient, a.exponent - exponent),
    shifted(b.coefficient, b.exponent - exponent),
  ]
  return x < y ? -1 : x > y ? 1 : 0
}

function rounded(decimal: Decimal): Decimal {
  const { negative, coefficient, exponent } = withDigits(decimal, DIGITS, MIN_EXPONENT)
  if (coefficient === 0n) {
    return { negative, coefficient, exponent: Math.min(Math.max(exponent, MIN_EXPONENT), MAX_EXPONENT) }
  }
  const excess = exponent - MAX_EXPONENT
  if (excess <= 0) return { negative, coefficient, exponent }
  if (digitsOf(coefficient) + excess > DIGITS) return infinity(negative)
  return { negative, coefficient: shifted(coefficient, excess), exponent: MAX_EXPONENT }
}

/** Rounds half to even to so many digits, and further where the exponent would be too small. */
function withDigits(decimal: Decimal, digits: number, minExponent = Number.NEGATIVE_INFINITY): Decimal {
  const { negative, coefficient, exponent } = decimal
  const dropped = Math.max(digitsOf(coefficient) - digits, minExponent - exponent, 0)
  if (dropped === 0) return decimal
  const unit = 10n ** BigInt(dropped)
  const rest = coefficient % unit
  let kept = coefficient / unit
  if (rest * 2n > unit || (rest * 2n === unit && kept % 2n === 1n)) kept++
  const carried = digitsOf(kept) > digits
  return {
    negative,
    coefficient: carried ? kept / 10n : kept,
    exponent: exponent + dropped + Number(carried),
  }
}

function infinity(negative: boolean): Decimal {
  return { negative, coefficient: 0n, exponent: 0, special: 'Infinity' }
}

function signOf(decimal: Decimal): number {
  return isZero(decimal) ? 0 : decimal.negative ? -1 : 1
}

function isZero({ special, coefficient }: Decimal): boolean {
  return !special && coefficient === 0n
}

function signedAt({ negative, coefficient, exponent }: Decimal, target: number): bigint {
  const aligned = shifted(coefficient, exponent - target)
  return negative ? -aligned : aligned
}

function shifted(coefficient: bigint, places: number): bigint {
  return coefficient === 0n ? 0n : coefficient * 10n ** BigInt(places)
}

function digitsOf(coefficient: bigint): number {
  return coefficient === 0n ? 1 : coefficient.toString().length
}
