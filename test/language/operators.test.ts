import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decimal128, Double, Long } from 'bson'
import fc from 'fast-check'
import { CommandError } from '../../src/errors.ts'
import type { Operation, PullComparator, PushModifiers } from '../../src/language/change.ts'
import { compare, equal } from '../../src/language/compare.ts'
import { applied, type Context } from '../../src/language/operators.ts'
import { type Fields, isContainer } from '../../src/language/values.ts'
import { someCase, someFields, someStoredValue } from '../support/generators.ts'

const set = (path: string, arg: unknown): Operation => ({ op: '$set', path, arg })
const unset = (path: string): Operation => ({ op: '$unset', path })
const rename = (path: string, to: string): Operation => ({ op: '$rename', path, to })
const inc = (path: string, arg: unknown): Operation => ({ op: '$inc', path, arg })
const mul = (path: string, arg: unknown): Operation => ({ op: '$mul', path, arg })
const min = (path: string, arg: unknown): Operation => ({ op: '$min', path, arg })
const max = (path: string, arg: unknown): Operation => ({ op: '$max', path, arg })
const currentDate = (path: string): Operation => ({ op: '$currentDate', path })
const push = (path: string, arg: unknown[], modifiers: PushModifiers = {}): Operation => ({
  op: '$push',
  path,
  arg,
  modifiers,
})
const addToSet = (path: string, ...arg: unknown[]): Operation => ({ op: '$addToSet', path, arg })
const pop = (path: string, arg: 1 | -1): Operation => ({ op: '$pop', path, arg })
const pull = (path: string, comparator: PullComparator, arg: unknown): Operation => ({
  op: '$pull',
  path,
  comparator,
  arg,
})
const pullAll = (path: string, ...arg: unknown[]): Operation => ({ op: '$pullAll', path, arg })

function assertGives(
  fields: Fields,
  operations: Operation | Operation[],
  expected: Fields,
  context?: Context,
): void {
  const result = applied(fields, [operations].flat(), context)
  assert.deepEqual(result, expected)
  assert.deepEqual(Object.keys(result), Object.keys(expected))
}

function assertRefused(fields: Fields, ...operations: Operation[]): void {
  assert.throws(
    () => applied(fields, operations),
    (error: unknown) => error instanceof CommandError && pathsOf(operations.at(-1)).includes(error.path),
  )
}

function pathsOf(operation: Operation | undefined): (string | undefined)[] {
  return operation?.op === '$rename' ? [operation.path, operation.to] : [operation?.path]
}

function assertUntouched(fields: Fields, operation: Operation): void {
  assert.equal(applied(fields, [operation]), fields)
}

/** Operations that make what is missing. */
const creating = (path: string) => [
  ...[set(path, 1), inc(path, 1), mul(path, 1), min(path, 1), max(path, 1), currentDate(path)],
  ...[push(path, [1]), addToSet(path, 1)],
]
/** Operations on an array that must be there. */
const removing = (path: string) => [pop(path, 1), pull(path, '>', 1), pullAll(path, 1)]

test('set writes a field, and makes objects for the parents that are missing', () => {
  assertGives({ a: 1, b: 2 }, set('a', 'x'), { a: 'x', b: 2 })
  assertGives({}, set('a.b.0.c', 1), { a: { b: { 0: { c: 1 } } } })
  assertGives({ a: { b: 1 } }, set('a.c', null), { a: { b: 1, c: null } })
  assertGives({ a: [1, { b: 2 }] }, set('a.1.b', 3), { a: [1, { b: 3 }] })
  assertGives({ a: [[1]] }, set('a.0.0', 2), { a: [[2]] })
  assertGives({ n: 0 }, set('n', -0), { n: -0 })
})

