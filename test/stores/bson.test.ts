import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Binary } from 'bson'
import { SessionTooLargeError } from '../../src/errors.ts'
import type { Fields } from '../../src/language/values.ts'
import { decode, encode } from '../../src/stores/bson.ts'

const MAX_BYTES = 17 * 2 ** 20
/** Bytes of BSON that a document with one string of one byte in a field `a` has besides the string. */
const AROUND = 13

test('what is too large to be encoded is refused, and never cut off', () => {
  const largest = { a: 'x'.repeat(MAX_BYTES - AROUND) }
  assert.equal(encode(largest).length, MAX_BYTES)
  assert.equal((decode(encode(largest)).a as string).length, largest.a.length)
  const tooLarge: Fields[] = [
    { a: `${largest.a}x` },
    { a: 'é'.repeat(MAX_BYTES / 2) },
    { list: Array.from({ length: 17 }, () => 'x'.repeat(2 ** 20)) },
    { list: Array.from({ length: 20 }, () => 'x'.repeat(2 ** 20)) },
    { bytes: new Binary(new Uint8Array(MAX_BYTES)) },
  ]
  for (const last of [1, 0.5, true, null, 1n, '', [], {}, new Date(0)]) tooLarge.push({ ...largest, last })
  for (const fields of tooLarge) assert.throws(() => encode(fields), SessionTooLargeError)
})
