import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { StoreUnavailableError } from '../../src/errors.ts'
import type { LifecycleEvent, StoreCall } from '../../src/events.ts'
import { combined } from '../../src/store/combining.ts'
import { type JoinableStore, joined } from '../../src/store/joining.ts'
import type { Store } from '../../src/store/store.ts'
import { timed } from '../../src/store/timed.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { aChange, aSession, inc, together } from '../contract/records.ts'
import { combinable } from '../support/combinable.ts'
import { gate } from '../support/gate.ts'
import { joinable } from '../support/joinable.ts'

/** Whose request is served, as an app's own tracing keeps it. */
const request = new AsyncLocalStorage<string>()

/** What is told while the test runs, each with the request that it was told in. */
function told(t: TestContext): string[] {
  const all: string[] = []
  const listen = (event: unknown) =>
    void all.push(`${(event as LifecycleEvent).type} in ${request.getStore()}`)
  subscribe('koa-atomic-session:lifecycle', listen)
  t.after(() => unsubscribe('koa-atomic-session:lifecycle', listen))
  return all
}

/** The calls that are traced while the test runs. */
function traced(t: TestContext): string[] {
  const all: string[] = []
  const channel = tracingChannel<'koa-atomic-session:store', StoreCall>('koa-atomic-session:store')
  const listening = (what: string) => (call: StoreCall) =>
    void all.push(`${what} of ${call.id} in ${request.getStore()}`)
  const listeners = {
    start: listening('start'),
    end: listening('end'),
    asyncStart: listening('asyncStart'),
    asyncEnd: listening('asyncEnd'),
    error: listening('error'),
  }
  channel.subscribe(listeners)
  t.after(() => channel.unsubscribe(listeners))
  return all
}

/** Never answers. */
function silent(): Store {
  return Object.assign(memoryStore(), { load: () => new Promise<never>(() => {}) })
}

test('a call that is given up is told in the context of its own request, whoever’s timer it was', async t => {
  const events = told(t)
  const store = silent()
  const line = timed(() => store, 20)
  const names = ['ada', 'eve', 'bob', 'kim']
  await Promise.all(
    names.map(name =>
      request.run(name, async () => {
        await assert.rejects(line.load(name), StoreUnavailableError)
        assert.equal(request.getStore(), name)
      }),
    ),
  )
  assert.deepEqual(
    events.filter(event => event.startsWith('store error')),
    names.map(name => `store error in ${name}`),
  )
  // By the third in a row.
  assert.deepEqual(
    events.filter(event => event.startsWith('store down')),
    ['store down in bob'],
  )
})

test('a call is traced in the context of its own request from its start to its end, given up or joined', async t => {
  const calls = traced(t)
  const store = joined(joinable(memoryStore()))
  const lines = { answered: timed(() => store, 5000), 'given up': timed(() => silent(), 20) }
  for (const [what, line] of Object.entries(lines)) {
    calls.length = 0
    await together(30, index =>
      request.run(`request ${index}`, () => line.load(`request ${index}`).catch(() => undefined)),
    )
    assert.equal(calls.length, 30 * (what === 'answered' ? 4 : 5), what)
    for (const call of calls) assert.match(call, /of (request \d+) in \1$/)
  }
})

/** A store that notes in whose request it is asked about whom. */
function noting() {
  const asked: { ids: readonly string[]; by: string | undefined }[] = []
  const gates: (() => void)[] = []
  const sound = memoryStore()
  const all = joinable(sound)
  const noted = async <T>(ids: readonly string[], call: () => Promise<T>): Promise<T> => {
    asked.push({ ids, by: request.getStore() })
    const { opened, open } = gate()
    gates.push(open)
    await opened
    return call()
  }
  const store: JoinableStore = {
    ...all,
    load: id => noted([id], () => sound.load(id)),
    update: (id, change, answer) => noted([id], () => sound.update(id, change, answer)),
    loadMany: ids => noted(ids, () => all.loadMany(ids)),
    updateMany: updates =>
      noted(
        updates.map(({ id }) => id),
        () => all.updateMany(updates),
      ),
  }
  const letGo = () => {
    for (const open of gates.splice(0)) open()
  }
  return { store: joined(store), sound, asked, letGo }
}

