import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { ConfigurationError, StoreUnavailableError } from '../../src/errors.ts'
import type { Change } from '../../src/language/change.ts'
import type { Fields } from '../../src/language/values.ts'
import { type JoinableStore, joined } from '../../src/store/joining.ts'
import type { Store } from '../../src/store/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { aChange, aRecord, aSession, guarded, inc, push, set, together } from '../contract/records.ts'
import { gate } from '../support/gate.ts'
import { heldAfter } from '../support/heap.ts'
import { joinable } from '../support/joinable.ts'

/** A store in memory whose calls are noted, and held until they are let go. */
function held() {
  const store = memoryStore()
  const sent: string[][] = []
  const waiting: (() => void)[] = []
  const hold = async <T>(ids: readonly string[], call: () => Promise<T>): Promise<T> => {
    sent.push([...ids])
    const { opened, open } = gate()
    waiting.push(open)
    await opened
    return call()
  }
  const all = joinable(store)
  const slow: JoinableStore = {
    ...all,
    load: id => hold([id], () => store.load(id)),
    update: (id, change, answer) => hold([id], () => store.update(id, change, answer)),
    read: (id, paths) => hold([id], () => store.read(id, paths)),
    loadMany: ids => hold(ids, () => all.loadMany(ids)),
    readMany: (ids, paths) => hold(ids, () => all.readMany(ids, paths)),
    updateMany: updates =>
      hold(
        updates.map(({ id }) => id),
        () => all.updateMany(updates),
      ),
  }
  return {
    store,
    slow,
    /** The sessions of each call that has been sent. */
    sent,
    letGo(count = waiting.length) {
      for (const open of waiting.splice(0, count)) open()
    },
    async letAllGo(until: Promise<unknown>) {
      let isOver = false
      const over = until.finally(() => {
        isOver = true
      })
      while (!isOver) {
        for (const open of waiting.splice(0)) open()
        await setImmediate()
      }
      await over
    },
  }
}

async function sessionsIn(store: Store, count: number): Promise<string[]> {
  const records = await together(count, index => aSession(store, { n: index }))
  return records.map(({ id }) => id)
}

test('a call goes out at once, and alone, where no others are under way', async () => {
  const { store, slow, sent, letGo } = held()
  const [id = ''] = await sessionsIn(store, 1)
  const load = joined(slow).load(id)
  assert.deepEqual(sent, [[id]])
  letGo()
  assert.ok(await load)
})

test('what comes while calls are under way goes out together as soon as one is answered', async () => {
  const { store, slow, sent, letGo, letAllGo } = held()
  const ids = await sessionsIn(store, 40)
  const joining = joined(slow)
  const loads = ids.map(id => joining.load(id))
  const before = sent.length
  assert.ok(before < ids.length)
  letGo(1)
  await Promise.race(loads)
  assert.deepEqual(sent[before], ids.slice(before))
  await letAllGo(Promise.all(loads))
})

test('reads of the same paths go out together, however many lists of paths there are', async () => {
  const { store, slow, sent, letAllGo } = held()
  const ids = await sessionsIn(store, 40)
  const joining = joined(slow)
  for (let list = 0; list < 250; list++) await letAllGo(joining.read(ids[0] ?? '', [`n${list}`]))
  sent.splice(0)
  const reads = ids.map((id, index) => joining.read(id, index % 2 === 0 ? ['n'] : ['n', 'text']))
  await letAllGo(Promise.all(reads))
  for (const together of sent) {
    assert.equal(new Set(together.map(id => ids.indexOf(id) % 2)).size, 1)
  }
  assert.ok(sent.length < 10, `${sent.length} calls`)
  assert.deepEqual(
    await Promise.all(reads),
    ids.map((_, n) => ({ rev: 1, fields: { n } })),
  )
})

test('what waits for calls that hang does not wait for long', async () => {
  const { store, slow, sent, letAllGo } = held()
  const ids = await sessionsIn(store, 100)
  const joining = joined(slow)
  const loads = ids.map(id => joining.load(id))
  while (sent.flat().length < ids.length) await setImmediate()
  assert.deepEqual(sent.flat().toSorted(), ids.toSorted())
  assert.ok(sent.every(together => together.length <= 64))
  await letAllGo(Promise.all(loads))
})

