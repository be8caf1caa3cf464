import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Document, Double, EJSON, serialize } from 'bson'
import fc from 'fast-check'
import type { Collection } from 'mongodb'
import { CommandError } from '../src/errors.ts'
import type { Change } from '../src/language/change.ts'
import { holds } from '../src/language/guard.ts'
import { applied } from '../src/language/operators.ts'
import { type Fields, isPlain } from '../src/language/values.ts'
import { toStored } from '../src/store/record.ts'
import { decodeExactly } from '../src/stores/bson.ts'
import { filterOf, updateOf } from '../src/stores/mongodb/language.ts'
import { aSession } from './contract/records.ts'
import { differenceIn, fillsAnArray } from './support/differences.ts'
import { someCase, someSimpleCase } from './support/generators.ts'
import { aCollection, withoutMongoDB, withoutRealMongoDB } from './support/mongodb/collection.ts'
import { aPath, aStore, theDatabase } from './support/sqlite/files.ts'

// DIFFERENTIAL_RUNS=500000 DIFFERENTIAL_SEED=42 tsx test/run.ts test/differential.test.ts

const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 20_000)
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31)
/** Sent to the server together, for speed. */
const BATCH = 200
/** At least so much of what is generated must be compared, where the server is not MongoDB itself. */
const LEAST_COMPARED = 0.5

interface Case {
  readonly fields: Fields
  readonly change: Change
}

interface Result {
  readonly outcome: 'applied' | 'unmatched' | 'refused'
  readonly fields: Fields
}

const someBatch = fc.array(fc.oneof(someCase, someSimpleCase), { minLength: BATCH, maxLength: BATCH })
const isReal = !withoutRealMongoDB

test('any change of any session has the result that MongoDB gives it', { skip: withoutMongoDB }, async t => {
  const collection = aCollection(t)
  const sqlite = anSQLiteStore(t)
  let generated = 0
  let compared = 0
  let culprit = 0
  const property = fc.asyncProperty(someBatch, async batch => {
    const cases = batch.filter(isComparable)
    const expected = await inMongoDB(collection, cases)
    const kept = await Promise.all(cases.map(one => sqlite.resultOf(one)))
    for (const [index, one] of cases.entries()) {
      culprit = batch.indexOf(one)
      assertSame(one, kept[index] as Result, expected[index] as Result)
    }
    generated += batch.length
    compared += cases.length
  })
  const numRuns = Math.ceil(RUNS / BATCH / (isReal ? 1 : LEAST_COMPARED))
  const run = await fc.check(property, { numRuns, seed: SEED, endOnFailure: true })
  if (run.failed) {
    throw new Error(`DIFFERENTIAL_SEED=${SEED} fails; the smallest case is the cause`, {
      cause: await smallest(collection, sqlite, culprit, run.counterexamplePath ?? '', run.errorInstance),
    })
  }
  t.diagnostic(`${compared} changes compared, ${generated - compared} left out`)
  assert.ok(compared >= LEAST_COMPARED * generated, 'too much is left out')
})

/** Shrinks the one failing case of a batch; the others only make up the numbers. */
async function smallest(
  collection: Collection,
  sqlite: SQLite,
  index: number,
  path: string,
  found: unknown,
): Promise<unknown> {
  const property = fc.asyncProperty(someBatch, async batch => {
    const one = batch[index] as Case
    if (!isComparable(one)) return
    assertSame(one, await sqlite.resultOf(one), (await inMongoDB(collection, [one]))[0] as Result)
  })
  const run = await fc.check(property, { seed: SEED, path, interruptAfterTimeLimit: 30_000 })
  return run.errorInstance ?? found
}

function isComparable({ fields, change }: Case): boolean {
  return isReal || differenceIn(fields, change) === undefined
}

function here({ fields, change }: Case): Result {
  if (!holds(change.guards, fields)) return { outcome: 'unmatched', fields }
  try {
    const double = (n: number) => new Double(n)
    return { outcome: 'applied', fields: applied(fields, change.operations, { double }) }
  } catch (error) {
    return { outcome: refusalOf({ fields, change }, error), fields }
  }
}

function refusalOf({ fields, change }: Case, error: unknown): 'unmatched' | 'refused' {
  if (!(error instanceof CommandError)) throw error
  // Our own rule, which the filter asks for: no array is filled with nulls to reach an element.
  return change.operations.some(operation => fillsAnArray(fields, operation)) ? 'unmatched' : 'refused'
}

interface SQLite {
  resultOf(one: Case): Promise<Result>
}