test('what is sent for several requests is sent in the context of one of them, and each goes on in its own', async () => {
  const { store, sound, asked, letGo } = noting()
  const ids = await together(40, async () => (await aSession(sound, { n: 0 })).id)
  let isOver = false
  const calls = together(ids.length, index =>
    request.run(ids[index] ?? '', async () => {
      const id = ids[index] ?? ''
      await store.load(id)
      assert.equal(request.getStore(), id)
      await store.update(id, aChange(inc('n')))
      assert.equal(request.getStore(), id)
    }),
  ).finally(() => {
    isOver = true
  })
  while (!isOver) {
    letGo()
    await setImmediate()
  }
  await calls
  assert.ok(asked.some(({ ids }) => ids.length > 10))
  for (const { ids, by } of asked) assert.equal(by, ids[0])
})

test('changes of one session that go together are one step in the context of the first, and each goes on in its own', async t => {
  const traces: StoreCall[] = []
  const listen = (call: unknown) => void traces.push(call as StoreCall)
  subscribe('tracing:koa-atomic-session:store:asyncEnd', listen)
  t.after(() => unsubscribe('tracing:koa-atomic-session:store:asyncEnd', listen))
  const events = told(t)
  const calls = traced(t)
  const sound = memoryStore()
  const { id } = await aSession(sound, { n: 0 })
  const asked: [changes: number, by: string | undefined][] = []
  const all = combinable(sound)
  const store = combined<number>({
    ...all,
    updateTogether: async (id, updates, hints) => {
      asked.push([updates.length, request.getStore()])
      await setImmediate()
      if (asked.length === 3) throw new StoreUnavailableError('cut', 'unknown')
      return all.updateTogether(id, updates, hints)
    },
  })
  const line = timed(() => store, 5000)
  const change = (name: string) =>
    request.run(name, async () => {
      await line.update(id, aChange(inc('n'))).catch(() => {})
      assert.equal(request.getStore(), name)
    })
  const first = ['ada', 'eve', 'bob', 'kim'].map(change)
  await Promise.race(first)
  const second = ['tom', 'zoe'].map(change)
  await Promise.all([...first, ...second])
  assert.deepEqual(asked, [
    [1, 'ada'],
    [3, 'eve'],
    [2, 'tom'],
  ])
  assert.deepEqual(
    traces.map(({ changes }) => changes),
    [undefined, 3, 3, 3, 2, 2],
  )
  assert.equal(calls.filter(call => call.startsWith('start')).length, 6)
  for (const name of ['ada', 'eve', 'bob', 'kim', 'tom', 'zoe']) {
    const own = calls.filter(call => call.endsWith(` in ${name}`))
    assert.equal(own.length, name === 'tom' || name === 'zoe' ? 5 : 4, name)
  }
  assert.deepEqual(events, ['store error in tom', 'store error in zoe'])
})

test('what waits for its turn alone is sent in the context of its own request', async () => {
  const { store, sound, asked, letGo } = noting()
  const { id } = await aSession(sound, { n: 0 })
  let isOver = false
  // All of one session, so that none goes together with another.
  const names = Array.from({ length: 10 }, (_, index) => `request ${index}`)
  const calls = Promise.all(names.map(name => request.run(name, () => store.load(id)))).finally(() => {
    isOver = true
  })
  while (!isOver) {
    letGo()
    await setImmediate()
  }
  await calls
  assert.deepEqual(
    asked.map(({ by }) => by),
    names,
  )
})

test('a timer that serves all requests keeps nothing of the one that set it', async t => {
  const line = timed(() => silent(), 20)
  const seen: unknown[] = []
  const set = globalThis.setTimeout
  t.mock.method(globalThis, 'setTimeout', (run: () => void, ms: number) => {
    seen.push(request.getStore())
    return set(run, ms)
  })
  await request.run('ada', () => assert.rejects(line.load('ada'), StoreUnavailableError))
  // One, or a second where the first came a moment too soon.
  assert.deepEqual(new Set(seen), new Set([undefined]))
})
