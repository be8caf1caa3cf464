import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type TestContext, test } from 'node:test'
import {
  CommandError,
  ConfigurationError,
  type SessionError,
  StoreUnavailableError,
} from '../../src/errors.ts'
import type { LifecycleEvent } from '../../src/events.ts'
import type { Store } from '../../src/store/store.ts'
import { timed } from '../../src/store/timed.ts'
import { memoryStore } from '../../src/stores/memory.ts'

const TIMEOUT = 5000
const PAUSE = 500

/** A call to the store, which the test answers. */
interface Call {
  succeed(): void
  fail(error: unknown): void
}

interface Held {
  readonly store: ReturnType<typeof timed>
  /** The calls that have come through to the store and are not answered yet. */
  readonly calls: Call[]
  /** Lets so many milliseconds pass. */
  pass(ms: number): Promise<void>
  /** Calls the store, and tells what became of it. */
  ask(): Promise<string>
  /** Lets so many calls fail for want of the store, after so long a wait. */
  fail(times: number, after?: number): Promise<void>
}

function held(t: TestContext, timeout = TIMEOUT): Held {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  const calls: Call[] = []
  const target: Store = Object.assign(memoryStore(), {
    load: () =>
      new Promise<undefined>((resolve, reject) => {
        calls.push({ succeed: () => resolve(undefined), fail: reject })
      }),
  })
  const store = timed(() => target, timeout)
  const ask = () =>
    store.load('id').then(
      () => 'answered',
      (error: SessionError) => (error instanceof StoreUnavailableError ? error.message : error.name),
    )
  const pass = async (ms: number) => {
    now += ms
    t.mock.timers.tick(ms)
    await settled()
  }
  return {
    store,
    calls,
    pass,
    ask,
    async fail(times, after = 500) {
      for (let time = 0; time < times; time++) {
        const asked = ask()
        await pass(after)
        calls.shift()?.fail(new StoreUnavailableError('away', 'none'))
        assert.equal(await asked, 'away')
      }
    },
  }
}

/** Lets everything happen that waits for nothing but its turn. */
function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

const refused = `The session store is down; it is asked again every ${PAUSE} ms`

/** What the breaker says of the store while the test runs. */
function lifecycle(t: TestContext): string[] {
  const types: string[] = []
  const listen = (event: unknown) => void types.push((event as LifecycleEvent).type)
  subscribe('koa-atomic-session:lifecycle', listen)
  t.after(() => unsubscribe('koa-atomic-session:lifecycle', listen))
  return types
}

test('after three calls in a row that waited in vain the store is down, and asked no more', async t => {
  const { calls, ask, fail, pass } = held(t)
  const events = lifecycle(t)
  await fail(3)
  assert.deepEqual(events, ['store error', 'store error', 'store error', 'store down'])
  const first = ask()
  assert.equal(calls.length, 1)
  for (let time = 0; time < 100; time++) assert.equal(await ask(), refused)
  assert.equal(calls.length, 1)
  await pass(TIMEOUT)
  assert.match(await first, /did not answer within/)
})

test('a store that is down is asked by one call in a while, and any answer brings it back', async t => {
  const { calls, ask, fail, pass } = held(t)
  await fail(3)
  for (let probe = 1; probe <= 3; probe++) {
    ask()
    assert.equal(calls.length, probe)
    assert.equal(await ask(), refused)
    await pass(PAUSE - 1)
    assert.equal(await ask(), refused)
    await pass(1)
  }
  const events = lifecycle(t)
  calls[1]?.succeed()
  await settled()
  assert.deepEqual(events, ['store back'])
  const later = Array.from({ length: 10 }, ask)
  assert.equal(calls.length, 13)
  for (const call of calls) call.succeed()
  assert.deepEqual(await Promise.all(later), Array(10).fill('answered'))
})

test('who asks alone, and waits in vain, is then answered at once for a while', async t => {
  const { calls, ask, fail, pass } = held(t)
  await fail(3)
  for (let probe = 1; probe <= 3; probe++) {
    const asked = ask()
    await pass(TIMEOUT)
    assert.match(await asked, /did not answer within/)
    for (let time = 0; time < 5; time++) {
      assert.equal(await ask(), refused)
      await pass(PAUSE / 5)
    }
    assert.equal(calls.length, probe)
  }
})