test('nothing can be made below a scalar or null', () => {
  for (const a of [5, 'x', null, true, new Date(), Long.ONE, Buffer.alloc(1)]) {
    for (const operation of [...creating('a.b'), ...removing('a.b'), rename('a.b', 'c')])
      assertRefused({ a }, operation)
    assertRefused({ a, b: 1 }, rename('b', 'a.c'))
    assertUntouched({ a }, unset('a.b'))
  }
})

test('an array has no element by name', () => {
  for (const operation of [...creating('a.b'), ...removing('a.b'), rename('a.b', 'c')]) {
    assertRefused({ a: [1] }, operation)
  }
  assertUntouched({ a: [1] }, unset('a.b'))
  assertUntouched({ a: [1] }, unset('a.length'))
})

test('an element that does not exist is not made: arrays are not filled with nulls', () => {
  for (const operation of creating('a.1')) assertRefused({ a: [1] }, operation)
  for (const operation of creating('a.1.b')) assertRefused({ a: [1] }, operation)
  for (const operation of [...removing('a.1'), unset('a.1'), rename('a.1', 'c')])
    assertUntouched({ a: [1] }, operation)
})

test('unset removes a field, and leaves null in an array', () => {
  assertGives({ a: 1, b: { c: 1, d: 2 } }, unset('b.c'), { a: 1, b: { d: 2 } })
  assertGives({ a: [1, 2, 3] }, unset('a.1'), { a: [1, null, 3] })
  assertGives({ a: [{ b: 1 }] }, unset('a.0.b'), { a: [{}] })
  assertUntouched({ a: 1 }, unset('b'))
  assertUntouched({ a: {} }, unset('a.toString'))
})

test('rename moves a field, over what is there', () => {
  assertGives({ a: 1, b: 2 }, rename('a', 'c'), { b: 2, c: 1 })
  assertGives({ a: 1, b: 2, c: 3 }, rename('a', 'b'), { b: 1, c: 3 })
  assertGives({ a: { b: 1 } }, rename('a.b', 'c.d'), { a: {}, c: { d: 1 } })
  assertGives({ a: [1], b: [2] }, rename('a', 'b'), { b: [1] })
})

test('rename of what is missing does nothing, wherever it would lead', () => {
  assertUntouched({ b: 2 }, rename('a', 'b'))
  assertUntouched({ b: 2 }, rename('a', 'b.c'))
  assertUntouched({ a: {} }, rename('a.b.c', 'd'))
})

test('rename moves nothing out of an array or into one', () => {
  assertRefused({ a: [1] }, rename('a.0', 'b'))
  assertRefused({ a: [{ b: 1 }] }, rename('a.0.b', 'c'))
  for (const to of ['b.0', 'b.5', 'b.0.c', 'b.c']) {
    assertRefused({ a: 1, b: [{ c: 1 }] }, rename('a', to))
  }
})

test('rename keeps the kind of a target that equals its source, as MongoDB does', () => {
  assertGives({ a: 1, b: 1n }, rename('a', 'b'), { b: 1n })
})

test('rename nests nothing deeper than MongoDB allows', () => {
  let deep: unknown = 1
  for (let level = 0; level < 98; level++) deep = { a: deep }
  assert.ok(applied({ a: deep }, [rename('a', 'b.c')]))
  assertRefused({ a: deep }, rename('a', 'b.c.d'))
})

test('inc and mul calculate as MongoDB does', () => {
  assertGives({ n: 1 }, inc('n', 2), { n: 3 })
  assertGives({ n: 2 ** 31 - 1 }, inc('n', 1), { n: 2n ** 31n })
  assertGives({ n: 1.5 }, mul('n', 3), { n: 4.5 })
  assertGives({ n: 0.5 }, inc('n', 0.5), { n: new Double(1) }, { double: n => new Double(n) })
  assertGives({ n: 0.5 }, inc('n', 0.5), { n: 1 })
  assertRefused({ n: 2n ** 63n - 1n }, inc('n', 1))
  assertRefused({ n: 2n ** 62n }, mul('n', 2))
})

