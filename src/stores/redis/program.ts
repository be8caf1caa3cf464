import type { FieldBytes } from '../fieldbytes.ts'
import type { Step } from './head.ts'

/** How two values are compared, as the script numbers it. */
export const comparisons = { '=': 1, '!=': 2, '<': 3, '<=': 4, '>': 5, '>=': 6 } as const

/** A number in BSON's kinds: that of its type, and its value, which is exact as a double. */
export interface Numeric {
  readonly type: 1 | 16 | 18
  readonly value: number
}

export interface Asking {
  /** Whether the reply has to tell the server's clock. */
  readonly time?: boolean
  /** Whether the reply has to give the first so many fields, and as they were before. */
  readonly answer?: { readonly wanted: number; readonly isBefore: boolean }
  /** Whether the session's entries in an index have to stand as long as it lives. */
  readonly isIndexed?: boolean
  /** Whether the reply has each byte as the character of that number, for a client that reads it as UTF-8. */
  readonly isText?: boolean
}

const TIME = 1
const ANSWER = 2
const BEFORE = 4
const INDEXED = 8
const TEXT = 16

/** What the script of a change is to do, in the order of the calls here. */
export class Program {
  readonly #names = new Map<string, number>()
  #bytes = Buffer.allocUnsafe(256)
  #length = 0

  /** The fields that are named so far, in the order in which a reply has them. */
  get names(): readonly string[] {
    return [...this.#names.keys()]
  }

  /** A field's place among the names. */
  field(name: string): number {
    const place = this.#names.get(name)
    if (place !== undefined) return place
    this.#names.set(name, this.#names.size + 1)
    return this.#names.size
  }

  /** It has to have been written by this revision; -1: it must not be there. */
  check(name: string, stamp: number): void {
    this.#op(1)
    this.#field(name)
    this.#double(stamp)
  }

  /** The session has to be at this revision: else the change is refused, or is told how the session is. */
  revision(rev: number, isRefused: boolean): void {
    this.#op(isRefused ? 3 : 2)
    this.#double(rev)
  }

  size(above: number, atMost: number): void {
    this.#op(4)
    this.#double(above)
    this.#double(atMost)
  }

  /** Another end and lifetime in place of the ones that were seen. */
  life(before: Life, after: Life): void {
    this.#op(5)
    for (const life of [before, after]) {
      this.#double(life.expires)
      this.#double(life.maxAge)
    }
  }

  extend(expires: number | undefined, maxAge: number | undefined, whileMaxAge: number | undefined): void {
    this.#op(6)
    const has = [expires, maxAge, whileMaxAge].map(value => value !== undefined)
    this.#byte(Number(has[0]) + 2 * Number(has[1]) + 4 * Number(has[2]))
    this.#double(expires ?? 0)
    this.#double(maxAge ?? 0)
    this.#double(whileMaxAge ?? 0)
  }

  /** Of the steps since the last such one: they may make the session no larger than this. */
  fits(maxSize: number): void {
    this.#op(7)
    this.#double(maxSize)
  }

  set(name: string, bytes: FieldBytes): void {
    this.#op(10)
    this.#field(name)
    this.#long(bytes)
  }

  unset(name: string): void {
    this.#op(11)
    this.#field(name)
  }

  calculate(op: '$inc' | '$mul', name: string, { type, value }: Numeric): void {
    this.#op(op === '$inc' ? 12 : 13)
    this.#field(name)
    this.#byte(type)
    this.#double(value)
  }

  limit(op: '$min' | '$max', name: string, { type, value }: Numeric, bytes: FieldBytes): void {
    this.#op(op === '$min' ? 14 : 15)
    this.#field(name)
    this.#byte(type)
    this.#double(value)
    this.#long(bytes)
  }

  currentDate(name: string): void {
    this.#op(16)
    this.#field(name)
  }

  exists(name: string, isThere: boolean): void {
    this.#op(20)
    this.#field(name)
    this.#byte(Number(isThere))
  }

  compare(name: string, comparator: keyof typeof comparisons, { value }: Numeric): void {
    this.#op(21)
    this.#field(name)
    this.#byte(comparisons[comparator])
    this.#double(value)
  }

  equals(name: string, comparator: '=' | '!=', bytes: FieldBytes): void {
    this.#op(22)
    this.#field(name)
    this.#byte(comparisons[comparator])
    this.#long(bytes)
  }

  /** Until when one of the session's entries in the indexes stands from now on; or all of them. */
  indexed(until: number, areAll: boolean): void {
    this.#op(areAll ? 31 : 30)
    this.#double(until)
  }

  /** The script's argument. `moves`: by how many the revision moves. */
  argument({ process, number, until }: Step, moves: number, asking: Asking): Buffer {
    const names = [...this.#names.keys()].map(name => Buffer.from(name))
    let length = 35 + this.#length
    for (const name of names) length += 2 + name.length
    const bytes = Buffer.allocUnsafe(length)
    bytes[0] = flagsOf(asking)
    bytes.set(process, 1)
    bytes.writeDoubleLE(number, 9)
    bytes.writeDoubleLE(until, 17)
    bytes.writeUInt16LE(moves, 25)
    bytes.writeUInt32LE(asking.answer?.wanted ?? 0, 27)
    let at = bytes.writeUInt32LE(names.length, 31)
    for (const name of names) {
      at = bytes.writeUInt16LE(name.length, at)
      bytes.set(name, at)
      at += name.length
    }
    this.#bytes.copy(bytes, at, 0, this.#length)
    return bytes
  }

  #op(code: number): void {
    this.#byte(code)
  }

  #field(name: string): void {
    const place = this.field(name)
    this.#reserve(4)
    this.#length = this.#bytes.writeUInt32LE(place, this.#length)
  }

  #byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  #double(value: number): void {
    this.#reserve(8)
    this.#length = this.#bytes.writeDoubleLE(value, this.#length)
  }

  #long(bytes: Uint8Array): void {
    this.#reserve(4 + bytes.length)
    this.#length = this.#bytes.writeUInt32LE(bytes.length, this.#length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

interface Life {
  readonly expires: number
  readonly maxAge: number
}

function flagsOf({ time, answer, isIndexed, isText }: Asking): number {
  return (
    (time ? TIME : 0) +
    (answer ? ANSWER : 0) +
    (answer?.isBefore ? BEFORE : 0) +
    (isIndexed ? INDEXED : 0) +
    (isText ? TEXT : 0)
  )
}
