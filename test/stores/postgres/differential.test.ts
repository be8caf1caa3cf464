import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Double, EJSON, serialize } from 'bson'
import fc from 'fast-check'
import { CommandError } from '../../../src/errors.ts'
import type { Change } from '../../../src/language/change.ts'
import { holds } from '../../../src/language/guard.ts'
import { applied } from '../../../src/language/operators.ts'
import type { Fields } from '../../../src/language/values.ts'
import type { Store } from '../../../src/store/store.ts'
import { decodeExactly } from '../../../src/stores/bson.ts'
import { decodeFieldsExactly } from '../../../src/stores/fieldbytes.ts'
import { namesOf } from '../../../src/stores/postgres/names.ts'
import { bytesIn, fieldColumns } from '../../../src/stores/postgres/select.ts'
import { Parameters } from '../../../src/stores/postgres/statement.ts'
import { aSession } from '../../contract/records.ts'
import { someCase, someSimpleCase } from '../../support/generators.ts'
import { aPgPool, aStore, aTable, withoutPostgreSQL } from '../../support/postgres/database.ts'

// DIFFERENTIAL_RUNS=100000 DIFFERENTIAL_SEED=42 tsx test/run.ts test/stores/postgres/differential.test.ts

const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 4000)
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31)
/** Sent to the server together, for speed. */
const BATCH = 100

interface Case {
  readonly fields: Fields
  readonly change: Change
}

interface Result {
  readonly outcome: 'applied' | 'refused' | 'an error'
  readonly fields: Fields
}

// The operators are held to MongoDB's results by another test.
for (const [what, one] of Object.entries({
  'any change': someCase,
  'a simple change': someSimpleCase,
  'any change inside a large field': someCase.map(insideALargeField),
})) {
  test(`${what} of any session has the result in PostgreSQL that the operators give it`, {
    skip: withoutPostgreSQL,
  }, async t => {
    const resultOf = await inPostgreSQL(t)
    const batches = fc.array(one, { minLength: BATCH, maxLength: BATCH })
    await fc.assert(
      fc.asyncProperty(batches, async batch => {
        const results = await Promise.all(batch.map(resultOf))
        for (const [index, found] of results.entries()) assertSame(batch[index] as Case, found)
      }),
      { numRuns: Math.ceil(RUNS / BATCH), seed: SEED, endOnFailure: true },
    )
  })
}

/** The case one level down, beside a text that makes the field a large one. */
function insideALargeField({ fields, change }: Case): Case {
  const below = (path: string) => `field.${path}`
  return {
    fields: { field: { ...fields, text: 'x'.repeat(2000) } },
    change: {
      guards: change.guards.map(guard => ({ ...guard, path: below(guard.path) })),
      operations: change.operations.map(operation => ({
        ...operation,
        path: below(operation.path),
        ...('to' in operation && { to: below(operation.to) }),
      })),
    },
  }
}

function assertSame({ fields, change }: Case, found: Result): void {
  const expected = here(decodeExactly(serialize(fields)), change)
  const isSame =
    found.outcome === expected.outcome && bytesOf(found, change).equals(bytesOf(expected, change))
  if (isSame) return
  const show = (value: unknown) => EJSON.stringify(value, { relaxed: false })
  assert.fail(
    `DIFFERENTIAL_SEED=${SEED}\nfields:   ${show(fields)}\nguards:   ${show(change.guards)}\nchange:   ${show(change.operations)}` +
      `\nfound:    ${found.outcome} ${show(found.fields)}\nexpected: ${expected.outcome} ${show(expected.fields)}`,
  )
}

function here(fields: Fields, change: Change): Result {
  if (!holds(change.guards, fields)) return { outcome: 'refused', fields }
  try {
    const double = (n: number) => new Double(n)
    return { outcome: 'applied', fields: applied(fields, change.operations, { double }) }
  } catch (error) {
    assert.ok(error instanceof CommandError)
    return { outcome: 'an error', fields }
  }
}

/** The order of the fields themselves is not kept, but that of all below them. */
function bytesOf({ outcome, fields }: Result, { operations }: Change): Buffer {
  const timeless = outcome === 'applied' ? operations.reduce(withoutTime, fields) : fields
  const sorted = Object.entries(timeless).sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from(serialize(Object.fromEntries(sorted)))
}

function withoutTime(fields: Fields, { op, path }: Change['operations'][number]): Fields {
  return op === '$currentDate' ? applied(fields, [{ op: '$set', path, arg: null }]) : fields
}

/** What the store makes of a case, and what then is in its tables, with the very types. */
async function inPostgreSQL(t: TestContext): Promise<(one: Case) => Promise<Result>> {
  const pool = await aPgPool(t)
  const table = aTable()
  const store = await aStore(t, { pool, table })
  const names = namesOf({ table })
  return async ({ fields, change }) => {
    const { id } = await aSession(store, fields)
    const outcome = await outcomeOf(store, id, change)
    const parameters = new Parameters()
    const key = parameters.text(id)
    const columns = fieldColumns(names, 'all', parameters)
    const text = `SELECT ${columns.join(', ')} FROM ${names.sessions} AS s WHERE s.id = ${key}`
    const { rows } = await pool.query<(string | null)[]>({
      text,
      values: parameters.values,
      rowMode: 'array',
    })
    return { outcome, fields: decodeFieldsExactly(Object.entries(bytesIn(rows[0] ?? [], 0, 'all'))) }
  }
}

async function outcomeOf(store: Store, id: string, change: Change): Promise<Result['outcome']> {
  try {
    return typeof (await store.update(id, change)) === 'object' ? 'applied' : 'refused'
  } catch (error) {
    assert.ok(error instanceof CommandError, String(error))
    return 'an error'
  }
}
