import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import {
  CommandError,
  ConfigurationError,
  SessionTooLargeError,
  StoreUnavailableError,
} from '../../src/errors.ts'
import type { Change } from '../../src/language/change.ts'
import { type CombinableStore, combined } from '../../src/store/combining.ts'
import type { Update } from '../../src/store/joining.ts'
import type { Answer, Outcome, Store } from '../../src/store/store.ts'
import { timed } from '../../src/store/timed.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type HeldCall, hold } from '../../src/testing/hold.ts'
import {
  aChange,
  aRecord,
  aSecondAgo,
  aSession,
  fieldsOf,
  guarded,
  inAnHour,
  inc,
  isCommandErrorAt,
  push,
  set,
  together,
  unset,
} from '../contract/records.ts'
import { combinable } from '../support/combinable.ts'
import { fieldStore } from '../support/fieldstore.ts'
import { someChange, someFields } from '../support/generators.ts'
import { otherValues } from '../support/otherbson.ts'

const after = (...paths: string[]): Answer => ({ paths, when: 'after' })
const before = (...paths: string[]): Answer => ({ paths, when: 'before' })

/** A store whose steps a test holds. */
function held<Told>(target: CombinableStore<Told>) {
  const { store, next, release, calls } = hold(target)
  return { target, store: combined(store), next, release, calls }
}

function heldInMemory() {
  return held(combinable(memoryStore()))
}

/** The changes of a step. */
function changesIn(call: HeldCall | undefined): Change[] {
  const [, updates] = (call?.args ?? []) as [string, readonly Update[]]
  return updates.map(({ change }) => change)
}

function toldIn(call: HeldCall): unknown {
  return (call.args[2] as { told?: unknown }).told
}

test('a change goes out at once, and alone, where no other of its session is under way', async () => {
  const { target, store, next } = heldInMemory()
  const [one, other] = [await aSession(target, { n: 0 }), await aSession(target, { n: 0 })]
  const updates = [store.update(one.id, aChange(inc('n'))), store.update(other.id, aChange(inc('n')))]
  const calls = [await next(), await next()]
  assert.deepEqual(
    calls.map(({ args }) => args[0]),
    [one.id, other.id],
  )
  for (const call of calls) await call.answer()
  assert.deepEqual(await Promise.all(updates), [{}, {}])
  const again = store.update(one.id, aChange(inc('n')))
  const call = await next()
  assert.equal(changesIn(call).length, 1)
  await call.answer()
  await again
})

test('what comes while a change is under way goes out as one step, in its order, as soon as that is answered', async () => {
  const { target, store, next, calls } = heldInMemory()
  const { id } = await aSession(target, { log: [] })
  const updates = Array.from({ length: 5 }, (_, index) =>
    store.update(id, aChange(push('log', index)), after('log')),
  )
  const first = await next()
  assert.equal(calls.length, 1)
  await first.answer()
  const second = await next()
  assert.deepEqual(
    changesIn(second),
    [1, 2, 3, 4].map(index => aChange(push('log', index))),
  )
  await second.answer()
  assert.deepEqual(
    await Promise.all(updates),
    [0, 1, 2, 3, 4].map(index => ({
      rev: index + 2,
      fields: { log: Array.from({ length: index + 1 }, (_, at) => at) },
    })),
  )
})

test('each step is handed what the one before it told, and the first after a pause nothing', async () => {
  const { target, store, next } = heldInMemory()
  const { id } = await aSession(target, { n: 0 })
  const told: unknown[] = []
  for (let round = 0; round < 2; round++) {
    const updates: Promise<Outcome>[] = []
    updates.push(store.update(id, aChange(inc('n'))))
    for (let step = 0; step < 3; step++) {
      const call = await next()
      told.push(toldIn(call))
      if (step < 2) updates.push(store.update(id, aChange(inc('n'))))
      await call.answer()
    }
    await Promise.all(updates)
  }
  assert.deepEqual(told, [undefined, 1, 2, undefined, 1, 2])
})

