import type { Comparator, Operation, PushModifiers } from '../../language/change.ts'
import type { Fields } from '../../language/values.ts'
import type { BSON } from '../../stores/bson.ts'
import { inc, push, set, unset } from './records.ts'

/** One operation, and the fields before it and after it. */
export const results: [title: string, before: Fields, operation: Operation, after: Fields][] = [
  ['set', { a: 1 }, set('b', 2), { a: 1, b: 2 }],
  ['set over another type', { a: 1 }, set('a', ['x']), { a: ['x'] }],
  ['set below what is not there yet', {}, set('a.b.c', 1), { a: { b: { c: 1 } } }],
  ['set inside an object', { a: { b: 1, c: 2 } }, set('a.b', 3), { a: { b: 3, c: 2 } }],
  ['set of an element', { a: [1, 2] }, set('a.1', 3), { a: [1, 3] }],
  ['set inside an element', { a: [{ b: 1 }, { b: 1 }] }, set('a.1.b', 3), { a: [{ b: 1 }, { b: 3 }] }],
  ['set under a number where there is no array', { a: {} }, set('a.7', 1), { a: { 7: 1 } }],
  ['set under a number where there is nothing', {}, set('a.7', 1), { a: { 7: 1 } }],
  ['unset', { a: 1, b: 2 }, unset('a'), { b: 2 }],
  ['unset inside an object', { a: { b: 1, c: 2 } }, unset('a.b'), { a: { c: 2 } }],
  ['unset of what is missing', { a: 1 }, unset('b.c'), { a: 1 }],
  ['rename', { a: 1 }, { op: '$rename', path: 'a', to: 'b.c' }, { b: { c: 1 } }],
  ['rename onto another', { a: 1, b: 2 }, { op: '$rename', path: 'a', to: 'b' }, { b: 1 }],
  ['rename of what is missing', { b: 1 }, { op: '$rename', path: 'a', to: 'b' }, { b: 1 }],
  ['inc', { n: 1 }, inc('n', 2), { n: 3 }],
  ['inc of what is missing', {}, inc('n.today', 2), { n: { today: 2 } }],
  ['inc beyond 32 bits', { n: 2 ** 31 - 1 }, inc('n'), { n: 2 ** 31 }],
  ['inc by a fraction', { n: 1 }, inc('n', -0.5), { n: 0.5 }],
  ['mul', { n: 3 }, { op: '$mul', path: 'n', arg: 4 }, { n: 12 }],
  ['mul of what is missing', {}, { op: '$mul', path: 'n', arg: 4 }, { n: 0 }],
  ['min', { n: 3 }, { op: '$min', path: 'n', arg: 2 }, { n: 2 }],
  ['min of less', { n: 3 }, { op: '$min', path: 'n', arg: 4 }, { n: 3 }],
  ['max', { n: 3 }, { op: '$max', path: 'n', arg: 4 }, { n: 4 }],
  ['max of what is missing', {}, { op: '$max', path: 'n', arg: 4 }, { n: 4 }],
  ['min across types', { n: 'text' }, { op: '$min', path: 'n', arg: 5 }, { n: 5 }],
  ['min across types, of more', { n: 5 }, { op: '$min', path: 'n', arg: 'text' }, { n: 5 }],
  ['min of null', { n: 5 }, { op: '$min', path: 'n', arg: null }, { n: null }],
  ['max across types', { n: 5 }, { op: '$max', path: 'n', arg: 'text' }, { n: 'text' }],
  ['max across types, of less', { n: true }, { op: '$max', path: 'n', arg: 'text' }, { n: true }],
  ['max over null', { n: null }, { op: '$max', path: 'n', arg: 5 }, { n: 5 }],
  ['max of a date over text', { n: 'text' }, { op: '$max', path: 'n', arg: new Date(0) }, { n: new Date(0) }],
  ['push', { a: [1] }, push('a', 2, 3), { a: [1, 2, 3] }],
  ['push of an array', { a: [1] }, push('a', [2, 3]), { a: [1, [2, 3]] }],
  ['push onto what is missing', {}, push('a', { b: 1 }), { a: [{ b: 1 }] }],
  [
    'push that keeps the last',
    { a: [1, 2, 3] },
    { op: '$push', path: 'a', arg: [4], modifiers: { slice: -3 } },
    { a: [2, 3, 4] },
  ],
  [
    'push at the front',
    { a: [1, 2] },
    { op: '$push', path: 'a', arg: [0], modifiers: { position: 0 } },
    { a: [0, 1, 2] },
  ],
  [
    'push that sorts by a field',
    { a: [{ n: 3 }, { n: 1 }] },
    { op: '$push', path: 'a', arg: [{ n: 2 }], modifiers: { sort: { n: -1 }, slice: 2 } },
    { a: [{ n: 3 }, { n: 2 }] },
  ],
  ['push that keeps the first', { a: [1, 2] }, pushTo([3, 4], { slice: 3 }), { a: [1, 2, 3] }],
  ['push that keeps none', { a: [1, 2] }, pushTo([3], { slice: 0 }), { a: [] }],
  ['push after the first', { a: [1, 2] }, pushTo([8, 9], { position: 1 }), { a: [1, 8, 9, 2] }],
  ['push beyond the end', { a: [1, 2] }, pushTo([3], { position: 9 }), { a: [1, 2, 3] }],
  ['push before the last', { a: [1, 2] }, pushTo([8, 9], { position: -1 }), { a: [1, 8, 9, 2] }],
  ['push before the beginning', { a: [1, 2] }, pushTo([0], { position: -9 }), { a: [0, 1, 2] }],
  ['push that sorts plain values', { a: [10, 9] }, pushTo([2], { sort: 1 }), { a: [2, 9, 10] }],
  ['push that sorts plain values down', { a: [9, 10] }, pushTo([2], { sort: -1, slice: 2 }), { a: [10, 9] }],
  ['addToSet', { a: [1] }, { op: '$addToSet', path: 'a', arg: [1, 2, 2] }, { a: [1, 2] }],
  ['addToSet of a bigint', { a: [1] }, { op: '$addToSet', path: 'a', arg: [1n, 2n] }, { a: [1, 2] }],
  [
    'addToSet of objects, which differ by the order of their keys',
    { a: [{ x: 1, y: 2 }] },
    {
      op: '$addToSet',
      path: 'a',
      arg: [
        { x: 1, y: 2 },
        { y: 2, x: 1 },
      ],
    },
    {
      a: [
        { x: 1, y: 2 },
        { y: 2, x: 1 },
      ],
    },
  ],
  ['pop', { a: [1, 2, 3] }, { op: '$pop', path: 'a', arg: 1 }, { a: [1, 2] }],
  ['pop from the front', { a: [1, 2, 3] }, { op: '$pop', path: 'a', arg: -1 }, { a: [2, 3] }],
  ['pull by comparison', { a: [1, 5, 9] }, { op: '$pull', path: 'a', comparator: '>=', arg: 5 }, { a: [1] }],
  ['pull in', { a: [1, 5, 9] }, { op: '$pull', path: 'a', comparator: 'in', arg: [9, 1, 2] }, { a: [5] }],
  [
    'pull by a field of the elements',
    { a: [{ b: 'x', n: 1 }, { b: 'y' }, { b: 'x', n: 2 }, {}] },
    pullBy('b', '=', 'x'),
    { a: [{ b: 'y' }, {}] },
  ],
  [
    'pull by a comparison of a field',
    { a: [{ n: 1 }, { n: 5 }, {}] },
    pullBy('n', '<', 5),
    { a: [{ n: 5 }, {}] },
  ],
  ['pull by a field in a list', { a: [{ n: 1 }, { n: 5 }] }, pullBy('n', 'in', [4, 5]), { a: [{ n: 1 }] }],
  ['pull by another field', { a: [{ n: 1 }, { n: 5 }, {}] }, pullBy('n', '!=', 1), { a: [{ n: 1 }] }],
  [
    'pull by a field further down',
    { a: [{ b: { c: 1 } }, { b: { c: 2 } }, { b: 1 }] },
    pullBy('b.c', '=', 1),
    { a: [{ b: { c: 2 } }, { b: 1 }] },
  ],
  ['pull by a field that is missing', { a: [{ n: 1 }, {}] }, pullBy('n', 'exists', false), { a: [{ n: 1 }] }],
  [
    'pull by a field leaves what is no object',
    { a: [1, 'x', null, { b: 'x' }] },
    pullBy('b', '=', 'x'),
    { a: [1, 'x', null] },
  ],
  [
    'pull by a field that equals an object',
    { a: [{ b: { x: 1 } }, { b: { x: 1, y: 2 } }, { b: 1 }] },
    pullBy('b', '=', { x: 1 }),
    { a: [{ b: { x: 1, y: 2 } }, { b: 1 }] },
  ],
  ['pull by a field of what is missing', {}, pullBy('b', '=', 1), {}],
  ['set under a number with a zero before it', { a: {} }, set('a.07', 1), { a: { '07': 1 } }],
  ['pullAll', { a: [1, 2, 1, 3] }, { op: '$pullAll', path: 'a', arg: [1, 3] }, { a: [2] }],
  ['pullAll of a bigint', { a: [1, 2, 1] }, { op: '$pullAll', path: 'a', arg: [1n] }, { a: [2] }],
  [
    'pullAll of objects, which differ by the order of their keys',
    { a: [{ y: 2, x: 1 }, 'tea', { x: 1, y: 2 }] },
    { op: '$pullAll', path: 'a', arg: [{ x: 1, y: 2 }] },
    { a: [{ y: 2, x: 1 }, 'tea'] },
  ],
]

