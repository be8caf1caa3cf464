import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decimal128, Double } from 'bson'
import fc from 'fast-check'
import type { Comparator } from '../../src/language/change.ts'
import { equal } from '../../src/language/compare.ts'
import { holds, pulledBy } from '../../src/language/guard.ts'
import type { Fields } from '../../src/language/values.ts'
import { someCase, someStoredValue } from '../support/generators.ts'

function isPulled(element: unknown, comparator: Comparator, arg: unknown, field?: string): boolean {
  return pulledBy({ op: '$pull', path: 'list', comparator, arg, ...(field !== undefined && { field }) })(
    element,
  )
}

function matches(fields: Fields, path: string, comparator: Comparator, arg: unknown): boolean {
  return holds([{ path, comparator, arg }], fields)
}

test('a change without guards is applied', () => {
  assert.ok(holds([], {}))
})

test('all guards must hold', () => {
  const isRich = { path: 'credits', comparator: '>=', arg: 5 } as const
  const isOpen = { path: 'open', comparator: '=', arg: true } as const
  assert.ok(holds([isRich, isOpen], { credits: 5, open: true }))
  assert.ok(!holds([isRich, isOpen], { credits: 4, open: true }))
  assert.ok(!holds([isRich, isOpen], { credits: 5 }))
})

test('numbers are compared across kinds', () => {
  assert.ok(matches({ n: 5n }, 'n', '=', 5))
  assert.ok(matches({ n: Decimal128.fromString('5.0') }, 'n', 'in', [1, 5]))
  assert.ok(matches({ n: 2n ** 53n + 1n }, 'n', '>', 2 ** 53))
})

test('only values of one type are ordered', () => {
  for (const comparator of ['<', '<=', '>', '>='] as const) {
    assert.ok(!matches({ v: 'a' }, 'v', comparator, 1))
    assert.ok(!matches({ v: 1 }, 'v', comparator, 'a'))
    assert.ok(!matches({ v: null }, 'v', comparator, 1))
    assert.ok(!matches({}, 'v', comparator, 1))
    assert.ok(!matches({ v: new Date(5) }, 'v', comparator, 5))
  }
})

test('NaN is equal to itself and neither less nor greater than anything', () => {
  const fields = {
    n: Number.NaN,
    one: 1,
    decimal: Decimal128.fromString('NaN'),
    wrapped: new Double(Number.NaN),
  }
  for (const path of ['n', 'decimal', 'wrapped']) {
    assert.ok(matches(fields, path, '=', Number.NaN))
    assert.ok(matches(fields, path, '<=', Number.NaN))
    assert.ok(matches(fields, path, '>=', Number.NaN))
    assert.ok(!matches(fields, path, '<', 1))
    assert.ok(!matches(fields, path, '<=', 1))
  }
  assert.ok(!matches(fields, 'one', '>', Number.NaN))
})

test('null matches what is null and what is missing', () => {
  for (const fields of [{}, { v: null }]) {
    assert.ok(matches(fields, 'v', '=', null))
    assert.ok(matches(fields, 'v', 'in', [1, null]))
    assert.ok(matches(fields, 'v', '<=', null))
    assert.ok(matches(fields, 'v', '>=', null))
    assert.ok(!matches(fields, 'v', '!=', null))
    assert.ok(!matches(fields, 'v', '<', null))
  }
  assert.ok(matches({ v: 5 }, 'v.below', '=', null))
  assert.ok(matches({}, 'v.w', '=', null))
})

test('a missing field exists not, and one that is null does', () => {
  assert.ok(matches({ v: null }, 'v', 'exists', true))
  assert.ok(matches({}, 'v', 'exists', false))
  assert.ok(matches({ v: 5 }, 'v.w', 'exists', false))
  assert.ok(!matches({ v: { w: 0 } }, 'v.w', 'exists', false))
})

test('a guard on what every object inherits sees nothing', () => {
  assert.ok(matches({}, 'a.toString', 'exists', false))
  assert.ok(matches({ a: {} }, 'a.toString', 'exists', false))
  assert.ok(matches({ a: [] }, 'a.length', 'exists', false))
})

test('an array matches if it does, or one of its elements', () => {
  const fields = { tags: ['tea', 'milk', ['sugar']] }
  assert.ok(matches(fields, 'tags', '=', 'tea'))
  assert.ok(matches(fields, 'tags', '=', ['tea', 'milk', ['sugar']]))
  assert.ok(matches(fields, 'tags', '=', ['sugar']))
  assert.ok(!matches(fields, 'tags', '=', 'sugar'))
  assert.ok(!matches(fields, 'tags', '!=', 'tea'))
  assert.ok(matches(fields, 'tags', '!=', 'rum'))
  assert.ok(matches(fields, 'tags', '>', 'milk'))
  assert.ok(matches({ tags: [] }, 'tags', '!=', 'tea'))
  assert.ok(!matches({ tags: [] }, 'tags', '=', null))
})

