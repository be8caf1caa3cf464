import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import type { Collection } from 'mongodb'
import type { SessionRecord } from '../../../src/store/record.ts'
import type { MongoDBCollection } from '../../../src/stores/mongodb/collection.ts'
import { mongoStore } from '../../../src/stores/mongodb/store.ts'
import { storeContract } from '../../contract/index.ts'
import { aChange, aSession, fieldsOf, inc, together } from '../../contract/records.ts'
import { aCollection, theClient, withoutShards } from '../../support/mongodb/collection.ts'

/** By the key that docs/stores/mongodb.md names: hashed, so that sessions are on every shard from the first on. */
async function aShardedCollection(t: TestContext): Promise<Collection<{ _id: string }>> {
  const collection = aCollection<{ _id: string }>(t)
  await theClient()
    .db('admin')
    .command({ shardCollection: collection.namespace, key: { _id: 'hashed' } })
  return collection
}

function storeOf(collection: Collection<{ _id: string }>) {
  return mongoStore({ collection: collection as MongoDBCollection })
}

suite('on a sharded cluster', { skip: withoutShards }, () => {
  storeContract(async t => {
    const collection = await aShardedCollection(t)
    return () => storeOf(collection)
  })

  test('sessions are on every shard, and each change finds its own', async t => {
    const collection = await aShardedCollection(t)
    const store = storeOf(collection)
    await store.ensureIndex?.()
    const sessions = await together(100, () => aSession(store, { n: 0 }))
    const [{ shards } = assert.fail()] = await collection
      .aggregate<{ shards: number }>([{ $collStats: { count: {} } }, { $count: 'shards' }])
      .toArray()
    assert.ok(shards > 1, `${shards} shards`)
    await together(100, async index => {
      const { id } = sessions[index] as SessionRecord
      await store.update(id, aChange(inc('n')))
      assert.deepEqual(await fieldsOf(store, id), { n: 1 })
    })
  })
})
