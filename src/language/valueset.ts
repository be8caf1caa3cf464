import { binaryOf, equal, hexOf, rankOf } from './compare.ts'
import { exactNumber, isNumber } from './numbers.ts'
import type { Fields } from './values.ts'

/** Up to this number, comparing one by one costs less than making keys. */
const FEW = 8

/**
 * A set of values in insertion order, with MongoDB's equality. A lookup takes constant time, since a visitor may determine the
 * number of values.
 */
export class ValueSet {
  #few: unknown[] | undefined = []
  readonly #byKey = new Map<string, unknown>()

  constructor(values: readonly unknown[]) {
    if (values.length > FEW) this.#few = undefined
    for (const value of values) this.#add(value)
  }

  has(value: unknown): boolean {
    return this.#few ? this.#few.some(one => equal(one, value)) : this.#byKey.has(keyOf(value))
  }

  delete(value: unknown): void {
    if (!this.#few) {
      this.#byKey.delete(keyOf(value))
      return
    }
    const index = this.#few.findIndex(one => equal(one, value))
    if (index >= 0) this.#few.splice(index, 1)
  }

  values(): unknown[] {
    return this.#few ?? [...this.#byKey.values()]
  }

  #add(value: unknown): void {
    if (this.#few) {
      if (!this.has(value)) this.#few.push(value)
      return
    }
    const key = keyOf(value)
    if (!this.#byKey.has(key)) this.#byKey.set(key, value)
  }
}

/**
 * The same text for two values exactly if they are equal. Never a number or the digits of one: V8 hashes these without its random
 * seed, so that a visitor could choose numbers whose hashes are all the same.
 */
function keyOf(value: unknown): string {
  if (isNumber(value)) return numeral(value)
  const text: string[] = []
  write(text, value)
  // Joined once: a string that is concatenated step by step keeps all its parts in memory until it is read.
  return text.join('')
}

/** Written so that no value's text is the beginning of another's. */
function write(text: string[], value: unknown): void {
  const rank = rankOf(value)
  switch (rank) {
    case -1:
    case 0:
    case 5:
    case 127:
      text.push(`${rank};`)
      return
    case 10:
      text.push(numeral(value))
      return
    case 20: {
      const fields = value as Fields
      text.push('{')
      for (const name of Object.keys(fields)) {
        writeMeasured(text, '', name)
        write(text, fields[name])
      }
      text.push('}')
      return
    }
    case 25:
      text.push('[')
      for (const element of value as unknown[]) write(text, element)
      text.push(']')
      return
    case 30: {
      const { subtype, bytes } = binaryOf(value)
      const { buffer, byteOffset, length } = bytes
      writeMeasured(text, `b${subtype}:`, Buffer.from(buffer, byteOffset, length).toString('latin1'))
      return
    }
    case 35:
      writeMeasured(text, 'o', hexOf(value))
      return
    case 40:
    case 45:
      text.push(`${rank}:${Number(value)};`)
      return
    case 47:
      text.push(`t${(value as { toBigInt(): bigint }).toBigInt()};`)
      return
    default:
      writeMeasured(text, `${rank}:`, String(value))
  }
}

/** JS writes a bigint and a number alike that are not equal. */
function numeral(value: unknown): string {
  const number = exactNumber(value)
  return typeof number === 'bigint' ? `i${number};` : `n${number};`
}

function writeMeasured(text: string[], kind: string, content: string): void {
  text.push(`${kind}${content.length}:`, content)
}
