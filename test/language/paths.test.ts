import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FieldError } from '../../src/errors.ts'
import { isFieldName, isIndex, overlap, partsOf, pathOf } from '../../src/language/paths.ts'
import { heldAfter } from '../support/heap.ts'

const somePart = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 10 })
const someGoodPart = somePart.filter(
  part => /^[^$_.\0]/.test(part) && !/[.\0]/.test(part) && isFieldName(part),
)

test('a path is its parts, given as text or one by one', () => {
  fc.assert(
    fc.property(fc.array(someGoodPart, { minLength: 1, maxLength: 16 }), parts => {
      const path = parts.join('.')
      assert.equal(pathOf(path), path)
      assert.equal(pathOf(parts), path)
      assert.deepEqual(partsOf(path), parts)
    }),
  )
})

test('an index is a part', () => {
  assert.equal(pathOf(['cart', 0, 'sku']), 'cart.0.sku')
  assert.equal(pathOf('cart.0.sku'), 'cart.0.sku')
})

test('a part taken verbatim never becomes two', () => {
  fc.assert(
    fc.property(fc.string(), key => {
      let path: string
      try {
        path = pathOf(['prefs', key])
      } catch (error) {
        assert.ok(error instanceof FieldError)
        return
      }
      assert.deepEqual(partsOf(path), ['prefs', key])
    }),
  )
})

test('no text becomes an operator, a prototype or a hidden name', () => {
  const someBit = fc.oneof(
    fc.constantFrom('$', '.', '__proto__', 'constructor', 'prototype', '\0', '_id', 'a', 'then', '$set', ''),
    fc.string({ maxLength: 3 }),
  )
  fc.assert(
    fc.property(fc.array(someBit, { maxLength: 6 }), bits => {
      const text = bits.join('')
      let path: string
      try {
        path = pathOf(text)
      } catch (error) {
        assert.ok(error instanceof FieldError)
        assert.equal(error.path, text)
        return
      }
      const parts = partsOf(path)
      assert.equal(path, text)
      for (const part of parts) {
        assert.ok(part !== '' && !part.startsWith('$') && !part.includes('\0') && part.isWellFormed())
        assert.ok(!['__proto__', 'constructor', 'prototype'].includes(part))
      }
      assert.ok(isFieldName(parts[0] ?? ''))
    }),
  )
})

test('a part has at most 128 bytes, a path at most 16 parts', () => {
  pathOf('x'.repeat(128))
  pathOf('é'.repeat(64))
  pathOf(Array.from({ length: 16 }, () => 'a'))
  for (const wrong of ['x'.repeat(129), 'é'.repeat(65), '😀'.repeat(33), `a${'.a'.repeat(16)}`, []]) {
    assert.throws(() => pathOf(wrong), FieldError)
  }
})

test('a path that was refused once is refused again', () => {
  for (let time = 0; time < 3; time++) assert.throws(() => pathOf('a.$where'), FieldError)
})

test('names are not normalised', () => {
  assert.notEqual(pathOf('\u00e9'), pathOf('e\u0301'))
})

test('names of Object.prototype, of the session and hidden ones are no fields, but may be keys', () => {
  for (const name of ['toString', 'hasOwnProperty', '_id', '_', 'set', 'destroy', 'expires', 'then']) {
    assert.ok(!isFieldName(name))
    assert.throws(() => pathOf(name), FieldError)
    assert.equal(pathOf(`prefs.${name}`), `prefs.${name}`)
  }
  for (const name of ['user_id', 'name', 'a_', '名', 'Set', 'ids']) assert.ok(isFieldName(name))
})

test('a message about a path is short and holds no control character', () => {
  const wrong = `${'x'.repeat(5000)}\n\u001b[31m`
  assert.throws(
    () => pathOf(wrong),
    ({ message }: Error) => message.length < 400 && !message.includes('\n') && !message.includes('\u001b'),
  )
})

test('a name that was cut out of a large text does not keep that text in memory', async () => {
  const held = await heldAfter(() => {
    for (let time = 0; time < 60; time++) {
      const text = `${'x'.repeat(2 ** 20)} a name of some length ${time}`
      pathOf(text.slice(2 ** 20 + 1))
      pathOf(['prefs', text.slice(2 ** 20 + 1)])
    }
  })
  assert.ok(held < 10 * 2 ** 20, `${held} bytes are held`)
})

test('only a number without zeros before it is an index', () => {
  for (const part of ['0', '7', '10', '4294967296']) assert.ok(isIndex(part), part)
  for (const part of ['', '00', '01', '007', '-1', '1.5', '1e3', '+1', ' 1', '٣', 'a'])
    assert.ok(!isIndex(part), part)
})

test('an error about no path has none', () => {
  for (const wrong of [undefined, 5, {}, []]) {
    assert.throws(
      () => pathOf(wrong),
      (error: unknown) => error instanceof FieldError && error.path === undefined,
    )
  }
})

test('one path overlaps another if it is it or holds it', () => {
  assert.ok(overlap('a', 'a'))
  assert.ok(overlap('a', 'a.b'))
  assert.ok(overlap('a.b.c', 'a'))
  assert.ok(!overlap('a', 'ab'))
  assert.ok(!overlap('a.b', 'a.c'))
})