test('no two calls that go together are about one session, and one that has many does not hold up others', async () => {
  const { store, slow, sent, letAllGo } = held()
  const [hot = '', ...others] = await sessionsIn(store, 11)
  const joining = joined(slow)
  const updates = Array.from({ length: 200 }, () => joining.update(hot, aChange(inc('n'))))
  const rest = others.map(id => joining.update(id, aChange(inc('n'))))
  await letAllGo(Promise.all([...updates, ...rest]))
  for (const together of sent) assert.equal(new Set(together).size, together.length)
  const firsts = others.map(id => sent.findIndex(together => together.includes(id)))
  assert.ok(Math.max(...firsts) < 10, `the others came ${firsts}`)
  assert.equal((await joinedFields(store, hot)).n, 200)
})

test('where calls that went together fail as one, each of them fails', async () => {
  const down = new StoreUnavailableError('down', 'unknown')
  const store = joinable(memoryStore())
  const joining = joined({ ...store, updateMany: () => Promise.reject(down) })
  const ids = await sessionsIn(store, 20)
  const outcomes = await Promise.allSettled(ids.map(id => joining.update(id, aChange(inc('n')))))
  const failed = outcomes.filter(({ status }) => status === 'rejected')
  assert.ok(failed.length > 10)
  const reasons = failed.map(one => (one as PromiseRejectedResult).reason)
  for (const reason of reasons) assert.deepEqual(reason, down)
  assert.equal(new Set(reasons).size, reasons.length, 'each has an error of its own')
  // And those that come afterwards are served.
  assert.deepEqual(await joining.update(ids[0] ?? '', aChange(inc('n'))), {})
})

test('where a store of the user’s throws, the calls that it was to make fail, and no others', async () => {
  const bug = new TypeError('a bug')
  const { store, slow, letAllGo } = held()
  const ids = await sessionsIn(store, 4)
  let throws = false
  const fail = () => assert.fail(bug)
  const joining = joined({
    ...slow,
    load: id => (throws ? fail() : slow.load(id)),
    loadMany: fail,
  })
  for (const waiting of [1, 2]) {
    throws = false
    const calls = ids.slice(0, 2 + waiting).map(id => joining.load(id))
    throws = true
    const outcomes = Promise.allSettled(calls)
    // Who waits is sent by a timer.
    const last = calls.at(-1)
    await assert.rejects(async () => last, bug)
    await letAllGo(outcomes)
    assert.deepEqual(
      (await outcomes).map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'rejected'].slice(0, calls.length),
    )
  }
})

test('where a store of the user’s has not one result for each call, none of them gets another’s', async () => {
  const store = joinable(memoryStore())
  const ids = await sessionsIn(store, 20)
  const few = async (together: readonly string[]) => (await store.loadMany(together)).slice(1)
  for (const loadMany of [few, async () => [], async () => undefined as never]) {
    const joining = joined({ ...store, loadMany })
    const outcomes = await Promise.allSettled(ids.map(id => joining.load(id)))
    const failures = outcomes.filter(one => one.status === 'rejected').map(({ reason }) => reason)
    assert.ok(failures.length > 10)
    for (const failure of failures) assert.ok(failure instanceof ConfigurationError)
    for (const [index, one] of outcomes.entries()) {
      if (one.status === 'fulfilled') assert.ok(one.value && 'id' in one.value && one.value.id === ids[index])
    }
  }
})