for (const [what, target] of [
  ['one by one', () => both(combinable(memoryStore()))],
  ['by fields', () => both(fieldStore())],
  ['by revisions', () => both(fieldStore({ stamps: false, tells: false, slack: 50 }))],
] as const) {
  test(`of changes that go together each has its own outcome: ${what}`, async () => {
    const { store, line } = target()
    const { id } = await aSession(store, { n: 1, text: 'tea', token: 'once', list: [1] })
    const enough = { path: 'n', comparator: '>=', arg: 2 } as const
    const updates = [
      line.update(id, aChange(set('first', true))),
      line.update(id, guarded(enough, inc('n')), after('n')),
      line.update(id, aChange(inc('n')), after('n')),
      line.update(id, guarded(enough, inc('n', 10)), before('n')),
      line.update(id, aChange(inc('text'), push('list', 2))),
      line.update(id, aChange(set('list.7', 1))),
      line.update(id, aChange(unset('token')), before('token')),
      line.update(id, aChange(unset('token')), before('token')),
      line.update(id, { ...aChange(set('big', 'x'.repeat(500))), maxSize: 400 }),
      line.update(id, { ...aChange(set('n', 0)), rev: 99 }),
      line.update(id, { ...aChange(inc('n')), rev: 6 }, after('n', 'list')),
      line.update(id, { ...aChange(), expires: inAnHour(), whileMaxAge: 1 }),
    ]
    const outcomes = await Promise.allSettled(updates)
    assert.deepEqual(
      outcomes.map(one => (one.status === 'fulfilled' ? one.value : one.reason.constructor.name)),
      [
        {},
        'refused',
        { rev: 3, fields: { n: 2 } },
        { rev: 4, fields: { n: 2 } },
        'CommandError',
        'CommandError',
        { rev: 5, fields: { token: 'once' } },
        { rev: 6, fields: {} },
        'SessionTooLargeError',
        'refused',
        { rev: 7, fields: { n: 13, list: [1] } },
        { maxAge: 3_600_000 },
      ],
    )
    await assert.rejects(updates[4] as Promise<unknown>, isCommandErrorAt('text'))
    await assert.rejects(updates[5] as Promise<unknown>, isCommandErrorAt('list.7'))
    assert.deepEqual(await fieldsOf(store, id), { first: true, n: 13, text: 'tea', list: [1] })
  })

  test(`changes that go together come to what they come to one after another: ${what}`, async () => {
    const someBatch = someFields.chain(fields =>
      fc.record({
        fields: fc.constant(fields),
        steps: fc.array(
          fc.record({
            change: someChange(fields).filter(({ operations }) =>
              operations.every(({ op }) => op !== '$currentDate'),
            ),
            when: fc.constantFrom(undefined, 'before' as const, 'after' as const),
            maxSize: fc.constantFrom(undefined, 40, 80, 200),
            rev: fc.constantFrom(undefined, undefined, undefined, 1, 2, 3, 4),
            expires: fc.constantFrom(undefined, undefined, 1_800_000, 5_400_000, -1),
            maxAge: fc.constantFrom(undefined, undefined, undefined, 5, 3_600_000),
            whileMaxAge: fc.constantFrom(undefined, undefined, 5, 3_600_000),
          }),
          { minLength: 1, maxLength: 12 },
        ),
      }),
    )
    await fc.assert(
      fc.asyncProperty(someBatch, async ({ fields, steps }) => {
        const { store, line } = target()
        const other = memoryStore()
        const record = aRecord(fields)
        await Promise.all([store.insert(record), other.insert(record)])
        const updates = steps.map(({ change, when, expires, ...rest }) => ({
          change: {
            ...change,
            ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
            ...(expires !== undefined && { expires: new Date(record.created.getTime() + expires) }),
          } as Change,
          answer: when && { paths: change.operations.map(({ path }) => path), when },
        }))
        const ours = await Promise.all(updates.map(one => outcomeOf(line, record.id, one)))
        const theirs: unknown[] = []
        for (const one of updates) theirs.push(await outcomeOf(other, record.id, one))
        assert.deepEqual(ours, theirs)
        assert.deepEqual(await store.load(record.id), await other.load(record.id))
      }),
      { numRuns: 400 },
    )
  })
}