function pushTo(arg: unknown[], modifiers: PushModifiers): Operation {
  return { op: '$push', path: 'a', arg, modifiers }
}

function pullBy(field: string, comparator: Comparator, arg: unknown): Operation {
  return { op: '$pull', path: 'a', field, comparator, arg }
}

/** What MongoDB refuses of a session with these fields. The stored values must not be in the error. */
export function refusalsOf({ Long }: BSON): { fields: Fields; operations: [title: string, Operation][] } {
  return {
    fields: {
      text: 'hush-hush',
      list: ['hush-hush'],
      number: 12345,
      object: { flag: true },
      long: Long.MAX_VALUE,
    },
    operations: [
      ['inc of a string', inc('text')],
      ['mul of an array', { op: '$mul', path: 'list', arg: 2 }],
      ['push onto a string', push('text', 1)],
      ['addToSet of an object', { op: '$addToSet', path: 'object', arg: [1] }],
      ['pop of a string', { op: '$pop', path: 'text', arg: 1 }],
      ['pull by a field of a string', { ...pullBy('b', '=', 1), path: 'text' }],
      ['pullAll of a number', { op: '$pullAll', path: 'number', arg: [1] }],
      ['set below a string', set('text.length', 1)],
      ['set below a number', set('number.a.b', 1)],
      ['set of an element by a number with a zero before it', set('list.00', 1)],
      ['inc below a boolean', inc('object.flag.n')],
      ['inc beyond 64 bits', inc('long')],
      ['mul beyond 64 bits', { op: '$mul', path: 'long', arg: -2 }],
    ],
  }
}