test('inc of a missing field sets it, and mul makes it a zero of the same kind', () => {
  assertGives({}, inc('n', 2n), { n: 2n })
  assertGives({}, mul('n', 5), { n: 0 })
  assertGives({}, mul('n', 5n), { n: 0n })
  assertGives({}, mul('n', -0.5), { n: -0 })
  assertGives({}, mul('n', 0.5), { n: new Double(0) }, { double: n => new Double(n) })
  assertGives({}, mul('n', Decimal128.fromString('1.50')), { n: Decimal128.fromString('0.00') })
})

test('inc and mul of what is no number are refused', () => {
  for (const n of ['1', null, true, [1], {}, new Date()]) {
    assertRefused({ n }, inc('n', 1))
    assertRefused({ n }, mul('n', 1))
  }
})

test('min and max keep the lesser and the greater by BSON order', () => {
  assertGives({ n: 5 }, min('n', 4), { n: 4 })
  assertUntouched({ n: 5 }, min('n', 6))
  assertGives({ n: 5 }, max('n', 'text'), { n: 'text' })
  assertGives({ n: 5 }, min('n', null), { n: null })
  assertGives({}, max('n', null), { n: null })
  assertUntouched({ n: 5n }, max('n', 5))
})

test('currentDate writes the time of the store', () => {
  const now = new Date(1e12)
  assertGives({ at: 'x' }, currentDate('at'), { at: now }, { now })
  const before = Date.now()
  const { at } = applied({}, [currentDate('at')])
  assert.ok(at instanceof Date && at.getTime() >= before)
})

test('push appends, also to what is missing', () => {
  assertGives({ a: [1] }, push('a', [2, 3]), { a: [1, 2, 3] })
  assertGives({}, push('a.b', [1]), { a: { b: [1] } })
  assertGives({}, push('a', []), { a: [] })
  assertGives({ a: [[1]] }, push('a.0', [2]), { a: [[1, 2]] })
})

test('push inserts at a position, negative ones counted from the end', () => {
  for (const [position, expected] of [
    [0, [9, 8, 1, 2, 3]],
    [1, [1, 9, 8, 2, 3]],
    [7, [1, 2, 3, 9, 8]],
    [-1, [1, 2, 9, 8, 3]],
    [-3, [9, 8, 1, 2, 3]],
    [-7, [9, 8, 1, 2, 3]],
  ] as const) {
    assertGives({ a: [1, 2, 3] }, push('a', [9, 8], { position }), { a: expected })
  }
})

test('push keeps the first or the last', () => {
  for (const [slice, expected] of [
    [0, []],
    [2, [1, 2]],
    [9, [1, 2, 3, 4]],
    [-2, [3, 4]],
    [-9, [1, 2, 3, 4]],
  ] as const) {
    assertGives({ a: [1, 2, 3] }, push('a', [4], { slice }), { a: expected })
  }
  assertGives({ a: [1, 2, 3] }, push('a', [], { slice: -1 }), { a: [3] })
})

test('push sorts whole elements by BSON order, before it slices', () => {
  assertGives({ a: [3, 'x', null] }, push('a', [1n], { sort: 1 }), { a: [null, 1n, 3, 'x'] })
  assertGives({ a: [3, 1] }, push('a', [2], { sort: -1, slice: 2 }), { a: [3, 2] })
  assertGives({ a: [3, 1] }, push('a', [], { sort: 1 }), { a: [1, 3] })
})