test('an array on the way stands for each of its objects', () => {
  const fields = { cart: [{ n: 1 }, { n: [5, 6] }, 7, [{ n: 9 }]] }
  assert.ok(matches(fields, 'cart.n', '=', 1))
  assert.ok(matches(fields, 'cart.n', '=', 6))
  assert.ok(!matches(fields, 'cart.n', '=', 9))
  assert.ok(!matches(fields, 'cart.n', '!=', 6))
  assert.ok(!matches(fields, 'cart.n', '=', null))
  assert.ok(matches({ cart: [{ n: 1 }, {}] }, 'cart.n', '=', null))
  assert.ok(!matches({ cart: [1, 2] }, 'cart.n', '=', null))
  assert.ok(matches({ cart: [1, 2] }, 'cart.n', 'exists', false))
})

test('a numeric part addresses an element and is a key of the elements that are objects', () => {
  const fields = { a: ['x', { 1: 'y' }, ['z', { b: 'w' }]] }
  assert.ok(matches(fields, 'a.0', '=', 'x'))
  assert.ok(matches(fields, 'a.1', '=', 'y'))
  assert.ok(matches(fields, 'a.1', '=', { 1: 'y' }))
  assert.ok(matches(fields, 'a.2.0', '=', 'z'))
  assert.ok(matches(fields, 'a.2.b', '=', 'w'))
  assert.ok(matches({ a: { 0: 'x' } }, 'a.0', '=', 'x'))
  assert.ok(!matches(fields, 'a.3', 'exists', true))
  assert.ok(!matches(fields, 'a.00', 'exists', true))
})

test('an element that a path ends at by its index is not looked into', () => {
  assert.ok(!matches({ a: [[1, 2]] }, 'a.0', '=', 1))
  assert.ok(matches({ a: [[1, 2]] }, 'a.0', '=', [1, 2]))
  assert.ok(matches({ a: [[1, 2]] }, 'a.0.0', '=', 1))
})

test('objects are equal only with their keys in the same order', () => {
  assert.ok(matches({ o: { a: 1, b: 2 } }, 'o', '=', { a: 1n, b: 2 }))
  assert.ok(!matches({ o: { a: 1, b: 2 } }, 'o', '=', { b: 2, a: 1 }))
})

test('nothing is in an empty list', () => {
  assert.ok(!matches({ v: 1 }, 'v', 'in', []))
  assert.ok(!matches({}, 'v', 'in', []))
})

test('pull with a comparator looks into an element that is an array, one level deep', () => {
  assert.ok(isPulled(3, '>=', 2))
  assert.ok(isPulled([1, 3], '>=', 2))
  assert.ok(!isPulled([1, [3]], '>=', 2))
  assert.ok(!isPulled('3', '>=', 2))
  assert.ok(isPulled(2, '=', 2n))
  assert.ok(isPulled([2], '=', 2))
  assert.ok(isPulled([2], '=', [2]))
  assert.ok(!isPulled({ a: 1, b: 2 }, '=', { a: 1 }))
  assert.ok(isPulled([1, 3], 'in', [3]))
  assert.ok(!isPulled([1, 3], '!=', 3))
  assert.ok(isPulled([1, 4], '!=', 3))
  assert.ok(isPulled([], '!=', 3))
})

test('pull by a field looks into elements that are objects, and leaves all others', () => {
  assert.ok(isPulled({ sku: 'tea' }, '=', 'tea', 'sku'))
  assert.ok(!isPulled({ sku: 'rum' }, '=', 'tea', 'sku'))
  assert.ok(isPulled({ of: { n: 3 } }, '>', 2, 'of.n'))
  assert.ok(isPulled({ tags: ['a', 'b'] }, '=', 'b', 'tags'))
  assert.ok(isPulled({ tags: ['a', 'b'] }, '=', 'b', 'tags.1'))
  assert.ok(isPulled({ lines: [{ n: 1 }, { n: 5 }] }, '>=', 5, 'lines.n'))
  assert.ok(isPulled({}, '=', null, 'sku'))
  assert.ok(isPulled({}, '!=', 'tea', 'sku'))
  assert.ok(isPulled({}, 'exists', false, 'sku'))
  assert.ok(isPulled({ sku: null }, 'exists', true, 'sku'))
  for (const other of ['tea', 7, null, ['tea'], [{ sku: 'rum' }]]) {
    assert.ok(!isPulled(other, '!=', 'tea', 'sku'))
    assert.ok(!isPulled(other, 'exists', false, 'sku'))
    assert.ok(!isPulled(other, '=', null, '0'))
  }
})

test('of a comparator and its opposite exactly one holds', () => {
  fc.assert(
    fc.property(someCase, ({ fields, change }) => {
      for (const { path, arg } of change.guards) {
        assert.notEqual(matches(fields, path, '=', arg), matches(fields, path, '!=', arg))
        assert.notEqual(matches(fields, path, 'exists', true), matches(fields, path, 'exists', false))
        assert.equal(matches(fields, path, '=', arg), matches(fields, path, 'in', [arg]))
      }
    }),
  )
})

test('what is stored at a path equals itself there', () => {
  fc.assert(
    fc.property(someStoredValue, someStoredValue, (value, other) => {
      assert.ok(matches({ v: value }, 'v', '=', value))
      if (!Array.isArray(value)) assert.equal(matches({ v: value }, 'v', '=', other), equal(value, other))
    }),
  )
})
