import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Store } from '../../../src/store/store.ts'
import { decodeFieldsExactly } from '../../../src/stores/fieldbytes.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { commandsOf } from '../../../src/stores/redis/client.ts'
import { pairsOf } from '../../../src/stores/redis/replies.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aChange, aRecord, aSession, guarded, set } from '../../contract/records.ts'
import { someCase, someSimpleCase, someSimpleChange, someSimpleFields } from '../../support/generators.ts'
import { type Connected, nodeRedis6 } from '../../support/redis/clients.ts'
import { callsOf } from '../../support/redis/commands.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { assertAsOperators, outcomeOf, type Result } from '../../support/results.ts'

// DIFFERENTIAL_RUNS=100000 DIFFERENTIAL_SEED=42 tsx test/run.ts test/stores/redis/differential.test.ts

const RUNS = Number(process.env.DIFFERENTIAL_RUNS ?? 4000)
const SEED = Number(process.env.DIFFERENTIAL_SEED ?? Date.now() % 2 ** 31)
/** Sent to the server together, for speed. */
const BATCH = 100

describe('changes in Redis', { skip: withoutRedis }, () => {
  let server: RedisServer
  let connected: Connected
  let store: Store

  before(async () => {
    server = await RedisServer.start()
    connected = await nodeRedis6.single(server.port)
    store = redisStore({ client: connected.client })
  })
  after(async () => {
    await connected.close()
    await server.stop()
  })

  async function resultOf({ fields, change }: Parameters<typeof assertAsOperators>[0]): Promise<Result> {
    const { id } = await aSession(store, fields)
    const outcome = await outcomeOf(store, id, change)
    const pairs = pairsOf(await commandsOf(connected.client).hgetall(`session:${id}`))
    const stored = pairs.flatMap(([name, bytes]) =>
      name === '_' ? [] : [[name, bytes.subarray(8)] as const],
    )
    return { outcome, fields: decodeFieldsExactly(stored) }
  }

  for (const [what, one] of Object.entries({ any: someCase, 'a simple': someSimpleCase })) {
    test(`${what} change of any session has the result that the operators give it`, async t => {
      const counts = await callsOf(server)
      const batches = fc.array(one, { minLength: BATCH, maxLength: BATCH })
      await fc.assert(
        fc.asyncProperty(batches, async batch => {
          const results = await Promise.all(batch.map(resultOf))
          for (const [index, found] of results.entries()) {
            assertAsOperators(batch[index] as Parameters<typeof assertAsOperators>[0], found)
          }
        }),
        { numRuns: Math.ceil(RUNS / BATCH), seed: SEED, endOnFailure: true },
      )
      if (one !== someSimpleCase) return
      // Each case: an insert, a change, and this test's own look at it. What is not for the server is sent once more.
      const now = await callsOf(server)
      const made = (now.get('hgetall') ?? 0) - (counts.get('hgetall') ?? 0)
      const scripts = (now.get('evalsha') ?? 0) - (counts.get('evalsha') ?? 0)
      const again = scripts - 2 * made + ((now.get('hmget') ?? 0) - (counts.get('hmget') ?? 0))
      t.diagnostic(`${again} of ${made} simple changes took more than one round trip`)
      assert.ok(again < 0.25 * made, `${again} of ${made} took more than one`)
    })
  }

  test('what is no finite number is calculated, limited and compared as the operators do it', async () => {
    const { NaN: none, POSITIVE_INFINITY: most, NEGATIVE_INFINITY: least } = Number
    for (const stored of [undefined, null, 'x', 7n, 5, -0, none, most, least]) {
      const fields = stored === undefined ? {} : { a: stored }
      for (const arg of [none, most, least, 5]) {
        for (const op of ['$inc', '$mul', '$min', '$max'] as const) {
          const one = { fields, change: aChange({ op, path: 'a', arg }) }
          assertAsOperators(one, await resultOf(one))
        }
        for (const comparator of ['=', '!=', '<', '<=', '>', '>='] as const) {
          const one = { fields, change: guarded({ path: 'a', comparator, arg }, set('b', 1)) }
          assertAsOperators(one, await resultOf(one))
        }
      }
    }
  })

  test('simple changes that are made together come to what they come to one after another', async () => {
    const someStep = fc.record({
      change: someSimpleChange,
      when: fc.constantFrom(undefined, undefined, 'before' as const, 'after' as const),
      maxSize: fc.constantFrom(undefined, undefined, 60, 100),
      expires: fc.constantFrom(undefined, undefined, 1_800_000, 5_400_000),
      whileMaxAge: fc.constantFrom(undefined, undefined, 5, 3_600_000),
    })
    const someTogether = fc.record({
      fields: someSimpleFields,
      // Where nobody asks for a guard, they are one step of the server's.
      unguarded: fc.boolean(),
      steps: fc.array(someStep, { minLength: 2, maxLength: 12 }),
    })
    await fc.assert(
      fc.asyncProperty(someTogether, async ({ fields, unguarded, steps }) => {
        const record = aRecord(fields)
        const other = memoryStore()
        await Promise.all([store.insert(record), other.insert(record)])
        const updates = steps.map(({ change, when, maxSize, expires, whileMaxAge }) => ({
          change: {
            ...change,
            ...(unguarded && { guards: [] }),
            ...(maxSize !== undefined && { maxSize }),
            ...(whileMaxAge !== undefined && { whileMaxAge }),
            ...(expires !== undefined && { expires: new Date(record.created.getTime() + expires) }),
          },
          answer: when && { paths: change.operations.map(({ path }) => path), when },
        }))
        const made = (to: Store) => (one: (typeof updates)[number]) =>
          to.update(record.id, one.change, one.answer).catch((error: Error) => error.constructor.name)
        const ours = await Promise.all(updates.map(made(store)))
        const theirs: unknown[] = []
        for (const one of updates) theirs.push(await made(other)(one))
        assert.deepEqual(ours, theirs)
        assert.deepEqual(await store.load(record.id), await other.load(record.id))
        assert.equal(await sizeTold(record.id), await sizeCounted(record.id))
      }),
      { numRuns: Math.ceil(RUNS / 10), seed: SEED, endOnFailure: true },
    )
  })

  async function stored(id: string): Promise<[string, Buffer][]> {
    return pairsOf(await commandsOf(connected.client).hgetall(`session:${id}`))
  }

  /** What the record says of its own size. */
  async function sizeTold(id: string): Promise<number | undefined> {
    return (await stored(id)).find(([name]) => name === '_')?.[1].readDoubleLE(33)
  }

  async function sizeCounted(id: string): Promise<number | undefined> {
    let size = 5
    for (const [name, bytes] of await stored(id)) {
      if (name !== '_') size += Buffer.byteLength(name) + 1 + bytes.length - 8
    }
    return size
  }
})
