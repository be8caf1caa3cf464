import type { Fields } from '../language/values.ts'
import { decode, decodeExactly, encode } from './bson.ts'

/** The encoded value of one top-level field: a byte for its BSON type, then the value in BSON. */
export type FieldBytes = Uint8Array

const DOUBLE = 1
const STRING = 2
const BOOLEAN = 8
const NULL = 10
const INT32 = 16

/** Bytes of an empty document: its length, and a byte at the end. */
const EMPTY = 5

/** Bytes of BSON that a field of this name takes in its document. */
export function sizeOfField(name: string, bytes: FieldBytes): number {
  return Buffer.byteLength(name) + 1 + bytes.length
}

/** Bytes of BSON that fields take as a document. */
export function sizeOfFields(fields: Iterable<readonly [name: string, bytes: FieldBytes]>): number {
  let size = EMPTY
  for (const [name, bytes] of fields) size += sizeOfField(name, bytes)
  return size
}

/** What most fields hold is not worth a document of its own. */
export function encodeField(value: unknown): FieldBytes {
  switch (typeof value) {
    case 'number':
      return encodeNumber(value)
    case 'string':
      return encodeString(value)
    case 'boolean':
      return Uint8Array.of(BOOLEAN, Number(value))
    default:
      return value === null ? Uint8Array.of(NULL) : encodeAny(value)
  }
}

function encodeNumber(value: number): FieldBytes {
  if ((value | 0) === value && !Object.is(value, -0)) {
    const bytes = Buffer.allocUnsafe(5)
    bytes[0] = INT32
    bytes.writeInt32LE(value, 1)
    return bytes
  }
  const bytes = Buffer.allocUnsafe(9)
  bytes[0] = DOUBLE
  bytes.writeDoubleLE(value, 1)
  return bytes
}

function encodeString(value: string): FieldBytes {
  const length = Buffer.byteLength(value)
  const bytes = Buffer.allocUnsafe(length + 6)
  bytes[0] = STRING
  bytes.writeInt32LE(length + 1, 1)
  bytes.write(value, 5)
  bytes[length + 5] = 0
  return bytes
}

/** Under an empty name: the document's length, the type, the end of the name, the value, the document's end. */
function encodeAny(value: unknown): FieldBytes {
  const document = encode({ '': value })
  const bytes = document.subarray(5, document.length - 1)
  bytes[0] = document[4] as number
  return bytes
}

/** Decodes fields as MongoDB's driver does. */
export function decodeFields(fields: Iterable<readonly [name: string, bytes: FieldBytes]>): Fields {
  const all = [...fields]
  const values: Fields = {}
  for (const [name, bytes] of all) {
    const value = scalarIn(bytes)
    // What is no scalar is not worth a second way, nor is a name that would act.
    if (value === undefined || name === '__proto__') return decode(documentOf(all))
    values[name] = value
  }
  return values
}

/** `undefined` for other types, and for damaged bytes: `decode` then says what is wrong. */
function scalarIn(bytes: FieldBytes): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const { length } = buffer
  switch (bytes[0]) {
    case INT32:
      return length === 5 ? buffer.readInt32LE(1) : undefined
    case DOUBLE:
      return length === 9 ? buffer.readDoubleLE(1) : undefined
    case STRING:
      return length > 5 && buffer.readInt32LE(1) === length - 5 ? textIn(buffer) : undefined
    case BOOLEAN:
      return length === 2 ? bytes[1] === 1 : undefined
    case NULL:
      return length === 1 ? null : undefined
    default:
      return undefined
  }
}

function textIn(buffer: Buffer): string | undefined {
  const text = buffer.toString('utf8', 5, buffer.length - 1)
  // Also in place of bytes that are no UTF-8.
  return text.includes('\ufffd') ? undefined : text
}

/** Decodes fields for operators, with each number's kind: arithmetic differs for the integer 2 and the double 2. */
export function decodeFieldsExactly(fields: Iterable<readonly [name: string, bytes: FieldBytes]>): Fields {
  return decodeExactly(documentOf(fields))
}

function documentOf(fields: Iterable<readonly [name: string, bytes: FieldBytes]>): Uint8Array {
  const all = [...fields]
  const document = Buffer.allocUnsafe(sizeOfFields(all))
  document.writeInt32LE(document.length)
  let at = 4
  for (const [name, bytes] of all) {
    document[at++] = bytes[0] as number
    at += document.write(name, at)
    document[at++] = 0
    document.set(bytes.subarray(1), at)
    at += bytes.length - 1
  }
  document[at] = 0
  return document
}

/** Encodes the top-level fields of a session. */
export function encodeFields(fields: Fields): Map<string, FieldBytes> {
  return new Map(Object.entries(fields).map(([name, value]) => [name, encodeField(value)]))
}
