/** A top-level field of a BSON document, as its bytes stand there: a byte for the type, the name, a NUL, and the value. */
export interface Element {
  readonly name: string
  /** Where the element begins, with its type. */
  readonly start: number
  /** Where its value begins. */
  readonly value: number
  /** Where the next element begins. */
  readonly end: number
}

/** https://bsonspec.org/spec.html, as far as a session holds them: bytes of the values that are all of one length. */
const LENGTHS: Readonly<Record<number, number>> = {
  1: 8, // double
  7: 12, // ObjectId
  8: 1, // boolean
  9: 8, // date
  10: 0, // null
  16: 4, // int32
  18: 8, // int64
  19: 16, // Decimal128
}
const STRING = 2
const OBJECT = 3
const ARRAY = 4
const BINARY = 5

/** Of the document, before its elements. */
const LENGTH_BYTES = 4

/**
 * The top-level elements of a BSON document, in order; nothing inside them is looked at.
 * @throws {RangeError} for bytes that are no document, or hold what a session cannot.
 */
export function elementsOf(bytes: Uint8Array): Element[] {
  const document = bufferOf(bytes)
  if (document.length <= LENGTH_BYTES || document.readInt32LE(0) !== document.length) throw damaged()
  const elements: Element[] = []
  const last = document.length - 1
  for (let start = LENGTH_BYTES; start < last; ) {
    const nul = document.indexOf(0, start + 1)
    if (nul < 0) throw damaged()
    const value = nul + 1
    const end = value + lengthOf(document[start] as number, document, value)
    if (end > last) throw damaged()
    elements.push({ name: document.toString('utf8', start + 1, nul), start, value, end })
    start = end
  }
  if (document[last] !== 0) throw damaged()
  return elements
}

function lengthOf(type: number, document: Buffer, value: number): number {
  const fixed = LENGTHS[type]
  if (fixed !== undefined) return fixed
  // `readInt32LE` throws a RangeError beyond the end.
  const told = document.readInt32LE(value)
  if (told < 0) throw damaged()
  switch (type) {
    case STRING:
      return 4 + told
    case OBJECT:
    case ARRAY:
      if (told <= LENGTH_BYTES) throw damaged()
      return told
    case BINARY:
      return 5 + told
    default:
      throw damaged()
  }
}

/** A document with no more of these top-level fields than the named ones. Shares no memory with what is given. */
export function cut(
  bytes: Uint8Array,
  names: ReadonlySet<string>,
  elements: readonly Element[] = elementsOf(bytes),
): Uint8Array {
  const parts: Uint8Array[] = []
  for (const { name, start, end } of elements) if (names.has(name)) parts.push(bytes.subarray(start, end))
  return documentOf(parts)
}

/**
 * The document with the named top-level fields as `fields`, a document too, has them: those that were there keep their places,
 * those that `fields` does not have are gone, new ones come last.
 */
export function spliced(
  bytes: Uint8Array,
  names: ReadonlySet<string>,
  fields: Uint8Array,
  elements: readonly Element[] = elementsOf(bytes),
): Uint8Array {
  const next = new Map<string, Uint8Array>()
  for (const { name, start, end } of elementsOf(fields)) next.set(name, fields.subarray(start, end))
  const parts: Uint8Array[] = []
  // What lies between two named fields is copied as one piece.
  let from = LENGTH_BYTES
  for (const { name, start, end } of elements) {
    if (!names.has(name)) continue
    const replacement = next.get(name)
    parts.push(bytes.subarray(from, start))
    if (replacement) parts.push(replacement)
    next.delete(name)
    from = end
  }
  parts.push(bytes.subarray(from, -1))
  for (const added of next.values()) parts.push(added)
  return documentOf(parts)
}

function documentOf(parts: readonly Uint8Array[]): Uint8Array {
  let length = LENGTH_BYTES + 1
  for (const part of parts) length += part.length
  // Not of Node's pool: what is decoded from it shares its memory.
  const document = Buffer.allocUnsafeSlow(length)
  let at = document.writeInt32LE(length)
  for (const part of parts) {
    document.set(part, at)
    at += part.length
  }
  document[at] = 0
  return document
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** For `sound`, which takes it for an absent session. */
export function damaged(): RangeError {
  return new RangeError('The stored fields are damaged')
}
