import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decimal128, Long, ObjectId } from 'bson'
import type { Guard, Operation } from '../../src/language/change.ts'
import { addCommand } from '../../src/language/commands.ts'
import { answerable, excerpt } from '../../src/language/excerpt.ts'
import { Fold } from '../../src/language/fold.ts'
import { holds } from '../../src/language/guard.ts'
import { applied } from '../../src/language/operators.ts'
import { pathOf } from '../../src/language/paths.ts'
import { sizeOf } from '../../src/language/size.ts'
import { copied, type Fields, literal } from '../../src/language/values.ts'
import { completed, type Picture } from '../../src/session/picture.ts'
import { growthOf } from '../support/costs.ts'

/** Ten times as many may cost a good deal more than ten times as much, as memory fills; a hundred times is the square. */
const PROPORTIONATE = 40

type Make = (index: number) => unknown

const elements: Record<string, Make> = {
  numbers: index => index,
  objects: index => ({ sku: `sku ${index}`, qty: 1 }),
  ObjectIds: index => new ObjectId(index.toString(16).padStart(24, '0')),
  'numbers of other kinds': index =>
    index % 2 ? Long.fromNumber(index) : Decimal128.fromString(`${index}.00`),
}

const list = (count: number, make: Make, from = 0) =>
  Array.from({ length: count }, (_, at) => make(from + at))

function changing(operation: (given: unknown[]) => Operation): (count: number, make: Make) => () => unknown {
  return (count, make) => {
    const [stored, given] = [list(count, make), list(count, make, count)]
    return () => applied({ a: stored }, [operation(given)])
  }
}

function deciding(guard: (given: unknown[]) => Guard): (count: number, make: Make) => () => unknown {
  return (count, make) => {
    const [stored, given] = [list(count, make), list(count, make, count)]
    return () => holds([guard(given)], { a: stored, b: stored.map(c => ({ c })) })
  }
}

const comparing: Record<string, (count: number, make: Make) => () => unknown> = {
  addToSet: changing(arg => ({ op: '$addToSet', path: 'a', arg })),
  'addToSet to nothing': (count, make) => {
    const arg = list(count, make)
    return () => applied({}, [{ op: '$addToSet', path: 'a', arg }])
  },
  pullAll: changing(arg => ({ op: '$pullAll', path: 'a', arg })),
  'pull in': changing(arg => ({ op: '$pull', path: 'a', comparator: 'in', arg })),
  'pull by a field in': changing(arg => ({ op: '$pull', path: 'a', field: 'sku', comparator: 'in', arg })),
  'if in': deciding(arg => ({ path: 'a', comparator: 'in', arg })),
  'if in, below a list': deciding(arg => ({ path: 'b.c', comparator: 'in', arg })),
}

for (const [name, act] of Object.entries(comparing)) {
  test(`what a visitor makes long costs in proportion to its length: the values of ${name}`, () => {
    for (const [kind, make] of Object.entries(elements)) {
      const growth = growthOf(100, count => act(count, make))
      assert.ok(growth < PROPORTIONATE, `ten times as many ${kind} cost ${growth.toFixed(1)} times as much`)
    }
  })
}

/** What a visitor may send: an object with many names, alone or inside of others. */
const long: Record<string, (fields: Fields) => unknown> = {
  'an object': fields => fields,
  'an array of one object': fields => [fields],
  'an object in an object': fields => ({ a: fields }),
}

type Wrap = (fields: Fields) => unknown

/** Many elements that differ from the long argument in their first name's value. */
const short = (count: number, wrap: Wrap) => Array.from({ length: count }, () => wrap({ field0: -1 }))

function withOneLong(
  operation: (given: unknown) => Operation,
  stored = short,
): (count: number, wrap: Wrap) => () => unknown {
  return (count, wrap) => {
    const [a, one] = [stored(count, wrap), operation(wrap(named(count)))]
    return () => applied({ a }, [one])
  }
}

function guardedByOneLong(
  guard: (given: unknown) => Omit<Guard, 'path'>,
): (count: number, wrap: Wrap) => () => unknown {
  return (count, wrap) => {
    const [a, one] = [short(count, wrap), { ...guard(wrap(named(count))), path: 'a' }]
    return () => holds([one], { a })
  }
}

const comparingOne: Record<string, (count: number, wrap: Wrap) => () => unknown> = {
  addToSet: withOneLong(given => ({ op: '$addToSet', path: 'a', arg: [given] })),
  pullAll: withOneLong(given => ({ op: '$pullAll', path: 'a', arg: [given] })),
  "pull '!='": withOneLong(arg => ({ op: '$pull', path: 'a', comparator: '!=', arg })),
  "pull '>='": withOneLong(arg => ({ op: '$pull', path: 'a', comparator: '>=', arg })),
  'pull by a field': withOneLong(
    arg => ({ op: '$pull', path: 'a', field: 'b', comparator: '=', arg }),
    (count, wrap) => short(count, wrap).map(b => ({ b })),
  ),
  if: guardedByOneLong(arg => ({ comparator: '=', arg })),
  "if '<'": guardedByOneLong(arg => ({ comparator: '<', arg })),
  'if in': guardedByOneLong(given => ({ comparator: 'in', arg: [given] })),
}

