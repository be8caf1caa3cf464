import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BSON } from 'mongodb'
import { endUser } from '../../src/cli/end.ts'
import { toldOf } from '../../src/cli/failure.ts'
import type { OpenedStore } from '../../src/cli/opened.ts'
import { targetOf } from '../../src/cli/target.ts'
import type { Store } from '../../src/store/store.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { aSession } from '../contract/records.ts'
import { altered } from '../support/watchedstore.ts'

const target = targetOf('sessions.sqlite')

/** As an operator has opened it. */
function opened(store: Store): OpenedStore {
  return {
    target,
    store,
    bson: BSON,
    userFields: async () => ['user_id'],
    countExpired: async () => 0,
    sweep: async () => 0,
    close: async () => {},
  }
}

function ended(store: Store, confirm = async (_sessions: number) => true): Promise<number> {
  return endUser(opened(store), 'ada', { confirm }).then(result => result.ended)
}

async function aStoreOf(sessions: number): Promise<Store> {
  const store = memoryStore()
  for (let n = 0; n < sessions; n++) await aSession(store, { user_id: 'ada' })
  return store
}

/** What `attempt` fails with, as an operator reads it. */
function failureOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => assert.fail('it went well'),
    error => toldOf(error, target.censor),
  )
}

/** `store`, whose search number `missed` finds nothing, as where each session is regenerated meanwhile. */
function missing(store: Store, missed: number): Store {
  let finds = 0
  return {
    ...store,
    load: id => store.load(id),
    delete: id => store.delete(id),
    find: (path, value) => store.find?.(path, ++finds === missed ? 'nobody' : value) ?? assert.fail(),
  }
}

for (const missed of [1, 2, 3]) {
  test(`sessions that search ${missed} misses, since they were just regenerated, are ended too`, async () => {
    const store = await aStoreOf(2)
    const asked: number[] = []
    const confirm = async (sessions: number) => asked.push(sessions) > 0
    assert.equal(await ended(missing(store, missed), confirm), 2)
    assert.equal(await store.count?.(), 0)
    assert.deepEqual(asked, [2])
  })
}

test('a session that cannot be ended does not keep the others, and the number ended is told', async () => {
  const store = await aStoreOf(5)
  let deletes = 0
  const failing = altered(store, name => {
    if (name === 'delete' && ++deletes === 3) throw new Error('timed out')
  })
  assert.equal(
    await failureOf(ended(failing)),
    '4 sessions of the user were ended, and for 1 more this could not be confirmed: give the command again: timed out',
  )
  assert.equal(await store.count?.(), 1)
  assert.equal(await ended(store), 1)
})

test('where the store fails between, the number ended is told', async () => {
  const store = await aStoreOf(3)
  let deletes = 0
  const failing = altered(store, name => {
    if (name === 'delete') deletes++
    if (name === 'find' && deletes > 0) throw new Error('timed out')
  })
  assert.equal(
    await failureOf(ended(failing)),
    '3 sessions of the user were ended, and whether there are more is not known: give the command again: timed out',
  )
})

test('somebody who keeps signing in does not keep the command going for ever', async () => {
  const store = await aStoreOf(1)
  const refilled = altered(store, async name => {
    if (name === 'delete') await aSession(store, { user_id: 'ada' })
  })
  assert.match(
    await failureOf(ended(refilled)),
    /^10 sessions of the user were ended, and there are always more: .* then give the command again$/,
  )
})
