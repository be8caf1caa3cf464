import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandError, StoreUnavailableError } from '../../../src/errors.ts'
import { Group } from '../../../src/stores/sqlite/group.ts'

const TIMEOUT = 200

/** Keeps lists of numbers, each list whole or not at all, unless `fails` tells otherwise of one. */
class Numbers {
  readonly kept: number[][] = []
  #pending: number[] = []
  readonly #group: Group
  /** Is called for each number. */
  work = () => {}

  constructor(fails: (pending: readonly number[]) => Error | undefined = () => undefined) {
    this.#group = new Group(work => {
      this.#pending = []
      work()
      const failure = fails(this.#pending)
      if (failure) throw failure
      this.kept.push(this.#pending)
    })
  }

  async add(...numbers: number[]): Promise<(number | Error)[]> {
    const results = await Promise.allSettled(
      numbers.map(number =>
        this.#group.run(() => {
          if (number < 0) throw new CommandError('No negative numbers')
          this.work()
          this.#pending.push(number)
          return number * 10
        }, TIMEOUT),
      ),
    )
    return results.map(result => (result.status === 'fulfilled' ? result.value : result.reason))
  }
}

test('calls that come together share one transaction, and each has its own answer', async () => {
  const numbers = new Numbers()
  assert.deepEqual(await numbers.add(1, 2, 3), [10, 20, 30])
  assert.deepEqual(await numbers.add(4), [40])
  assert.deepEqual(numbers.kept, [[1, 2, 3], [4]])
})

test('calls that take long share several transactions, and others get a turn between them', async t => {
  const numbers = new Numbers()
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const turns: number[] = []
  numbers.work = () => {
    now += 30
    setImmediate(() => turns.push(numbers.kept.length))
  }
  assert.deepEqual(await numbers.add(1, 2, 3, 4, 5), [10, 20, 30, 40, 50])
  assert.deepEqual(numbers.kept, [[1, 2], [3, 4], [5]])
  assert.deepEqual(turns.slice(0, 4), [1, 1, 2, 2])
})

test('a call that is refused leaves the others in their transaction', async () => {
  const numbers = new Numbers()
  const [first, refused, last] = await numbers.add(1, -2, 3)
  assert.deepEqual([first, last], [10, 30])
  assert.ok(refused instanceof CommandError)
  assert.deepEqual(numbers.kept, [[1, 3]])
})

test('a call that makes the transaction fail does not take the others along', async () => {
  const full = new StoreUnavailableError('Full', 'none')
  const numbers = new Numbers(pending => (pending.includes(2) ? full : undefined))
  assert.deepEqual(await numbers.add(1, 2, 3), [10, full, 30])
  assert.deepEqual(numbers.kept, [[1], [3]])
})

test('nothing is tried again after a transaction of which it is not known whether it was kept', async () => {
  for (const lost of [new StoreUnavailableError('Lost', 'unknown'), new Error('Lost')]) {
    let tries = 0
    const numbers = new Numbers(() => {
      tries++
      return lost
    })
    const results = await numbers.add(1, 2, 3)
    assert.deepEqual(results, [lost, lost, lost])
    if (lost instanceof StoreUnavailableError) assert.equal(new Set(results).size, 3)
    assert.equal(tries, 1)
  }
})

const busy = Object.assign(new Error('database is locked'), { code: 'SQLITE_BUSY' })

test('while another has the lock calls wait without holding up the event loop, and are made once', async t => {
  // However long the pauses are on a busy machine, nobody has waited too long.
  t.mock.method(performance, 'now', () => 0)
  let tries = 0
  const numbers = new Numbers(() => (++tries < 10 ? busy : undefined))
  let turns = 0
  const turning = setInterval(() => turns++, 1)
  assert.deepEqual(await numbers.add(1, -2, 3), [10, new CommandError('No negative numbers'), 30])
  clearInterval(turning)
  assert.deepEqual(numbers.kept, [[1, 3]])
  assert.ok(turns > 5)
})

test('a call that waits for the lock longer than its caller does is not made, and says so', async () => {
  let isBusy = true
  const numbers = new Numbers(() => (isBusy ? busy : undefined))
  const waiting = numbers.add(1, 2)
  const [first, second] = await waiting
  assert.ok(first instanceof StoreUnavailableError && second instanceof StoreUnavailableError)
  assert.equal(first.outcome, 'none')
  isBusy = false
  assert.deepEqual(await numbers.add(3), [30])
  assert.deepEqual(numbers.kept, [[3]])
})