test('one that asks in vain is told from one that the driver refuses', async t => {
  const { calls, ask, fail, pass } = held(t)
  await fail(3)
  const refusedByDriver = ask()
  calls[0]?.fail(new ConfigurationError('the driver is too old'))
  assert.equal(await refusedByDriver, 'ConfigurationError')
  await pass(PAUSE)
  const asked = ask()
  await pass(TIMEOUT)
  assert.match(await asked, /did not answer within/)
  assert.equal(await ask(), refused)
  assert.equal(calls.length, 2)
})

test('those that ask in vain are few at any time, however long each may wait', async t => {
  for (const timeout of [1000, TIMEOUT, 60_000]) {
    await t.test(`timeout ${timeout}`, async t => {
      const { calls, ask, fail, pass } = held(t, timeout)
      await fail(3)
      let waiting = 0
      let most = 0
      for (let time = 0; time < 1000; time++) {
        const before = calls.length
        const asked = ask()
        if (calls.length > before) {
          waiting++
          asked.then(() => waiting--)
        }
        most = Math.max(most, waiting)
        await pass(timeout / 100)
      }
      assert.ok(most >= 1 && most <= 11, `${most} at a time`)
    })
  }
})

test('failures that made nobody wait do not shut anybody out', async t => {
  const { calls, ask, fail } = held(t)
  await fail(50, 20)
  ask()
  ask()
  assert.equal(calls.length, 2)
})

test('one that waits in vain while others are answered is no reason to shut them out', async t => {
  const { calls, ask, pass } = held(t)
  for (let time = 0; time < 10; time++) {
    const slow = ask()
    const stuck = calls.shift()
    const quick = ask()
    calls.shift()?.succeed()
    assert.equal(await quick, 'answered')
    await pass(TIMEOUT)
    assert.match(await slow, /did not answer/)
    stuck?.succeed()
  }
  ask()
  ask()
  assert.equal(calls.length, 2)
})

test('an answer that is no success is an answer', async t => {
  const { calls, ask, fail } = held(t)
  for (let time = 0; time < 5; time++) {
    await fail(2)
    const asked = ask()
    calls.shift()?.fail(new CommandError('no'))
    assert.equal(await asked, 'CommandError')
  }
  ask()
  ask()
  assert.equal(calls.length, 2)
})

test('what fails when asked again leaves the store down', async t => {
  const { calls, ask, fail, pass } = held(t)
  await fail(3)
  const probe = ask()
  calls.shift()?.fail(new StoreUnavailableError('still away', 'none'))
  assert.equal(await probe, 'still away')
  assert.equal(await ask(), refused)
  await pass(PAUSE)
  ask()
  assert.equal(calls.length, 1)
})

test('a change that is refused is known to have had no effect', async t => {
  const { store, ask, fail } = held(t)
  await fail(3)
  ask()
  const change = { guards: [], operations: [] }
  for (const call of [
    () => store.update('id', change),
    () => store.delete('id'),
    () => store.end('id', { ended: new Date() }, new Date()),
    () => store.find('user', 'ada')[Symbol.asyncIterator]().next(),
  ]) {
    await assert.rejects(call, (error: StoreUnavailableError) => {
      assert.equal(error.message, refused)
      assert.equal(error.outcome, 'none')
      assert.match(String(error.headers['Retry-After']), /^\d+$/)
      return true
    })
  }
})

test('another store is not taken for the one that was down', async t => {
  const { store, calls, ask, fail } = held(t)
  await fail(3)
  ask()
  assert.equal(await ask(), refused)
  store.renew()
  ask()
  ask()
  assert.equal(calls.length, 3)
})

test('a timeout shorter than any wait that counts counts all the same', async t => {
  const { calls, ask, pass } = held(t, 20)
  for (let time = 0; time < 3; time++) {
    const asked = ask()
    await pass(20)
    assert.match(await asked, /did not answer within 20 ms/)
  }
  ask()
  assert.equal(await ask(), refused)
  assert.equal(calls.length, 4)
})

test('once drained, calls are refused, and those under way have been answered', async t => {
  const { store, calls, ask } = held(t)
  const asked = ask()
  let isDrained = false
  const drained = store.drain().then(() => {
    isDrained = true
  })
  assert.equal(await ask(), 'The sessions have been closed')
  assert.equal(isDrained, false)
  calls[0]?.succeed()
  assert.equal(await asked, 'answered')
  await drained
  assert.equal(await ask(), 'The sessions have been closed')
  store.renew()
  ask()
  assert.equal(calls.length, 2)
})