function both<Told>(store: CombinableStore<Told>): { store: Store; line: Store } {
  return { store, line: combined(store) }
}

async function outcomeOf(
  store: Pick<Store, 'update'>,
  id: string,
  { change, answer }: { change: Change; answer: Answer | undefined },
): Promise<unknown> {
  try {
    return await store.update(id, change, answer)
  } catch (error) {
    assert.ok(error instanceof CommandError || error instanceof SessionTooLargeError, String(error))
    return [error.constructor.name, error instanceof CommandError && error.path]
  }
}

test('of hundreds of changes at once to one session, in two processes, none is lost or spoils many others', async () => {
  const store = fieldStore()
  const { id } = await aSession(store, { n: 0, log: [] })
  let swaps = 0
  const counting = new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (name === 'swapFields') swaps++
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  const lines = [combined(counting), combined(counting)]
  await together(400, index =>
    (lines[index % 2] as Store).update(id, aChange(inc('n'), push('log', index)), after('n')),
  )
  const { n, log } = await fieldsOf(store, id)
  assert.equal(n, 400)
  assert.deepEqual(
    (log as number[]).toSorted((a, b) => a - b),
    Array.from({ length: 400 }, (_, index) => index),
  )
  assert.ok(swaps < 100, `${swaps} swaps`)
})

test('a change is not refused by what was so before it was made', async () => {
  const store = fieldStore()
  const { id } = await aSession(store, { n: 0, open: false })
  const { store: line, next, release } = held(store)
  const first = line.update(id, aChange(inc('n')), after('open'))
  const call = await next()
  await call.pass()
  // Another process, between the first step and its answer.
  await store.update(id, aChange(set('open', true)))
  const second = line.update(id, guarded({ path: 'open', comparator: '=', arg: true }, inc('n')), after('n'))
  const wrong = line.update(id, aChange(inc('open')))
  release()
  assert.deepEqual(await first, { rev: 2, fields: { open: false } })
  assert.deepEqual(await second, { rev: 4, fields: { n: 2 } })
  await assert.rejects(wrong, isCommandErrorAt('open'))
})

test('a session that ends while its changes wait is ended for each of them', async () => {
  for (const [expected, end] of [
    ['ended', (store: Store, id: string) => store.end(id, { ended: new Date() }, inAnHour())],
    ['absent', (store: Store, id: string) => store.delete(id)],
  ] as const) {
    const store = fieldStore()
    const { id } = await aSession(store, { n: 0 })
    const { store: line, next, release } = held(store)
    const updates = Array.from({ length: 4 }, () => line.update(id, aChange(inc('n'))))
    await (await next()).pass()
    await end(store, id)
    release()
    assert.deepEqual(await Promise.all(updates), [{}, expected, expected, expected])
  }
})

test('a change that moves the end into the past is the last that is applied', async () => {
  const store = fieldStore()
  const { id } = await aSession(store, { n: 0 })
  const line = combined(store)
  const updates = [
    line.update(id, aChange(inc('n'))),
    line.update(id, aChange(inc('n'))),
    line.update(id, { ...aChange(inc('n')), expires: aSecondAgo(), maxAge: 1000 }),
    line.update(id, aChange(inc('n'))),
  ]
  assert.deepEqual(await Promise.all(updates), [{}, {}, {}, 'absent'])
})

