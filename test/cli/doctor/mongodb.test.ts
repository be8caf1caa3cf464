import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import type { Collection, Document } from 'mongodb'
import { connectionFound } from '../../../src/cli/mongodb/diagnosis.ts'
import { idOf, newSecret } from '../../../src/ids.ts'
import { mongoStore } from '../../../src/index.ts'
import { aSession } from '../../contract/records.ts'
import { aCollection, withoutMongoDB } from '../../support/mongodb/collection.ts'
import { assertFound, assertWell, diagnosed, of } from '../diagnosed.ts'
import { mongodbAddress } from '../places.ts'

const HOUR = 3_600_000

function withOptions(options: string): string {
  const address = mongodbAddress()
  return `${address}${address.includes('?') ? '&' : '?'}${options}`
}

const right = withOptions('serverSelectionTimeoutMS=5000&connectTimeoutMS=5000&waitQueueTimeoutMS=5000')

/** A collection that is set up as it should be, with a session. */
async function aRightOne(t: TestContext): Promise<Collection<Document & { _id: string }>> {
  const collection = aCollection<Document & { _id: string }>(t)
  const store = mongoStore({ collection })
  await store.ensureIndex?.('user_id')
  await aSession(store, { user_id: 'ada' })
  return collection
}

function named({ collectionName }: Pick<Collection, 'collectionName'>, address = right): string[] {
  return [address, '--collection', collectionName, '--field', 'user_id']
}

suite('in MongoDB the doctor', { skip: withoutMongoDB }, () => {
  test('finds nothing wrong where all is right', async t => {
    assertWell(await diagnosed(...named(await aRightOne(t))), 'replicas')
  })

  test('finds that nothing answers', async () => {
    const findings = await diagnosed('mongodb://127.0.0.1:1/shop')
    assertFound(findings, 'connection', 'error', /ECONNREFUSED/)
    assert.equal(findings.length, 1)
  })

  test('finds a secondary, and a server that is too old to measure sessions', () => {
    const secondary = JSON.stringify(connectionFound('7.0.14', { isWritablePrimary: false, secondary: true }))
    assert.match(secondary, /leads to a secondary/)
    assert.match(JSON.stringify(connectionFound('4.2.0', { ismaster: true })), /maxSize has no effect/)
    assert.equal(connectionFound('4.4.0', { ismaster: true }), 'MongoDB 4.4.0')
  })

  test('finds a collection without sessions beside the one that has them', async t => {
    const { collectionName } = await aRightOne(t)
    const findings = await diagnosed(right, '--collection', 'sesions')
    assertFound(findings, 'names', 'warning', new RegExp(`but in .*${collectionName}`))
  })

  test('finds that indexes are missing', async t => {
    const collection = await aRightOne(t)
    await collection.dropIndexes()
    const findings = await diagnosed(...named(collection))
    assertFound(findings, 'indexes', 'warning', /no TTL index on expires/)
    assertFound(findings, 'indexes', 'warning', /no index on data\.user_id/)
  })

  test('finds an index that removes sessions too late', async t => {
    const collection = aCollection(t)
    await collection.createIndex({ expires: 1 }, { expireAfterSeconds: 3600 })
    assertFound(await diagnosed(...named(collection)), 'indexes', 'warning', /expireAfterSeconds 3600/)
  })

  test('finds changes that are not acknowledged, or not by a majority', async t => {
    const collection = await aRightOne(t)
    for (const [options, severity, message] of [
      ['w=0', 'error', /w: 0/],
      ['w=1', 'warning', /w: 1/],
      ['journal=false', 'warning', /journal=false/],
      ['retryWrites=false', 'warning', /retryWrites=false/],
    ] as const) {
      const findings = await diagnosed(...named(collection, withOptions(options)))
      assertFound(findings, 'durability', severity, message)
    }
  })

  test('finds a driver that waits longer than visitors', async t => {
    const collection = await aRightOne(t)
    const findings = await diagnosed(...named(collection, mongodbAddress()))
    assertFound(
      findings,
      'waits',
      'warning',
      /serverSelectionTimeoutMS \(30000 ms\).*waitQueueTimeoutMS \(no limit\)/,
    )
    const patient = await diagnosed(...named(collection), '--timeout', '1s')
    assertFound(patient, 'waits', 'warning', /timeout of 1000 ms/)
    assertWell(await diagnosed(...named(collection, mongodbAddress()), '--skip', 'waits'), 'replicas')
  })

  test('finds clocks that differ', async t => {
    const collection = await aRightOne(t)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + HOUR })
    // This machine's clock stands still meanwhile.
    assertFound(await diagnosed(...named(collection)), 'clock', 'error', /3(?:600|5\d\d)\.\d s behind/)
  })

  test('finds expired sessions that nobody removes', async t => {
    const collection = await aRightOne(t)
    // The server would remove it now and then.
    await collection.dropIndex('expires_1')
    const store = mongoStore({ collection })
    await aSession(store, {}, { expires: new Date(Date.now() - HOUR) })
    assertFound(await diagnosed(...named(collection)), 'expired', 'warning', /^Expired sessions .*: 1/)
  })

  test('finds records that are none of ours, of an unknown version, or altered', async t => {
    const collection = await aRightOne(t)
    const expires = new Date(Date.now() + HOUR)
    await collection.insertOne({ _id: 'a', session: {} })
    await collection.insertOne({ _id: idOf(newSecret()), v: 3, expires, rev: 1, data: {} })
    await collection.insertOne({ _id: idOf(newSecret()), v: 2, expires, rev: 'many', data: [] })
    const findings = of(await diagnosed(...named(collection)), 'records')
    assertFound(findings, 'records', 'warning', /^Documents in .* no sessions of this library: 1/)
    assertFound(findings, 'records', 'error', /^Documents in .* does not know: 1/)
    assertFound(findings, 'records', 'warning', /^Documents in .* altered.*: 1/)
  })
})
