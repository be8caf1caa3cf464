import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandError, FieldError } from '../../src/errors.ts'
import type { Change } from '../../src/language/change.ts'
import { defineCommands, type Performer } from '../../src/session/chain.ts'
import { Queue } from '../../src/session/queue.ts'
import { gate } from '../support/gate.ts'

interface Chain extends PromiseLike<unknown> {
  set(path: string, value: unknown): Chain
  inc(path: string, by?: unknown): Chain
  catch(rejected: (error: unknown) => unknown): Promise<unknown>
  finally(settled: () => void): Promise<unknown>
}

/** Something with commands, and what became of them. `refuse` fails every change with this. */
function aTarget({ refuse }: { refuse?: Error } = {}) {
  const sent: { change: Change; asked: boolean }[] = []
  const queue = new Queue()
  const performer: Performer = {
    queue,
    async perform(change, _, asked) {
      sent.push({ change, asked })
      if (refuse) throw refuse
      return asked ? { value: 'result' } : undefined
    },
    lateResult: async () => 'afterwards',
  }
  const target = {} as Chain
  defineCommands(target, () => performer)
  return {
    target,
    sent,
    queue,
    failures: () => queue.failures(),
    settled: () => queue.settled(),
  }
}

test('a chain is sent once, as one change', async () => {
  const { target, sent } = aTarget()
  assert.equal(await target.set('a', 1).inc('b'), 'result')
  assert.equal(sent.length, 1)
  assert.deepEqual(
    sent[0]?.change.operations.map(({ op }) => op),
    ['$set', '$inc'],
  )
})

test('a chain keeps its place, whenever it is sent', async () => {
  const { target, sent, queue } = aTarget()
  const order: string[] = []
  const chain = target.set('a', 1)
  const read = queue.run(async () => {
    order.push(`read after ${sent.length} changes`)
  })
  const other = target.set('b', 1)
  await Promise.all([other, read, chain])
  assert.deepEqual(order, ['read after 1 changes'])
  assert.deepEqual(
    sent.map(({ change }) => change.operations[0]?.path),
    ['a', 'b'],
  )
})

test('a chain is closed at the end of its tick, also while calls before it are under way', async () => {
  const { target, sent, queue, settled } = aTarget()
  const slow = gate()
  queue.run(() => slow.opened)
  const chain = target.set('a', 1)
  // However many microtasks are between, the tick is the same.
  for (let microtasks = 0; microtasks < 100; microtasks++) await null
  chain.set('b', 1)
  await new Promise(setImmediate)
  assert.throws(() => chain.set('c', 1), /set\(\) came too late/)
  assert.equal(sent.length, 0)
  slow.open()
  await settled()
  assert.deepEqual(
    sent.map(({ change }) => change.operations.length),
    [2],
  )
})

test('a chain is not sent in the middle of a call, and is by the end of the tick', async () => {
  const { target, sent } = aTarget()
  const chain = target.set('a', 1)
  assert.equal(sent.length, 0)
  chain.inc('b')
  await new Promise(setImmediate)
  assert.equal(sent.length, 1)
  assert.equal(sent[0]?.change.operations.length, 2)
})

test('a result is asked for where somebody awaits it, and only there', async () => {
  const { target, sent, settled } = aTarget()
  target.set('a', 1)
  await target.set('b', 1)
  await settled()
  assert.deepEqual(
    sent.map(({ asked }) => asked),
    [false, true],
  )
})

test('a chain awaited late is told its result afterwards, and is not sent again', async () => {
  const { target, sent, settled } = aTarget()
  const chain = target.set('a', 1)
  await settled()
  assert.equal(await chain, 'afterwards')
  assert.equal(sent.length, 1)
})

test('a chain may be awaited twice', async () => {
  const { target, sent } = aTarget()
  const chain = target.set('a', 1)
  assert.deepEqual(await Promise.all([chain, chain]), ['result', 'result'])
  assert.equal(sent.length, 1)
})

test('a failure that nobody handles is kept, and never an unhandled rejection', async () => {
  const refused = new CommandError('no')
  const { target, failures, settled } = aTarget({ refuse: refused })
  target.set('a', 1)
  await settled()
  await new Promise(setImmediate)
  assert.deepEqual(failures(), [refused])
})

test('a failure that somebody handles is theirs, however they wait', async () => {
  const refused = new CommandError('no')
  const { target, failures } = aTarget({ refuse: refused })
  await assert.rejects(async () => target.set('a', 1), refused)
  assert.equal(await target.set('a', 1).then(null, error => error), refused)
  assert.equal(await target.set('a', 1).catch(error => error), refused)
  let told = false
  await assert.rejects(
    target.set('a', 1).finally(() => {
      told = true
    }),
    refused,
  )
  assert.ok(told)
  assert.deepEqual(failures(), [])
})

test('a chain in which a call threw is never sent, and tells why to who awaits it', async () => {
  const { target, sent, failures, settled } = aTarget()
  const chain = target.set('a', 1)
  assert.throws(() => chain.set('$b', 1), FieldError)
  assert.throws(() => chain.set('b', 1), CommandError)
  assert.throws(() => target.set('b', undefined), FieldError)
  await settled()
  await assert.rejects(async () => chain, FieldError)
  assert.deepEqual(sent, [])
  // The caller has been told by the throw.
  assert.deepEqual(failures(), [])
})

test('a call that comes after its chain was sent is refused', async () => {
  const { target, sent } = aTarget()
  const chain = target.set('a', 1)
  await chain
  assert.throws(() => chain.set('b', 1), CommandError)
  assert.equal(sent.length, 1)
})