/** The SQLite store, and what is in its file, with the very types. */
function anSQLiteStore(t: TestContext): SQLite {
  const path = aPath(t)
  const store = aStore(t, path)
  const select = theDatabase(t, path).prepare('SELECT fields FROM sessions WHERE id = ?')
  return {
    async resultOf(one) {
      const { id } = await aSession(store, one.fields)
      const outcome = await store.update(id, one.change).then(
        update => (typeof update === 'object' ? 'applied' : 'unmatched'),
        error => refusalOf(one, error),
      )
      const { fields } = select.get(id) as { fields: Uint8Array }
      await store.delete(id)
      return { outcome, fields: decodeExactly(fields) }
    },
  }
}

async function inMongoDB(collection: Collection, cases: readonly Case[]): Promise<Result[]> {
  if (cases.length === 0) return []
  const created = new Date()
  const record = { created, expires: new Date(created.getTime() + 60_000), maxAge: 60_000, rev: 0 }
  const documents = cases.map(({ fields }, index) => toStored({ ...record, id: String(index), fields }))
  await collection.insertMany(documents as unknown as Document[])
  const outcomes = await Promise.all(cases.map((one, index) => outcomeOf(collection, String(index), one)))
  const found = await collection.find({}, { promoteValues: false }).toArray()
  await collection.deleteMany({})
  const fieldsOf = new Map(found.map(({ _id, data }) => [String(_id), exact(data) as Fields]))
  return outcomes.map((outcome, index) => ({ outcome, fields: fieldsOf.get(String(index)) as Fields }))
}

async function outcomeOf(collection: Collection, id: string, one: Case): Promise<Result['outcome']> {
  const { change, fields } = one
  const updated = (filter: object) =>
    collection.findOneAndUpdate(filter, updateOf(change), { projection: { _id: 1 } })
  try {
    if (await updated(filterOf(id, change, new Date()))) return 'applied'
    if (change.operations.some(operation => fillsAnArray(fields, operation))) return 'unmatched'
    // The conditions on array elements pass over some that are right; as the store then does, without them.
    const guarded = filterOf(id, { guards: change.guards, operations: [] }, new Date())
    return (await updated(guarded)) ? 'applied' : 'unmatched'
  } catch {
    return 'refused'
  }
}

/** Doubles as the operators know them: wrapped only where they could be mistaken for an int32. */
function exact(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(exact)
  if (isPlain(value)) return mapped(value, exact)
  const isBare = value instanceof Double && ((value.value | 0) !== value.value || Object.is(value.value, -0))
  return isBare ? value.value : value
}

function assertSame({ fields, change }: Case, kept: Result, theirs: Result): void {
  // A store may keep the fields as they are or as BSON, whose numbers then come as instances of its classes.
  const stored = decodeExactly(serialize(fields))
  for (const [form, ours] of [
    [fields, here({ fields, change })],
    [stored, here({ fields: stored, change })],
    [stored, kept],
  ] as const) {
    const [a, b] = [bytesOf(ours, change), bytesOf(theirs, change)]
    if (ours.outcome === theirs.outcome && Buffer.compare(a, b) === 0) continue
    const show = (value: unknown) => EJSON.stringify(value, { relaxed: false })
    assert.fail(
      `\nfields:  ${show(form)}\nguards:  ${show(change.guards)}\nchange:  ${show(change.operations)}` +
        `\nours:    ${ours.outcome} ${show(ours.fields)}\nMongoDB: ${theirs.outcome} ${show(theirs.fields)}`,
    )
  }
}

/** The fields with their very types, and, where the server keeps it for several operations, in their very order. */
function bytesOf(result: Result, change: Change): Uint8Array {
  const fields = withoutTimes(result, change)
  return serialize({ fields: isReal || change.operations.length === 1 ? fields : sorted(fields) })
}

/** What each clock said is checked and then left out. */
function withoutTimes({ outcome, fields }: Result, { operations }: Change): Fields {
  if (outcome !== 'applied') return fields
  return operations.reduce((result, { op, path }) => {
    if (op !== '$currentDate') return result
    const at = path.split('.').reduce((value: unknown, part) => (value as Fields)[part], result)
    assert.ok(at instanceof Date && Math.abs(Date.now() - at.getTime()) < 60_000)
    return applied(result, [{ op: '$set', path, arg: null }])
  }, fields)
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isPlain(value)) return value
  return mapped(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))), sorted)
}

function mapped(fields: Fields, map: (value: unknown) => unknown): Fields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, map(value)]))
}
