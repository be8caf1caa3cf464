import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { StoreUnavailableError } from '../../src/errors.ts'
import { combined } from '../../src/store/combining.ts'
import type { Swap } from '../../src/stores/draft.ts'
import { updateFields } from '../../src/stores/swapping.ts'
import { storeContract } from '../contract/index.ts'
import { aChange, aSession, fieldsOf, inc } from '../contract/records.ts'
import { fieldStore } from '../support/fieldstore.ts'

describe('a store of fields with stamps', () => {
  storeContract(async () => {
    const database = fieldStore()
    return () => combined(database)
  })
})

describe('a store of fields that compares revisions and tells nothing', () => {
  storeContract(async () => {
    const database = fieldStore({ stamps: false, tells: false, slack: 100 })
    return () => combined(database)
  })
})

test('changes that take long are made in several steps, in their order, and each has its own outcome', async t => {
  const cases = [
    { failing: undefined, until: 1e9, steps: [2, 2, 1], told: [] },
    { failing: 2, until: 1e9, steps: [2, 2], told: ['unknown', 'unknown', 'unknown'] },
    { failing: undefined, until: 100, steps: [2], told: ['none', 'none', 'none'] },
  ]
  for (const { failing, until, ...expected } of cases) {
    const store = fieldStore()
    const { id } = await aSession(store, { n: 0 })
    const steps: number[] = []
    const swapFields = (of: string, swap: Swap) => {
      steps.push(swap.steps)
      if (steps.length === failing) throw new StoreUnavailableError('Lost', 'unknown')
      return store.swapFields(of, swap)
    }
    const readFields = (of: string, names: readonly string[], isExact: boolean) => {
      return store.readFields(of, names, isExact)
    }
    let now = 0
    const clock = t.mock.method(performance, 'now', () => {
      now += 30
      return now
    })
    const updates = Array.from({ length: 5 }, () => ({
      id,
      change: aChange(inc('n')),
      answer: { paths: ['n'], when: 'after' } as const,
    }))
    const { results } = await updateFields({ swapFields, readFields }, id, updates, { until })
    clock.mock.restore()
    const seen = results.map(result =>
      result.status === 'fulfilled'
        ? typeof result.value === 'object' && [result.value.rev, result.value.fields?.n]
        : result.reason.outcome,
    )
    const made = [1, 2, 3, 4, 5].map(n => [n + 1, n])
    const count = made.length - expected.told.length
    assert.deepEqual(steps, expected.steps)
    assert.deepEqual(seen, [...made.slice(0, count), ...expected.told])
    assert.deepEqual(await fieldsOf(store, id), { n: count })
  }
})