for (const outcome of ['unknown', 'none'] as const) {
  test(`where a step fails, each of its changes fails, with an error of its own: ${outcome}`, async () => {
    const { target, store, next, release } = heldInMemory()
    const { id } = await aSession(target, { n: 0 })
    const first = store.update(id, aChange(inc('n')))
    const updates = Array.from({ length: 3 }, () => store.update(id, aChange(inc('n'))))
    await (await next()).answer()
    await first
    const cause = new Error('cut')
    const step = await next()
    const later = store.update(id, aChange(inc('n')), after('n'))
    step.fail(new StoreUnavailableError('The connection was cut', outcome, { cause }))
    const failures = await Promise.allSettled(updates)
    const reasons = failures.map(one => (one.status === 'rejected' ? one.reason : undefined))
    for (const reason of reasons) {
      assert.ok(reason instanceof StoreUnavailableError)
      assert.equal(reason.outcome, outcome)
      assert.equal(reason.cause, cause)
    }
    assert.equal(new Set(reasons).size, 3)
    const call = await next()
    assert.equal(toldIn(call), undefined, 'what came before the failure')
    release()
    assert.deepEqual(await later, { rev: 3, fields: { n: 2 } })
  })
}

test('a change that cannot be encoded is no concern of those that go with it', async () => {
  const store = fieldStore()
  const { id } = await aSession(store, { n: 0 })
  const line = combined(store)
  const outcomes = await Promise.allSettled([
    line.update(id, aChange(inc('n'))),
    line.update(id, aChange(inc('n')), after('n')),
    line.update(id, aChange(inc('n'), set('user', otherValues[0]?.[1]))),
    line.update(id, aChange(inc('n')), after('n')),
  ])
  assert.deepEqual(
    outcomes.map(one => (one.status === 'fulfilled' ? one.value : one.reason.code)),
    [{}, { rev: 3, fields: { n: 2 } }, 'SESSION_FIELD', { rev: 4, fields: { n: 3 } }],
  )
})

test('where a store of the user’s has not one result for each change, none of them gets another’s', async () => {
  const store = combinable(memoryStore())
  const { id } = await aSession(store, { n: 0 })
  for (const results of [[], undefined as never, [{ status: 'fulfilled', value: {} }] as const]) {
    let steps = 0
    const line = combined<number>({
      ...store,
      updateTogether: async (...args) => (++steps === 1 ? store.updateTogether(...args) : { results }),
    })
    const updates = Array.from({ length: 4 }, () => line.update(id, aChange(inc('n'))))
    await updates[0]
    for (const one of updates.slice(1)) await assert.rejects(one, ConfigurationError)
  }
  const bug = new TypeError('a bug')
  const throwing = combined({
    ...store,
    updateTogether: () => assert.fail(bug),
  })
  const updates = [1, 2, 3].map(() => throwing.update(id, aChange(inc('n'))))
  for (const one of updates) await assert.rejects(one, bug)
})

/** Stops the time that a line of changes knows, and passes it. Timers that are due go off once it has passed. */
function timeIn(t: TestContext): (ms: number) => void {
  let now = performance.now()
  t.mock.method(performance, 'now', () => now)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  return ms => {
    now += ms
    t.mock.timers.tick(ms)
  }
}

test('behind a step that hangs nobody waits for longer than half of the timeout', async t => {
  const { target, store, next, calls } = heldInMemory()
  const pass = timeIn(t)
  store.useTimeout?.(60)
  const { id } = await aSession(target, { n: 0 })
  const hanging = store.update(id, aChange(inc('n')))
  const stuck = await next()
  const updates = [1, 2].map(() => store.update(id, aChange(inc('n')), after('n')))
  pass(29)
  assert.deepEqual(calls, [stuck])
  pass(1)
  const call = await next()
  assert.equal(changesIn(call).length, 2)
  await call.answer()
  assert.deepEqual(
    (await Promise.all(updates)).map(outcome => typeof outcome === 'object' && outcome.fields?.n),
    [1, 2],
  )
  // Its answer, when it comes after all, sends nothing.
  await stuck.answer()
  assert.deepEqual(await hanging, {})
  assert.equal(calls.length, 0)
  assert.equal((await fieldsOf(target, id)).n, 3)
})

