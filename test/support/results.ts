import assert from 'node:assert/strict'
import { Double, EJSON, serialize } from 'bson'
import { CommandError } from '../../src/errors.ts'
import type { Change } from '../../src/language/change.ts'
import { holds } from '../../src/language/guard.ts'
import { applied } from '../../src/language/operators.ts'
import type { Fields } from '../../src/language/values.ts'
import type { Store } from '../../src/store/store.ts'
import { decodeExactly } from '../../src/stores/bson.ts'

export interface Case {
  readonly fields: Fields
  readonly change: Change
}

/** What became of a case, with the very types. */
export interface Result {
  readonly outcome: 'applied' | 'refused' | 'an error'
  readonly fields: Fields
}

/** The operators are held to MongoDB's results by another test. */
export function assertAsOperators({ fields, change }: Case, found: Result): void {
  const expected = byOperators(decodeExactly(serialize(fields)), change)
  if (found.outcome === expected.outcome && bytesOf(found, change).equals(bytesOf(expected, change))) return
  const show = (value: unknown) => EJSON.stringify(value, { relaxed: false })
  assert.fail(
    `\nfields:   ${show(fields)}\nguards:   ${show(change.guards)}\nchange:   ${show(change.operations)}` +
      `\nfound:    ${found.outcome} ${show(found.fields)}\nexpected: ${expected.outcome} ${show(expected.fields)}`,
  )
}

function byOperators(fields: Fields, change: Change): Result {
  if (!holds(change.guards, fields)) return { outcome: 'refused', fields }
  try {
    const double = (n: number) => new Double(n)
    return { outcome: 'applied', fields: applied(fields, change.operations, { double }) }
  } catch (error) {
    assert.ok(error instanceof CommandError)
    return { outcome: 'an error', fields }
  }
}

/** The order of the fields themselves is not kept, but that of all below them. What each clock said is left out. */
function bytesOf({ outcome, fields }: Result, { operations }: Change): Buffer {
  const timeless = outcome === 'applied' ? operations.reduce(withoutTime, fields) : fields
  const sorted = Object.entries(timeless).sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from(serialize(Object.fromEntries(sorted)))
}

function withoutTime(fields: Fields, { op, path }: Change['operations'][number]): Fields {
  return op === '$currentDate' ? applied(fields, [{ op: '$set', path, arg: null }]) : fields
}

export async function outcomeOf(store: Store, id: string, change: Change): Promise<Result['outcome']> {
  try {
    return typeof (await store.update(id, change)) === 'object' ? 'applied' : 'refused'
  } catch (error) {
    assert.ok(error instanceof CommandError, String(error))
    return 'an error'
  }
}
