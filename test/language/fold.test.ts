import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decimal128, Long } from 'bson'
import fc from 'fast-check'
import { FieldError } from '../../src/errors.ts'
import { addCommand, type CommandName } from '../../src/language/commands.ts'
import { Fold, touchedPaths } from '../../src/language/fold.ts'
import { applied } from '../../src/language/operators.ts'
import type { Fields } from '../../src/language/values.ts'

type Call = [name: CommandName, ...args: unknown[]]

function folded(...calls: Call[]): Fold {
  const fold = new Fold()
  for (const [name, ...args] of calls) addCommand(fold, name, args)
  return fold
}

test('calls on different paths stay apart, in their order', () => {
  const { operations } = folded(['set', 'a', 1], ['inc', 'b'], ['unset', 'c'], ['rename', 'd', 'e'])
  assert.deepEqual(operations, [
    { op: '$set', path: 'a', arg: 1 },
    { op: '$inc', path: 'b', arg: 1 },
    { op: '$unset', path: 'c' },
    { op: '$rename', path: 'd', to: 'e' },
  ])
  assert.deepEqual(touchedPaths(operations), ['a', 'b', 'c', 'd', 'e'])
})

test('repeated calls on one path become one operation', () => {
  const cases: [Call[], object][] = [
    [
      [
        ['set', 'a', 1],
        ['set', 'a', 2],
      ],
      { op: '$set', path: 'a', arg: 2 },
    ],
    [
      [
        ['unset', 'a'],
        ['unset', 'a'],
      ],
      { op: '$unset', path: 'a' },
    ],
    [
      [
        ['inc', 'a'],
        ['inc', 'a', 2],
        ['inc', 'a', -5],
      ],
      { op: '$inc', path: 'a', arg: -2 },
    ],
    [
      [
        ['inc', 'a', 1n],
        ['inc', 'a', 2n],
      ],
      { op: '$inc', path: 'a', arg: 3n },
    ],
    [
      [
        ['inc', 'a', 2 ** 31 - 1],
        ['inc', 'a', 1],
      ],
      { op: '$inc', path: 'a', arg: 2n ** 31n },
    ],
    [
      [
        ['inc', 'a', 5e9],
        ['inc', 'a', 7n],
        ['inc', 'a', -0],
      ],
      { op: '$inc', path: 'a', arg: 5_000_000_007 },
    ],
    [
      [
        ['inc', 'a', -0],
        ['inc', 'a', -0],
      ],
      { op: '$inc', path: 'a', arg: -0 },
    ],
    [
      [
        ['inc', 'a', Long.fromNumber(5)],
        ['inc', 'a', 2],
      ],
      { op: '$inc', path: 'a', arg: 7n },
    ],
    [
      [
        ['push', 'a', 1],
        ['pushAll', 'a', [2, 3]],
      ],
      { op: '$push', path: 'a', arg: [1, 2, 3], modifiers: {} },
    ],
    [
      [
        ['addToSet', 'a', 1],
        ['addToSet', 'a', 2, 1],
      ],
      { op: '$addToSet', path: 'a', arg: [1, 2, 1] },
    ],
  ]
  for (const [calls, operation] of cases) assert.deepEqual(folded(...calls).operations, [operation])
})

