import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Binary, Double, deserialize, serialize } from 'bson'
import fc from 'fast-check'
import { CommandError } from '../../src/errors.ts'
import type { Change } from '../../src/language/change.ts'
import { excerpt } from '../../src/language/excerpt.ts'
import { holds } from '../../src/language/guard.ts'
import { applied } from '../../src/language/operators.ts'
import type { Fields } from '../../src/language/values.ts'
import { changed, decode, decodeExactly, meets, read } from '../../src/stores/bson.ts'
import { cut, elementsOf, spliced } from '../../src/stores/elements.ts'
import { someCase, someFields, someSimpleCase } from '../support/generators.ts'

const RUNS = 20_000
const double = (n: number) => new Double(n)

/** The same fields, with names that are numbers where JavaScript has them: before all others. */
function inOrder(bytes: Uint8Array): Uint8Array {
  return serialize(decodeExactly(bytes))
}

function outcomeOf(change: () => Uint8Array): Uint8Array | string {
  try {
    return inOrder(change())
  } catch (error) {
    assert.ok(error instanceof CommandError)
    return error.message
  }
}

function whole(bytes: Uint8Array, { operations }: Change): Uint8Array {
  const now = new Date()
  return serialize(applied(decodeExactly(bytes), operations, { double, now }))
}

for (const [what, some] of [
  ['any change', someCase],
  ['a simple change of numbers at their edges', someSimpleCase],
] as const) {
  test(`${what} of the fields that it touches leaves what the same change of all fields would`, t => {
    t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
    fc.assert(
      fc.property(some, ({ fields, change }) => {
        const bytes = serialize(fields)
        assert.deepEqual(
          outcomeOf(() => changed(bytes, change)),
          outcomeOf(() => whole(bytes, change)),
        )
        assert.equal(meets(bytes, change.guards), holds(change.guards, decodeExactly(bytes)))
        const paths = change.operations.map(({ path }) => path)
        assert.deepEqual(read(bytes, paths), excerpt(decode(bytes), paths))
      }),
      { numRuns: RUNS },
    )
  })
}

test('a document is the sum of its elements', () => {
  fc.assert(
    fc.property(someFields, fields => {
      const bytes = serialize(fields)
      const elements = elementsOf(bytes)
      assert.deepEqual(
        elements.map(({ name }) => name),
        Object.keys(fields),
      )
      for (const { name, start, value, end } of elements) {
        assert.deepEqual(bytes.subarray(start, end), serialize({ [name]: fields[name] }).subarray(4, -1))
        assert.equal(value, start + 2 + Buffer.byteLength(name))
      }
      assert.deepEqual(Buffer.from(cut(bytes, new Set(Object.keys(fields)))), Buffer.from(bytes))
    }),
  )
})

test('fields that are put back keep their places, and new ones come last', () => {
  const put = (fields: Fields, names: string[], next: Fields) =>
    Object.entries(deserialize(spliced(serialize(fields), new Set(names), serialize(next))))
  const fields = { a: 1, b: 'two', c: [3], d: null }
  assert.deepEqual(
    put(fields, ['b', 'd'], { d: 'four', b: 2 }),
    Object.entries({ a: 1, b: 2, c: [3], d: 'four' }),
  )
  assert.deepEqual(
    put(fields, ['a', 'x', 'c'], { x: 1, a: 0 }),
    Object.entries({ a: 0, b: 'two', d: null, x: 1 }),
  )
  assert.deepEqual(put(fields, ['a', 'b', 'c', 'd'], {}), [])
  assert.deepEqual(put({}, ['a'], { a: 1 }), [['a', 1]])
})

test('what is read shares no memory with what is stored', () => {
  const bytes = serialize({ bytes: Buffer.from('abc') })
  const { bytes: found } = read(bytes, ['bytes']) as { bytes: Binary }
  found.buffer.fill(0)
  assert.equal(String((decode(bytes).bytes as Binary).buffer), 'abc')
  assert.ok(found.buffer.buffer.byteLength < 100, 'it keeps more than its own bytes in memory')
})

test('bytes that are no document are told from one, wherever they are cut or altered', () => {
  const bytes = serialize({ a: 'text', b: new Binary(Buffer.alloc(3)), c: { d: [1, 2.5] }, e: 7n })
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => elementsOf(bytes.subarray(0, length)), RangeError)
  }
  for (let at = 0; at < bytes.length; at++) {
    for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
      const altered = Uint8Array.from(bytes)
      altered[at] = byte
      try {
        const elements = elementsOf(altered)
        assert.ok(elements.every(({ start, value, end }) => start < value && value <= end))
        assert.ok((elements.at(-1)?.end ?? 4) < bytes.length)
      } catch (error) {
        assert.ok(error instanceof RangeError)
      }
    }
  }
})