test('push sorts objects by their fields, what is missing as null', () => {
  const [x, y, z] = [
    { n: 2, o: { p: 1 } },
    { n: 1, o: { p: 2 } },
    { n: 1, o: { p: 1 } },
  ]
  assertGives({ a: [x, y] }, push('a', [z], { sort: { n: 1, 'o.p': -1 } }), { a: [y, z, x] })
  assertGives({ a: [x, 5] }, push('a', [{}, [1]], { sort: { n: 1 } }), { a: [5, {}, [1], x] })
  assertGives({ a: [{ l: [2] }, { l: [1] }] }, push('a', [], { sort: { 'l.0': 1 } }), {
    a: [{ l: [1] }, { l: [2] }],
  })
  assertGives({ a: [[1], [2]] }, push('a', [], { sort: { 0: -1 } }), { a: [[1], [2]] })
  const lists = [{ l: [2, 3] }, { l: [1] }, { l: { length: 0 } }]
  assertGives({ a: lists }, push('a', [], { sort: { 'l.length': 1 } }), { a: lists })
  assertGives({ a: lists }, push('a', [], { sort: { 'l.length': -1 } }), {
    a: [lists[2], lists[0], lists[1]],
  })
})

test('addToSet adds what is not there yet, once', () => {
  assertGives({ a: [1] }, addToSet('a', 1n, 2, 2, 3), { a: [1, 2, 3] })
  assertGives({}, addToSet('a', 1, 1), { a: [1] })
  assertGives({}, addToSet('a'), { a: [] })
  assertGives({ a: [{ x: 1, y: 2 }] }, addToSet('a', { y: 2, x: 1 }), {
    a: [
      { x: 1, y: 2 },
      { y: 2, x: 1 },
    ],
  })
  assertUntouched({ a: [[1]] }, addToSet('a', [1]))
})

test('pop takes the last element or the first', () => {
  assertGives({ a: [1, 2, 3] }, pop('a', 1), { a: [1, 2] })
  assertGives({ a: [1, 2, 3] }, pop('a', -1), { a: [2, 3] })
  assertUntouched({ a: [] }, pop('a', 1))
})

test('pull removes by comparison, pullAll by equality', () => {
  assertGives({ a: [1, 2, 3, 'x', [9]] }, pull('a', '>=', 2), { a: [1, 'x'] })
  assertGives({ a: [1, 2, 1n] }, pull('a', '=', 1), { a: [2] })
  assertGives({ a: [1, 2, null] }, pull('a', '!=', 1), { a: [1] })
  assertGives({ a: [1, 2, 3] }, pull('a', 'in', [1, 3]), { a: [2] })
  assertGives({ a: [1, 2, { b: 1 }, [1]] }, pullAll('a', 1, { b: 1n }), { a: [2, [1]] })
  assertUntouched({ a: [1] }, pullAll('a', 2))
})

test('removing from what is missing does nothing', () => {
  for (const path of ['a', 'b.c', 'l.7', 'l.7.x', 'o.x.y']) {
    for (const operation of removing(path)) assertUntouched({ b: {}, l: [1], o: {} }, operation)
  }
})

test('commands for arrays are refused on anything else', () => {
  for (const a of [null, 1, 'x', {}, new Date()]) {
    for (const operation of [...removing('a'), push('a', [1]), push('a', []), addToSet('a')]) {
      assertRefused({ a }, operation)
    }
  }
})

test('several operations are applied together, and new fields come in the order of their names', () => {
  assertGives(
    { z: 1 },
    [set('c', 1), set('a.y', 1), set('b', 1), inc('z', 1), set('a.x', 1), rename('none', 'd')],
    { z: 2, a: { x: 1, y: 1 }, b: 1, c: 1 },
  )
  assertGives({ old: 0 }, [set('b', 1), rename('old', 'a'), set('c', 2)], { a: 0, b: 1, c: 2 })
  assertGives({}, [set('😀', 1), set('\uffee', 1), set('ab', 1), set('a', 1)], {
    a: 1,
    ab: 1,
    '\uffee': 1,
    '😀': 1,
  })
  const { a } = applied({}, [
    set('a.x9', 1),
    set('a.x10', 1),
    set('a.10y', 1),
    set('a.9y', 1),
    set('a.09y', 1),
  ])
  assert.deepEqual(Object.keys(a as Fields), ['09y', '9y', '10y', 'x10', 'x9'])
})