for (const [name, act] of Object.entries(comparingOne)) {
  test(`what a visitor makes long costs in proportion to its length: one value for many elements of ${name}`, () => {
    for (const [kind, wrap] of Object.entries(long)) {
      const growth = growthOf(300, count => act(count, wrap))
      assert.ok(growth < PROPORTIONATE, `ten times as long ${kind} costs ${growth.toFixed(1)} times as much`)
    }
  })
}

/** Whole numbers whose hashes in V8 are equal in their last bits, on which their places in a `Map` depend. */
function colliding(count: number): number[] {
  const numbers: number[] = []
  for (let number = 0; numbers.length < count; number++) {
    if ((hashOf(number) & 0xfff) === 0) numbers.push(number)
  }
  return numbers
}

/** V8's `ComputeUnseededHash`. */
function hashOf(number: number): number {
  let hash = ~number + (number << 15)
  hash ^= hash >>> 12
  hash += hash << 2
  hash ^= hash >>> 4
  hash = Math.imul(hash, 2057)
  return hash ^ (hash >>> 16)
}

test('numbers that a visitor chooses for their hashes cost no more than others', () => {
  const chosen = colliding(4000)
  const growth = growthOf(400, count => {
    const arg = chosen.slice(0, count)
    return () => applied({ a: [1] }, [{ op: '$pullAll', path: 'a', arg }])
  })
  assert.ok(growth < PROPORTIONATE, `ten times as many cost ${growth.toFixed(1)} times as much`)
})

const aPicture = (fields: Picture['fields']): Picture => ({
  fields,
  rev: 1,
  created: new Date(0),
  expires: new Date(1),
  maxAge: 1,
})

const named = (count: number) => Object.fromEntries(list(count, at => at).map(at => [`field${at}`, at]))

const naming: Record<string, (count: number) => () => unknown> = {
  'the names of a get': count => {
    const paths = Object.keys(named(count))
    return () => excerpt(named(count), answerable(paths))
  },
  'paths below elements': count => {
    const paths = list(count, at => `list.${at}.name`) as string[]
    return () => answerable(paths)
  },
  'the names of a set on a loaded session': count => {
    const [fields, picture] = [named(count), aPicture(named(count))]
    return () => completed(picture, 2, Object.keys(fields), fields)
  },
  'names below one field': count => {
    const [fields, paths] = [{ a: named(count) }, Object.keys(named(count)).map(name => `a.${name}`)]
    return () => completed(aPicture(fields), 2, paths, fields)
  },
  'the names of a change': count => {
    const operations = Object.keys(named(count)).map((path): Operation => ({ op: '$set', path, arg: 1 }))
    return () => applied(named(count), operations)
  },
  'calls that fold': count => () => {
    const fold = new Fold()
    for (let at = 0; at < count; at++) addCommand(fold, 'push', ['a', at])
    return fold.change()
  },
  'the parts of a path': count => {
    const parts = list(count, () => 'a')
    return () => assert.throws(() => pathOf(parts))
  },
  'a value': count => {
    const value = list(count, elements.objects as Make)
    return () => [literal(value, 'a'), copied(value), sizeOf(value)]
  },
  'elements before a position': count => {
    const [stored, arg] = [list(count, at => at), list(count, at => at)]
    return () => applied({ a: stored }, [{ op: '$push', path: 'a', arg, modifiers: { position: 1 } }])
  },
}

for (const [name, act] of Object.entries(naming)) {
  test(`what a visitor makes long costs in proportion to its length: ${name}`, () => {
    const growth = growthOf(400, act)
    assert.ok(growth < PROPORTIONATE, `ten times as many cost ${growth.toFixed(1)} times as much`)
  })
}

test('the fields of a chain cost in proportion to their number', () => {
  const growth = growthOf(100, count => () => {
    const fold = new Fold()
    addCommand(fold, 'set', [named(count)])
    return fold.change()
  })
  assert.ok(growth < PROPORTIONATE, `ten times as many cost ${growth.toFixed(1)} times as much`)
})

test('lists longer than a call can have arguments are pushed, added and removed', () => {
  const arg = list(300_000, at => at)
  const after = (operation: Operation, a: unknown[] = []) => applied({ a }, [operation]).a as unknown[]
  assert.equal(after({ op: '$push', path: 'a', arg, modifiers: {} }).length, arg.length)
  assert.equal(after({ op: '$addToSet', path: 'a', arg }, [1, 2]).length, arg.length)
  assert.equal(after({ op: '$pullAll', path: 'a', arg }, [1, 'a']).length, 1)
})
