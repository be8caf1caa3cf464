import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OpenStore } from './open.ts'
import { aSession } from './records.ts'

export function upkeep(open: OpenStore): void {
  test('indexes may be prepared every time, by all at once, and leave the sessions alone', async t => {
    const store = await open(t)
    await store.ensureIndex?.()
    const record = await aSession(store, { user: 'ada' })
    await store.ensureIndex?.()
    await Promise.all(Array.from({ length: 5 }, () => store.ensureIndex?.()))
    assert.deepEqual(await store.load(record.id), record)
  })

  test('a store is closed once its work is done', async t => {
    const store = await open(t)
    await aSession(store)
    assert.equal(await store.close?.(), undefined)
  })
}
