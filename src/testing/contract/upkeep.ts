import assert from 'node:assert/strict'
import type { Test } from './case.ts'
import { aSession } from './records.ts'

export function upkeep(test: Test): void {
  test('indexes may be prepared every time, by all at once, and leave the sessions alone', async store => {
    await store.ensureIndex?.()
    const record = await aSession(store, { user: 'ada' })
    await store.ensureIndex?.()
    await Promise.all(Array.from({ length: 5 }, () => store.ensureIndex?.()))
    assert.deepEqual(await store.load(record.id), record)
  })

  test('a store is closed once its work is done', async store => {
    await aSession(store)
    assert.equal(await store.close?.(), undefined)
  })
}