test('who has waited for the whole timeout is told that nothing was written, and is not sent', async t => {
  const { target, store, next } = heldInMemory()
  const pass = timeIn(t)
  store.useTimeout?.(40)
  const { id } = await aSession(target, { n: 0 })
  const first = store.update(id, aChange(inc('n')))
  await next()
  // Held up, as by a collection of garbage: all are late before any of them is sent.
  const late = [1, 2].map(() => store.update(id, aChange(inc('n'))))
  pass(1000)
  await Promise.all(
    late.map(one => assert.rejects(one, (error: StoreUnavailableError) => error.outcome === 'none')),
  )
  void first
  assert.deepEqual(await fieldsOf(target, id), { n: 0 })
})

test('a change behind one that was not sent in time is sent', async t => {
  const { target, store, next } = heldInMemory()
  const pass = timeIn(t)
  store.useTimeout?.(40)
  const { id } = await aSession(target, { n: 0 })
  const first = store.update(id, aChange(inc('n')))
  await next()
  // After a change that moves the end of the session, a step ends.
  const late = store.update(id, { ...aChange(inc('n')), expires: inAnHour(), maxAge: 3_600_000 })
  pass(1000)
  const last = store.update(id, aChange(inc('n')), after('n'))
  await assert.rejects(late, (error: StoreUnavailableError) => error.outcome === 'none')
  const call = await next()
  assert.equal(changesIn(call).length, 1)
  await call.answer()
  const outcome = await last
  assert.deepEqual(typeof outcome === 'object' && outcome.fields, { n: 1 })
  void first
})

test('each change has its own deadline, and a store that hangs is known to be down by all of them', async () => {
  const { target, store, next } = heldInMemory()
  store.useTimeout?.(50)
  const line = timed(() => store, 50)
  const { id } = await aSession(target, { n: 0 })
  const updates = [1, 2, 3, 4].map(() => line.update(id, aChange(inc('n'))))
  await next()
  for (const one of updates) await assert.rejects(one, StoreUnavailableError)
  // One in a while is sent, to find out whether the store is back.
  void line.update(id, aChange(inc('n'))).catch(() => {})
  await assert.rejects(line.update(id, aChange(inc('n'))), (error: StoreUnavailableError) => {
    return error.outcome === 'none' && /is down/.test(error.message)
  })
})

test('one session that has many changes does not hold up those of others', async () => {
  const { target, store, next, release } = heldInMemory()
  const hot = await aSession(target, { n: 0 })
  const updates = Array.from({ length: 250 }, () => store.update(hot.id, aChange(inc('n'))))
  await next()
  const other = await aSession(target, { n: 0 })
  const mine = store.update(other.id, aChange(inc('n')))
  const call = await next()
  assert.equal(call.args[0], other.id)
  await call.answer()
  assert.deepEqual(await mine, {})
  release()
  await Promise.all(updates)
})

test('no more changes go together than are worked out in a moment', async () => {
  const store = combinable(memoryStore())
  const { id } = await aSession(store, { n: 0 })
  const sizes: number[] = []
  const line = combined<number>({
    ...store,
    updateTogether: (id, updates, hints) => {
      sizes.push(updates.length)
      return store.updateTogether(id, updates, hints)
    },
  })
  await together(250, () => line.update(id, aChange(inc('n'))))
  assert.deepEqual(sizes, [1, 100, 100, 49])
  sizes.length = 0
  const paths = Array.from({ length: 400 }, (_, index) => `n${index}`)
  await together(5, () => line.update(id, aChange(inc('n')), after(...paths)))
  assert.deepEqual(sizes, [1, 2, 2])
})
