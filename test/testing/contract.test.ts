import assert from 'node:assert/strict'
import { test } from 'node:test'
import { passingOn } from '../../src/store/wrapping.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { storeContract } from '../../src/testing/index.ts'

const ofProcesses = storeContract().filter(({ promise }) => promise === 'processes')

test('without a second store, the tests of two processes say what they need', async () => {
  assert.ok(ofProcesses.length > 10)
  for (const { run } of ofProcesses) {
    assert.match((await run(() => memoryStore())) ?? '', /a second function, which opens one more store/)
  }
})

test('the second store is opened by the tests of two processes only, after the first one', async () => {
  for (const { promise, run } of storeContract().filter(one =>
    ['creation', 'processes'].includes(one.promise),
  )) {
    const store = memoryStore()
    const opened: string[] = []
    const openAs = (name: string) => () => {
      opened.push(name)
      return store
    }
    await run(openAs('one'), openAs('another'))
    assert.deepEqual(opened, promise === 'processes' ? ['one', 'another'] : ['one'])
  }
})

test('a test of two processes that needs a method which the store lacks says so', async () => {
  const { find: _, ...store } = passingOn(memoryStore())
  const reasons = await Promise.all(
    ofProcesses.map(({ run }) =>
      run(
        () => store,
        () => store,
      ),
    ),
  )
  assert.deepEqual(reasons.filter(Boolean), ['This store has no find()'])
})
