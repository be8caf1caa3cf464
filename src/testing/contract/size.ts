import assert from 'node:assert/strict'
import { SessionTooLargeError, StoreUnavailableError } from '../../errors.ts'
import type { BSON } from '../../stores/bson.ts'
import type { Test } from './case.ts'
import {
  aChange,
  aRecord,
  aSession,
  fieldsOf,
  guarded,
  inAnHour,
  push,
  recordOf,
  set,
  together,
  unset,
} from './records.ts'

export function size(test: Test, { calculateObjectSize: sizeOf }: BSON): void {
  test('a change that would make the session too large is refused and writes nothing', async store => {
    const record = await aSession(store, { n: 1, list: ['x'.repeat(900)] })
    for (const operation of [set('text', 'x'.repeat(200)), push('list', 'x'.repeat(200))]) {
      const change = { ...aChange(set('n', 2), operation), expires: inAnHour(), maxSize: 1000 }
      await assert.rejects(store.update(record.id, change), SessionTooLargeError)
      const answer = { paths: ['n'], when: 'after' } as const
      await assert.rejects(store.update(record.id, change, answer), SessionTooLargeError)
    }
    assert.deepEqual(await store.load(record.id), record)
  })

  test('a change of more bytes than can be encoded is refused as too large, and writes nothing', async store => {
    const record = await aSession(store, { n: 1, list: ['x'] })
    // The last one does not fit, and nothing follows it; or much does.
    for (const count of [17, 20]) {
      const megabytes = Array.from({ length: count }, () => 'x'.repeat(2 ** 20))
      for (const operation of [push('list', ...megabytes), set('big', megabytes)]) {
        const change = { ...aChange(set('n', 2), operation), maxSize: 15 * 2 ** 20 }
        await assert.rejects(store.update(record.id, change), SessionTooLargeError)
      }
    }
    assert.deepEqual(await store.load(record.id), record)
  })

  test('neither guards that hold nor a revision that fits make a session larger than it may be', async store => {
    const record = await aSession(store, { n: 1 })
    const tooLarge = {
      ...guarded({ path: 'n', comparator: '=', arg: 1 }, set('n', 'x'.repeat(500))),
      maxSize: 100,
    }
    for (const change of [tooLarge, { ...tooLarge, rev: 1 }, { ...tooLarge, guards: [], rev: 1 }]) {
      await assert.rejects(store.update(record.id, change), SessionTooLargeError)
      const answer = { paths: ['n'], when: 'before' } as const
      await assert.rejects(store.update(record.id, change, answer), SessionTooLargeError)
    }
    assert.deepEqual(await store.load(record.id), record)
  })

  test('a session may become as large as it may be, to the byte', async store => {
    const before = { text: 'x' }
    const numbers = Array.from({ length: 100 }, (_, index) => index / 3)
    for (const more of ['y'.repeat(500), numbers, 5, 0.5, new Date(0), true, null, { deep: {} }]) {
      const after = { text: 'x', more }
      const { id } = await aSession(store, before)
      const change = aChange(set('more', more))
      const tooSmall = { ...change, maxSize: sizeOf(after) - 1 }
      await assert.rejects(store.update(id, tooSmall), SessionTooLargeError)
      assert.deepEqual(await store.update(id, { ...change, maxSize: sizeOf(after) }), {})
      assert.deepEqual(await fieldsOf(store, id), after)
    }
  })

  test('what makes a session no larger always works, however large it is', async store => {
    const { id } = await aSession(store, { big: 'x'.repeat(5000), list: [1, 2], n: 1 })
    const operations = [set('n', 2), set('big', 'y'.repeat(5000)), set('big', 'z'), unset('n'), unset('list')]
    for (const [index, operation] of operations.entries()) {
      assert.deepEqual(await store.update(id, { ...aChange(operation), maxSize: 10 }), {})
      assert.equal((await recordOf(store, id)).rev, index + 2)
    }
    assert.deepEqual(await fieldsOf(store, id), { big: 'z' })
  })

  test('a session that is not there, or whose guard does not hold, is not too large', async store => {
    const { id } = await aSession(store, { n: 1 })
    const guard = { path: 'n', comparator: '>', arg: 1 } as const
    const tooLarge = { ...guarded(guard, set('text', 'x'.repeat(500))), maxSize: 100 }
    assert.equal(await store.update(id, tooLarge), 'refused')
    assert.equal(await store.update(aRecord().id, tooLarge), 'absent')
    await store.end(id, { ended: new Date() }, inAnHour())
    assert.equal(await store.update(id, tooLarge), 'ended')
  })

  test('of hundreds who would fill a session at once none makes it too large', async store => {
    const maxSize = 5000
    const { id } = await aSession(store, { list: [] })
    const outcomes = await together(200, async index => {
      const change = { ...aChange(push('list', `${index}`.padEnd(100))), maxSize }
      return store.update(id, change).catch(error => {
        // A store that compares and sets may give up where so many meet.
        const isHarmless = error instanceof StoreUnavailableError && error.outcome === 'none'
        assert.ok(isHarmless || error instanceof SessionTooLargeError, String(error))
        return undefined
      })
    })
    const fields = await fieldsOf(store, id)
    assert.equal((fields.list as unknown[]).length, outcomes.filter(Boolean).length)
    assert.ok(sizeOf(fields) <= maxSize)
  })
}