test('a refused operation leaves the fields as they were, whatever came before it', () => {
  const fields = { a: 1, b: 'x' }
  assertRefused(fields, set('a', 2), inc('b', 1))
  assert.deepEqual(fields, { a: 1, b: 'x' })
})

test('a message tells the path and never a value', () => {
  assert.throws(() => applied({ user: { name: 'secret' } }, [inc('user.name', 1)]), {
    name: 'CommandError',
    path: 'user.name',
    message: '$inc needs a number at "user.name", which is of type string',
  })
})

test('a key that names the prototype is data like any other', () => {
  const fields = JSON.parse('{"a": {"__proto__": {"b": 1}, "c": 1}}') as Fields
  const result = applied(fields, [set('a.c', 2)])
  assert.equal(JSON.stringify(result), '{"a":{"__proto__":{"b":1},"c":2}}')
  const written = applied({ a: { c: 1 } }, [set('a.__proto__', { polluted: true })])
  assert.equal(JSON.stringify(written), '{"a":{"c":1,"__proto__":{"polluted":true}}}')
  assert.equal(Object.getPrototypeOf(written.a), Object.prototype)
  assert.equal(applied({}, [set('a.__proto__.b', 1)]).b, undefined)
  assert.equal(({} as Fields).b, undefined)
})

function frozen<T>(value: T): T {
  if (isContainer(value)) {
    for (const item of Object.values(value)) frozen(item)
    Object.freeze(value)
  }
  return value
}

test('the given fields are never changed, and what does not change is shared', () => {
  fc.assert(
    fc.property(someCase, ({ fields, change }) => {
      frozen(fields)
      frozen(change)
      const result = outcome(fields, change.operations)
      if (result === undefined) return
      const touched = new Set(
        change.operations.flatMap(o => [o.path, 'to' in o ? o.to : o.path]).map(p => p.split('.')[0]),
      )
      for (const [name, value] of Object.entries(fields))
        if (!touched.has(name)) assert.equal(result[name], value)
    }),
  )
})

function outcome(fields: Fields, operations: readonly Operation[], context?: Context): Fields | undefined {
  try {
    return applied(fields, operations, context)
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

test('operations on independent paths have the same result in any order', () => {
  const now = new Date(0)
  fc.assert(
    fc.property(someCase, ({ fields, change: { operations } }) => {
      assert.deepEqual(
        outcome(fields, operations, { now }),
        outcome(fields, operations.toReversed(), { now }),
      )
    }),
  )
})

test('min and max never leave more, or less, than they were given', () => {
  fc.assert(
    fc.property(someStoredValue, someStoredValue, (a, b) => {
      const lesser = applied({ a }, [min('a', b)]).a
      const greater = applied({ a }, [max('a', b)]).a
      assert.ok(compare(lesser, a) <= 0 && compare(lesser, b) <= 0)
      assert.ok(compare(greater, a) >= 0 && compare(greater, b) >= 0)
    }),
  )
})

test('addToSet twice is addToSet once, and pullAll undoes it', () => {
  fc.assert(
    fc.property(fc.array(someStoredValue), fc.array(someStoredValue), (a, added) => {
      const once = applied({ a }, [addToSet('a', ...added)])
      assert.deepEqual(applied(once, [addToSet('a', ...added)]), once)
      const removed = applied(once, [pullAll('a', ...added)]).a as unknown[]
      assert.deepEqual(
        removed,
        a.filter(value => !added.some(other => equal(value, other))),
      )
    }),
  )
})

test('rename there and back changes nothing but the order of fields', () => {
  fc.assert(
    fc.property(someFields, someStoredValue, (fields, value) => {
      const before = { ...fields, here: value }
      const moved = applied(before, [rename('here', 'there')])
      assert.ok(!Object.hasOwn(moved, 'here'))
      assert.deepEqual(applied(moved, [rename('there', 'here')]), before)
    }),
  )
})
