import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { answerable, excerpt, valueAt } from '../../src/language/excerpt.ts'
import { touchedPaths } from '../../src/language/fold.ts'
import { applied } from '../../src/language/operators.ts'
import type { Fields } from '../../src/language/values.ts'
import { completed, type Picture } from '../../src/session/picture.ts'
import { someCase } from '../support/generators.ts'

const aPicture = (fields: Fields): Picture => ({
  fields,
  rev: 1,
  created: new Date(0),
  expires: new Date(1),
  maxAge: 1,
})

test('what stands at a path is found, and nothing of a prototype', () => {
  const fields = { cart: { lines: [{ sku: 'tea' }] }, text: 'abc' }
  assert.equal(valueAt(fields, 'cart.lines.0.sku'), 'tea')
  for (const path of [
    'cart.lines.1',
    'cart.lines.length',
    'text.length',
    'cart.toString',
    'nothing.at.all',
    'cart.lines.00',
  ]) {
    assert.equal(valueAt(fields, path), undefined, path)
  }
})

test('an excerpt holds what was asked for, nested as it is', () => {
  const fields = { a: { b: 1, c: 2 }, d: [1, 2], e: 'x' }
  assert.deepEqual(excerpt(fields, ['a.b', 'd', 'nothing', 'e.f']), { a: { b: 1 }, d: [1, 2] })
  assert.deepEqual(excerpt(fields, ['a.b', 'a.c']), { a: { b: 1, c: 2 } })
})

test('a completed picture shares what was not touched, and leaves the one before alone', () => {
  const before = { a: { b: 1 }, d: { e: 1 } }
  const picture = aPicture(before)
  const next = completed(picture, 2, ['a.b', 'gone'], { a: { b: 2 } })
  assert.deepEqual(next.fields, { a: { b: 2 }, d: { e: 1 } })
  assert.equal(next.fields.d, before.d)
  assert.equal(next.rev, 2)
  assert.deepEqual(picture.fields, { a: { b: 1 }, d: { e: 1 } })
})

test('a field that is gone from the answer is gone from the picture', () => {
  const picture = aPicture({ a: 1, b: { c: 1, d: 2 } })
  assert.deepEqual(completed(picture, 2, ['a', 'b.c'], { b: {} }).fields, { b: { d: 2 } })
})

test('a path below an element is answered by the whole array, and none twice', () => {
  assert.deepEqual(answerable(['cart.lines.0.sku', 'cart.lines.2', 'n', 'n']), ['cart.lines', 'n'])
  assert.deepEqual(answerable(['cart.lines.0', 'cart']), ['cart'])
  assert.deepEqual(answerable(['7.a']), ['7.a'])
  assert.deepEqual(answerable(['a.007.b', 'a.007', 'a.b.c', 'a.bc']), ['a.007', 'a.b.c', 'a.bc'])
})

test('a picture completed by the fields touched is the picture that a new read would give', () => {
  fc.assert(
    fc.property(someCase, ({ fields, change }) => {
      let after: Fields
      try {
        after = applied(fields, change.operations)
      } catch {
        return
      }
      const paths = answerable(touchedPaths(change.operations))
      const { fields: shown } = completed(aPicture(fields), 2, paths, excerpt(after, paths))
      assert.deepEqual(shown, after)
    }),
  )
})
