import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { StoreUnavailableError } from '../../src/errors.ts'
import { Queue } from '../../src/session/queue.ts'
import { gate } from '../support/gate.ts'

test('what waits behind an outage fails at once and says that nothing was written', async () => {
  const queue = new Queue()
  const down = gate()
  const begun: number[] = []
  const outage = new StoreUnavailableError('It did not answer', 'unknown')
  const tasks = [0, 1, 2].map(index =>
    queue.run(async () => {
      begun.push(index)
      await down.opened
      throw outage
    }),
  )
  down.open()
  const [first, ...others] = await Promise.allSettled(tasks)
  assert.deepEqual(begun, [0])
  assert.deepEqual(first, { status: 'rejected', reason: outage })
  for (const { reason } of others as PromiseRejectedResult[]) {
    assert.ok(reason instanceof StoreUnavailableError)
    assert.equal(reason.outcome, 'none')
  }
  // What is begun afterwards asks again: the store may be back.
  assert.equal(await queue.run(async () => 'back'), 'back')
})

test('what waits behind any other failure is done', async () => {
  const queue = new Queue()
  const failing = queue.run(() => Promise.reject(new Error('No such field')))
  const next = queue.run(async () => 'done')
  await assert.rejects(failing, /No such field/)
  assert.equal(await next, 'done')
})

test('a request that runs for long keeps nothing of what has settled', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  const queue = new Queue()
  const answers: WeakRef<object>[] = []
  for (let times = 0; times < 100; times++) {
    const act = queue.run(async () => {
      const answer = {}
      answers.push(new WeakRef(answer))
      return answer
    })
    await queue.watch(act)
  }
  // A WeakRef holds what it refers to until the end of the turn it was made in.
  await setImmediate()
  collectGarbage()
  const kept = answers.filter(answer => answer.deref())
  assert.ok(kept.length <= 1, `${kept.length} of 100 answers are still held`)
  assert.deepEqual(queue.failures(), [])
})
