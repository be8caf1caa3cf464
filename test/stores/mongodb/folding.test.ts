import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decimal128, type Document, Double, EJSON, serialize } from 'bson'
import fc from 'fast-check'
import type { Collection } from 'mongodb'
import { CommandError, FieldError } from '../../../src/errors.ts'
import type { Change } from '../../../src/language/change.ts'
import { addCommand, type CommandName } from '../../../src/language/commands.ts'
import { equal } from '../../../src/language/compare.ts'
import { Fold } from '../../../src/language/fold.ts'
import { applied } from '../../../src/language/operators.ts'
import { type Fields, isBSON } from '../../../src/language/values.ts'
import { toStored } from '../../../src/store/record.ts'
import { decodeExactly } from '../../../src/stores/bson.ts'
import { filterOf, updateOf } from '../../../src/stores/mongodb/language.ts'
import { differenceIn } from '../../support/differences.ts'
import { someNumber, someValue } from '../../support/generators.ts'
import { aCollection, withoutMongoDB, withoutRealMongoDB } from '../../support/mongodb/collection.ts'

const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31)
const isReal = !withoutRealMongoDB
const double = (n: number) => new Double(n)

type Call = [name: CommandName, ...args: unknown[]]

interface Case {
  readonly fields: Fields
  readonly calls: Call[]
}

function changeOf(calls: readonly Call[]): Change {
  const fold = new Fold()
  for (const [name, ...args] of calls) addCommand(fold, name, args)
  return fold.change()
}

/** Numbers that lose no digit when the whole ones below are added. */
const someStoredNumber = fc.constantFrom<unknown>(
  ...[
    0,
    1,
    -7,
    -0,
    0.5,
    2 ** 31 - 1,
    -(2 ** 31),
    1000n,
    2n ** 40n,
    new Double(2),
    Decimal128.fromString('1.5'),
  ],
)
const someWhole = fc.constantFrom<unknown>(...[1, -1, 5, -0, 0, 2 ** 31 - 1, 5e9, -5e9, 1n, 5n, -(2n ** 40n)])
const someList = fc.array(fc.oneof(someValue, fc.constantFrom<unknown>(1, 2, 2n, 'a')), { maxLength: 4 })

function repeated(name: CommandName, someArguments: fc.Arbitrary<unknown[]>): fc.Arbitrary<Call[]> {
  return fc
    .array(someArguments, { minLength: 2, maxLength: 4 })
    .map(list => list.map(args => [name, 'a', ...args]))
}

const someModifiers = fc.constantFrom<unknown[]>(
  [],
  [{ slice: 3 }],
  [{ slice: -3 }],
  [{ sort: -1, slice: 3 }],
)

const someCase: fc.Arbitrary<Case> = fc.oneof(
  fc.record({
    fields: fc.oneof(
      someStoredNumber.map(a => ({ a })),
      fc.constant({}),
    ),
    calls: repeated('inc', fc.tuple(someWhole)),
  }),
  fc.record({
    fields: fc.constantFrom<Fields>({ a: 0 }, {}),
    calls: repeated('inc', fc.tuple(fc.oneof(someWhole, someNumber))),
  }),
  fc.record({
    fields: fc.oneof(
      someList.map(a => ({ a })),
      fc.constant({}),
      fc.constant({ a: 'text' }),
    ),
    calls: fc.oneof(
      repeated(
        'addToSet',
        someList.filter(list => list.length > 0),
      ),
      someModifiers.chain(modifiers =>
        repeated(
          'pushAll',
          someList.map(list => [list, ...modifiers]),
        ),
      ),
    ),
  }),
  fc.record({
    fields: someValue.map(a => ({ a })),
    calls: fc.oneof(repeated('set', fc.tuple(someValue)), repeated('unset', fc.constant([]))),
  }),
)

test('repeated calls of a chain have the result of MongoDB’s own, one after the other', {
  skip: withoutMongoDB,
}, async t => {
  const collection = aCollection(t)
  const counts = { compared: 0, refused: 0 }
  const property = fc.asyncProperty(fc.array(someCase, { minLength: 50, maxLength: 50 }), async cases => {
    await Promise.all(
      cases.map(async one => {
        const folded = changeOrFault(one.calls)
        if (folded instanceof FieldError) counts.refused++
        else if (isComparable(one)) {
          counts.compared++
          assertSame(one, afterAll(one.fields, [folded]), await inMongoDB(collection, one))
        }
      }),
    )
  })
  await fc.assert(property, { seed: SEED, numRuns: 60, endOnFailure: true })
  t.diagnostic(`${counts.compared} chains compared, ${counts.refused} refused`)
  assert.ok(counts.compared > 500 && counts.refused > 50)
})

function changeOrFault(calls: readonly Call[]): Change | FieldError {
  try {
    return changeOf(calls)
  } catch (error) {
    if (error instanceof FieldError) return error
    throw error
  }
}

/** What all the changes make of the fields, or nothing where one of them is refused. */
function afterAll(fields: Fields, changes: readonly Change[]): Fields | undefined {
  try {
    return changes.reduce((result, { operations }) => applied(result, operations, { double }), fields)
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

/** The chain as one change, and each call as one, are what the server is known to do as MongoDB does. */
function isComparable({ fields, calls }: Case): boolean {
  if (isReal) return true
  let before: Fields | undefined = fields
  for (const call of calls) {
    const change = changeOf([call])
    if (!before || differenceIn(before, change) !== undefined) return false
    before = afterAll(before, [change])
  }
  return true
}

async function inMongoDB(collection: Collection, { fields, calls }: Case): Promise<Fields | undefined> {
  const created = new Date()
  const id = String(Math.random())
  const record = {
    id,
    created,
    expires: new Date(created.getTime() + 60_000),
    maxAge: 60_000,
    rev: 0,
    fields,
  }
  await collection.insertOne(toStored(record) as unknown as Document)
  for (const call of calls) {
    const change = changeOf([call])
    try {
      await collection.updateOne(filterOf(id, change, new Date()), updateOf(change))
    } catch {
      return undefined
    }
  }
  return (await collection.findOne({ _id: id as never }, { promoteValues: false }))?.data
}

function assertSame({ fields, calls }: Case, ours: Fields | undefined, theirs: Fields | undefined): void {
  const isSame = ours && theirs ? equal(ours, theirs) && kindOf(ours) === kindOf(theirs) : ours === theirs
  const show = (value: unknown) => EJSON.stringify(value ?? null, { relaxed: false })
  assert.ok(
    isSame,
    `\nfields: ${show(fields)}\ncalls: ${show(calls)}\nours: ${show(ours)}\nMongoDB: ${show(theirs)}`,
  )
}

/** Integers of 32 and of 64 bits are one kind: which of them a sum is depends on the steps that led to it. */
function kindOf(fields: Fields): string {
  const { a } = decodeExactly(serialize(fields))
  if (!isBSON(a)) return typeof a
  return a._bsontype === 'Long' ? 'Int32' : a._bsontype
}