test('changes that the store cannot join go alone', async () => {
  const { store, slow, sent, letAllGo } = held()
  const ids = await sessionsIn(store, 20)
  const joining = joined(slow)
  const updates = ids.map(id => joining.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' }))
  assert.deepEqual(
    sent,
    ids.map(id => [id]),
  )
  await letAllGo(Promise.all(updates))
})

interface Step {
  readonly session: number
  readonly act: 'load' | 'read' | 'set' | 'inc' | 'push' | 'spend'
  /** Turns of the event loop before it. */
  readonly pause: number
}

const someSteps = fc.array(
  fc.record({
    session: fc.nat(5),
    act: fc.constantFrom<Step['act']>('load', 'read', 'set', 'inc', 'push', 'spend'),
    pause: fc.nat(3),
  }) satisfies fc.Arbitrary<Step>,
  { maxLength: 12 },
)

/** A call as it took effect: which it was, and the same call of any store. */
interface Effect {
  /** The change or, of a load, the id, or of a read, that and its path. */
  readonly call: unknown
  readonly again: (store: Store) => Promise<unknown>
  readonly answer: unknown
}

test('calls that are joined have the outcomes of the same calls one by one, in the order they took effect', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(someSteps, { minLength: 2, maxLength: 12 }), async clients => {
      const records = Array.from({ length: 6 }, (_, n) => aRecord({ n, log: [] }))
      const [store, other] = [memoryStore(), memoryStore()]
      for (const record of records) await Promise.all([store.insert(record), other.insert(record)])
      const effects: Effect[] = []
      const joining = joined(joinable(noting(store, effects)))
      const answers: { call: unknown; answer: unknown }[] = []
      await Promise.all(
        clients.map(async (steps, client) => {
          for (const [index, { session, act, pause }] of steps.entries()) {
            for (let turns = 0; turns < pause; turns++) await setImmediate()
            const { id } = records[session] as { id: string }
            const [call, made] = callOf(act, id, `${client}.${index}`)
            answers.push({ call, answer: await made(joining) })
          }
        }),
      )
      assert.equal(effects.length, answers.length)
      for (const { again, answer } of effects) assert.deepEqual(answer, await again(other))
      for (const { id } of records) assert.deepEqual(await store.load(id), await other.load(id))
      for (const { call, answer } of answers) {
        const own = effects.filter(effect => effect.call === call)
        assert.ok(own.some(effect => isDeepStrictEqual(effect.answer, answer)))
      }
    }),
    { numRuns: 100 },
  )
})

/** A call of any store, and what it is known by where it takes effect. */
function callOf(
  act: Step['act'],
  id: string,
  what: string,
): [call: unknown, made: (store: Store) => Promise<unknown>] {
  if (act === 'load') return [id, store => store.load(id)]
  if (act === 'read') return [`${id} n`, store => store.read(id, ['n'])]
  const change = changeOf(act, what)
  return [change, store => store.update(id, change)]
}

function noting(store: Store, effects: Effect[]): Store {
  const noted = async <T>(call: unknown, again: (store: Store) => Promise<T>): Promise<T> => {
    const answer = again(store)
    const effect = { call, again, answer: undefined as T | undefined }
    effects.push(effect)
    effect.answer = await answer
    return effect.answer
  }
  return {
    ...joinable(store),
    load: id => noted(id, any => any.load(id)),
    read: (id, paths) => noted(`${id} ${paths}`, any => any.read(id, paths)),
    update: (id, change, answer) => noted(change, any => any.update(id, change, answer)),
  }
}

function changeOf(act: Exclude<Step['act'], 'load' | 'read'>, what: string): Change {
  switch (act) {
    case 'set':
      return aChange(set('last', what))
    case 'inc':
      return aChange(inc('n'))
    case 'push':
      return aChange(push('log', what))
    case 'spend':
      return guarded({ path: 'n', comparator: '>', arg: 0 }, inc('n', -1))
  }
}

async function joinedFields(store: Store, id: string): Promise<Fields> {
  const found = await store.load(id)
  assert.ok(found && 'fields' in found)
  return found.fields
}

test('a list of names that were cut out of a large text does not keep that text in memory', async () => {
  const store = joined(joinable(memoryStore()))
  const held = await heldAfter(async () => {
    for (let time = 0; time < 30; time++) {
      const text = `${'x'.repeat(2 ** 20)} a name of some length ${time}`
      const name = text.slice(2 ** 20 + 1)
      await store.read('an id', [name])
      await store.read('an id', [name, `${name} and more`])
      await store.read(
        'an id',
        Array.from({ length: 1000 }, () => name),
      )
    }
  })
  assert.ok(held < 10 * 2 ** 20, `${held} bytes are held`)
})
