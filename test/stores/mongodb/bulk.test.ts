import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MongoBulkWriteError, MongoNetworkError, MongoServerError } from 'mongodb'
import { StoreUnavailableError } from '../../../src/errors.ts'
import type { Loaded } from '../../../src/store/joining.ts'
import { verdictsOf } from '../../../src/stores/mongodb/bulk.ts'
import { Sending } from '../../../src/stores/mongodb/errors.ts'
import { aRecord } from '../../contract/records.ts'

const ids = ['a', 'b', 'c', 'd']

type Look = (ids: readonly string[]) => Promise<PromiseSettledResult<Loaded>[]>

/** What is there when it is looked: all but these. */
function without(...away: string[]): Look {
  return async ids =>
    ids.map(id => ({ status: 'fulfilled', value: away.includes(id) ? undefined : aRecord({}, { id }) }))
}

const nobodyLooks: Look = () => assert.fail('nobody need look')

function sending(outcome: Sending['outcome']): Sending {
  return Object.assign(new Sending(), { outcome })
}

async function shown(bulk: Promise<{ matchedCount: number }>, look: Look): Promise<string[]> {
  const verdicts = await verdictsOf(ids, bulk, sending('unknown'), look)
  return verdicts.map(verdict => {
    if (typeof verdict === 'string') return verdict
    assert.ok(verdict instanceof StoreUnavailableError)
    return verdict.outcome
  })
}

/** As the driver throws it. */
function refusing(matchedCount: number, writeErrors: object[], writeConcernError?: object): Promise<never> {
  const result = { matchedCount, getWriteConcernError: () => writeConcernError }
  const error = { message: 'refused', writeErrors }
  return Promise.reject(new MongoBulkWriteError(error as never, result as never))
}

test('where all found their session, all were applied', async () => {
  assert.deepEqual(await shown(Promise.resolve({ matchedCount: 4 }), nobodyLooks), [
    'applied',
    'applied',
    'applied',
    'applied',
  ])
})

test('where none found its session, none was applied', async () => {
  const verdicts = await shown(Promise.resolve({ matchedCount: 0 }), nobodyLooks)
  assert.deepEqual(new Set(verdicts), new Set(['not applied']))
})

test('a session that was not there is told from those that were', async () => {
  const verdicts = await shown(Promise.resolve({ matchedCount: 2 }), without('b', 'd'))
  assert.deepEqual(verdicts, ['applied', 'not applied', 'applied', 'not applied'])
})

test('what the server refused is not counted, and is the only one', async () => {
  const verdicts = await shown(refusing(2, [{ index: 1, code: 14 }]), without('c'))
  assert.deepEqual(verdicts, ['applied', 'not applied', 'not applied', 'applied'])
})

test('what the server could not do for want of itself is unknown', async () => {
  // It goes down, or no longer knows what came of a write that the driver has sent once more.
  for (const code of [91, 217]) {
    const verdicts = await shown(refusing(3, [{ index: 2, code }]), nobodyLooks)
    assert.deepEqual(verdicts, ['applied', 'applied', 'unknown', 'applied'])
  }
})

test('where a session has gone since, it is unknown of those that are gone, and of no others', async () => {
  const verdicts = await shown(Promise.resolve({ matchedCount: 3 }), without('a', 'b'))
  assert.deepEqual(verdicts, ['unknown', 'unknown', 'applied', 'applied'])
})

test('where nobody can look, it is unknown of all that may have been applied', async () => {
  const look: Look = async ids => ids.map(() => ({ status: 'rejected', reason: new Error('down') }))
  const verdicts = await shown(refusing(2, [{ index: 0, code: 14 }]), look)
  assert.deepEqual(verdicts, ['not applied', 'unknown', 'unknown', 'unknown'])
})

test('where more are missing than are gone, it is unknown of all', async () => {
  const verdicts = await shown(Promise.resolve({ matchedCount: 2 }), without('b'))
  assert.deepEqual(verdicts, ['unknown', 'unknown', 'unknown', 'unknown'])
})

test('what was applied and not confirmed is unknown', async () => {
  for (const errors of [[], [{ index: 0, code: 14 }]]) {
    const verdicts = await shown(refusing(4, errors, { code: 64 }), nobodyLooks)
    assert.deepEqual(new Set(verdicts), new Set(['unknown']))
  }
})

for (const [what, cause, sent, expected] of [
  ['a lost connection', new MongoNetworkError('closed'), 'unknown', 'unknown'],
  ['a connection that cannot be had', new MongoNetworkError('refused'), 'none', 'none'],
  [
    'a primary that steps down',
    new MongoServerError({ message: 'stepped down', code: 189 }),
    'unknown',
    'unknown',
  ],
  ['a server that cannot read the command', new MongoServerError({ code: 9 }), 'unknown', 'not applied'],
  ['a server that says no more than that', new MongoServerError({ code: 8 }), 'unknown', 'unknown'],
  ['a change that cannot be encoded', new RangeError('too deep'), 'none', 'not applied'],
  ['an answer that cannot be decoded', new RangeError('out of bounds'), 'unknown', 'unknown'],
] as const) {
  test(`a bulk that fails as a whole, by ${what}, is ${expected} for each, with an error of its own`, async () => {
    const wrapped = new MongoBulkWriteError(cause as never, { matchedCount: 0 } as never)
    for (const error of [cause, wrapped]) {
      // The first drivers of version 6 keep nothing of what they wrap; what was not sent is then asked for anew, each alone.
      const isLost = error === wrapped && sent === 'none' && wrapped.errorResponse === undefined
      const verdicts = await verdictsOf(ids, Promise.reject(error), sending(sent), nobodyLooks)
      for (const verdict of verdicts) {
        const told = verdict instanceof StoreUnavailableError ? verdict.outcome : verdict
        assert.equal(told, isLost ? 'not applied' : expected)
      }
      const errors = verdicts.filter(verdict => verdict instanceof Error)
      assert.equal(new Set(errors).size, errors.length)
    }
  })
}