test('calls that cannot be one operation are refused at the call, naming the path', () => {
  const clashes: [string, Call[]][] = [
    [
      'a.b',
      [
        ['set', 'a', {}],
        ['set', 'a.b', 1],
      ],
    ],
    [
      'a',
      [
        ['set', 'a.b', 1],
        ['unset', 'a'],
      ],
    ],
    [
      'a',
      [
        ['set', 'a', 1],
        ['inc', 'a'],
      ],
    ],
    [
      'a',
      [
        ['inc', 'a', 1.5],
        ['inc', 'a', 1n],
      ],
    ],
    [
      'a',
      [
        ['push', 'a', 1],
        ['pull', 'a', 1],
      ],
    ],
    [
      'a',
      [
        ['push', 'a', 1, { slice: -1 }],
        ['push', 'a', 2],
      ],
    ],
    [
      'a',
      [
        ['push', 'a', 1, { position: 0 }],
        ['push', 'a', 2, { position: 0 }],
      ],
    ],
    ['a', [['rename', 'a', 'a']]],
    ['a', [['rename', 'a', 'a.b']]],
    ['a.b', [['rename', 'a.b', 'a']]],
    [
      'b',
      [
        ['rename', 'a', 'b'],
        ['set', 'b', 1],
      ],
    ],
    [
      'a',
      [
        ['pop', 'a'],
        ['pop', 'a'],
      ],
    ],
    [
      'a',
      [
        ['take', 'a'],
        ['unset', 'a'],
      ],
    ],
    [
      'b',
      [
        ['take', 'a'],
        ['take', 'b'],
      ],
    ],
    [
      'a',
      [
        ['inc', 'a', Number.MAX_VALUE],
        ['inc', 'a', Number.MAX_VALUE],
      ],
    ],
  ]
  for (const [path, calls] of clashes) {
    assert.throws(
      () => folded(...calls),
      (error: unknown) => error instanceof FieldError && error.path === path,
      JSON.stringify(calls.map(([name]) => name)),
    )
  }
})

test('amounts fold only where adding one after the other is sure to come to the same', () => {
  const amounts: [unknown, unknown][] = [
    [0.1, 0.2],
    [1, 0.5],
    [-0, 5n],
    [-0, 5],
    [5e9, -5e9],
    [2 ** 53, 1],
    [2n ** 53n + 1n, 5e9],
    [2n ** 63n - 1n, 1n],
    [Decimal128.fromString('1'), 1],
  ]
  for (const [one, other] of amounts) {
    for (const [a, b] of [
      [one, other],
      [other, one],
    ]) {
      assert.throws(() => folded(['inc', 'n', a], ['inc', 'n', b]), FieldError, `${String(a)} ${String(b)}`)
    }
  }
})

test('a path that begins like another is another', () => {
  assert.equal(folded(['set', 'a', 1], ['set', 'ab', 1], ['set', 'a1.b', 1]).operations.length, 3)
  assert.equal(folded(['set', 'a.b', 1], ['set', 'a.bc', 1], ['rename', 'b', 'a.c']).operations.length, 3)
})

test('a guard comes before what it guards', () => {
  const { guards } = folded(['if', 'n', '>=', 5], ['if', 'ok', true], ['inc', 'n', -5])
  assert.deepEqual(guards, [
    { path: 'n', comparator: '>=', arg: 5 },
    { path: 'ok', comparator: '=', arg: true },
  ])
  assert.throws(() => folded(['inc', 'n'], ['if', 'n', 1]), FieldError)
})

const someCall: fc.Arbitrary<Call> = fc.oneof(
  fc.tuple(fc.constant('set' as const), fc.constantFrom('a', 'b'), fc.integer()),
  fc.tuple(fc.constant('inc' as const), fc.constantFrom('n', 'm'), fc.integer({ min: -1000, max: 1000 })),
  fc.tuple(fc.constant('push' as const), fc.constantFrom('l', 'k'), fc.integer({ max: 5 })),
  fc.tuple(fc.constant('addToSet' as const), fc.constantFrom('s', 't'), fc.integer({ min: 0, max: 5 })),
  fc.tuple(fc.constant('unset' as const), fc.constantFrom('x', 'y')),
)

test('one folded change has the result of the calls one after the other', () => {
  const before = { n: 1, l: [0], s: [1], x: 1 }
  fc.assert(
    fc.property(fc.array(someCall, { maxLength: 12 }), calls => {
      const together = applied(before, folded(...calls).operations)
      const apart = calls.reduce<Fields>((fields, call) => applied(fields, folded(call).operations), before)
      assert.deepEqual(together, apart)
    }),
  )
})
