import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FieldError } from '../../src/errors.ts'
import { addCommand, type CommandName } from '../../src/language/commands.ts'
import { Fold } from '../../src/language/fold.ts'

function changeOf(name: CommandName, ...args: unknown[]) {
  const fold = new Fold()
  addCommand(fold, name, args)
  return fold.change()
}

function isFieldErrorAt(path: string | undefined): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof FieldError)
    assert.equal(error.path, path)
    return true
  }
}

test('an object that a visitor sent as the name of a field sets nothing', () => {
  for (const name of [{ role: 'admin' }, { toString: 'theme' }, Object.create(null), {}]) {
    for (const value of ['dark', undefined]) {
      assert.throws(() => changeOf('set', name, value), isFieldErrorAt(undefined))
    }
  }
  assert.deepEqual(changeOf('set', { theme: 'dark' }).operations, [
    { op: '$set', path: 'theme', arg: 'dark' },
  ])
})

test('a modifier of push that is undefined is left out, and one that does not exist is not', () => {
  const undefinedOf = { slice: undefined, sort: undefined, position: undefined }
  for (const [name, value] of [
    ['push', 1],
    ['pushAll', [1]],
  ] as const) {
    const modifiersOf = (given: object) => {
      const [operation] = changeOf(name, 'a', value, given).operations
      return operation?.op === '$push' ? operation.modifiers : undefined
    }
    assert.deepEqual(modifiersOf(undefinedOf), {})
    for (const given of [{ slice: -5 }, { sort: -1 }, { sort: { n: 1 } }, { position: 0 }]) {
      assert.deepEqual(modifiersOf({ ...undefinedOf, ...given }), given)
    }
    for (const wrong of [{ slce: undefined }, { slice: null }, { sort: { n: undefined } }]) {
      assert.throws(() => modifiersOf(wrong), isFieldErrorAt('a'))
    }
  }
})

test('what would be dropped in silence is refused: more arguments than a command has, and symbols', () => {
  const most: [CommandName, ...args: unknown[]][] = [
    ['set', 'a', 1],
    ['rename', 'a', 'b'],
    ['inc', 'a', 1],
    ['mul', 'a', 1],
    ['min', 'a', 1],
    ['max', 'a', 1],
    ['currentDate', 'a'],
    ['push', 'a', 1, {}],
    ['pushAll', 'a', [1], {}],
    ['pop', 'a', 1],
    ['pull', 'a', 'b', '=', 1],
    ['pullAll', 'a', [1]],
    ['take', 'a'],
    ['if', 'a', '=', 1],
  ]
  for (const [name, ...args] of most) {
    changeOf(name, ...args)
    for (const more of [[2], [undefined], [2, 3]]) {
      assert.throws(() => changeOf(name, ...args, ...more), isFieldErrorAt('a'), name)
    }
  }
  assert.throws(() => changeOf('set', { a: 1, [Symbol('b')]: 2 }), isFieldErrorAt(undefined))
})

test('a path that is none is refused, whatever kind of thing it is', () => {
  const names: CommandName[] = [
    'set',
    'unset',
    'rename',
    'inc',
    'push',
    'addToSet',
    'pull',
    'pullAll',
    'take',
    'if',
  ]
  for (const path of [{}, 5, null, undefined, true, new Map(), () => 'a', Symbol('a')]) {
    for (const name of names) {
      if (name === 'set' && typeof path === 'object') continue
      assert.throws(() => changeOf(name, path, 1), isFieldErrorAt(undefined), `${name} ${String(path)}`)
    }
  }
})

test('pull removes elements by a field of theirs', () => {
  const pulls: [args: unknown[], operation: object][] = [
    [['sku', '=', 'tea'], { field: 'sku', comparator: '=', arg: 'tea' }],
    [['gift.text', '!=', ''], { field: 'gift.text', comparator: '!=', arg: '' }],
    [[['prefs', 'a key'], '>', 1], { field: 'prefs.a key', comparator: '>', arg: 1 }],
    [['id', 'in', [1, 2]], { field: 'id', comparator: 'in', arg: [1, 2] }],
    [['set', 'exists', false], { field: 'set', comparator: 'exists', arg: false }],
    [['_id', '=', ''], { field: '_id', comparator: '=', arg: '' }],
  ]
  for (const [args, operation] of pulls) {
    assert.deepEqual(changeOf('pull', 'lines', ...args).operations, [
      { op: '$pull', path: 'lines', ...operation },
    ])
  }
})

test('a field of elements is checked as a part of a path is, and its value as any other', () => {
  const deep = Array.from({ length: 16 }, () => 'a').join('.')
  const names = [
    '',
    '$gt',
    '$where',
    'a.$gt',
    '__proto__',
    'a.constructor',
    'a..b',
    'a\0b',
    'x'.repeat(129),
    deep,
  ]
  for (const field of [...names, [], ['a.b'], ['$or'], [-1], 5, null, undefined, {}, new Map()]) {
    assert.throws(() => changeOf('pull', 'lines', field, '=', 1), FieldError, String(field))
  }
  for (const [comparator, value] of [
    ['=', { $gt: '' }],
    ['=', undefined],
    ['==', 1],
    ['$eq', 1],
    ['in', 1],
    ['exists', 1],
    [{}, 1],
  ]) {
    assert.throws(() => changeOf('pull', 'lines', 'sku', comparator, value), FieldError, String(comparator))
  }
})

test('a chain has at most 1000 fields and 100 guards, and a sort at most 32 fields', () => {
  const names = Array.from({ length: 1001 }, (_, index) => `n${index}`)
  assert.equal(changeOf('unset', ...names.slice(1)).operations.length, 1000)
  assert.throws(() => changeOf('unset', ...names), isFieldErrorAt('n1000'))
  const fold = new Fold()
  for (const name of names.slice(0, 100)) addCommand(fold, 'if', [name, 1])
  assert.throws(() => addCommand(fold, 'if', ['a', 1]), isFieldErrorAt('a'))
  const sort = (count: number) => ({ sort: Object.fromEntries(names.slice(0, count).map(name => [name, 1])) })
  changeOf('push', 'a', {}, sort(32))
  assert.throws(() => changeOf('push', 'a', {}, sort(33)), isFieldErrorAt('a'))
})
