import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Collection, MongoClient, type MongoClientOptions } from 'mongodb'
import { type MongoDBCollection, mongoStore } from '../../../src/index.ts'
import { anApp } from '../../support/app.ts'

/** What the process is warned of while the test runs. */
function warnings(t: TestContext): string[] {
  const messages: string[] = []
  t.mock.method(process, 'emitWarning', (message: string, type: string) => {
    assert.equal(type, 'SessionWarning')
    messages.push(message)
  })
  return messages
}

/** Of a server that nobody asks. */
function collectionOf(options: MongoClientOptions): Collection {
  return new MongoClient('mongodb://127.0.0.1:1', options).db('tests').collection('sessions')
}

const within = { serverSelectionTimeoutMS: 2000, connectTimeoutMS: 2000, waitQueueTimeoutMS: 2000 }

test('who leaves the driver’s own limits is warned once, and told what to set', async t => {
  const told = warnings(t)
  const collection = collectionOf({})
  for (let time = 0; time < 2; time++) {
    const { sessions } = await anApp(t, { timeout: '2s' }, () => 'plain')
    sessions.collection = collection as MongoDBCollection
  }
  const [warning = '', ...others] = told
  assert.deepEqual(others, [])
  assert.match(warning, /serverSelectionTimeoutMS \(30000 ms\)/)
  assert.match(warning, /connectTimeoutMS \(30000 ms\)/)
  assert.match(warning, /waitQueueTimeoutMS \(no limit\)/)
  assert.match(warning, /at most 2000/)
})

for (const [name, ms] of [
  ['serverSelectionTimeoutMS', 2001],
  ['connectTimeoutMS', 30_000],
  ['waitQueueTimeoutMS', 0],
] as const) {
  test(`a client that waits longer than the timeout is warned of: ${name}`, async t => {
    const told = warnings(t)
    const { sessions } = await anApp(t, { timeout: '2s' }, () => 'plain')
    sessions.collection = Promise.resolve(collectionOf({ ...within, [name]: ms }) as MongoDBCollection)
    await sessions.store
    assert.equal(told.length, 1)
    assert.ok(told[0]?.includes(`${name} (`))
    for (const other of Object.keys(within)) assert.equal(told[0]?.includes(`${other} (`), other === name)
  })
}

test('who sets the driver’s limits to the timeout is not warned, however the store comes', async t => {
  const told = warnings(t)
  const collection = collectionOf(within) as MongoDBCollection
  const { sessions } = await anApp(t, { timeout: '2s' }, () => 'plain')
  sessions.collection = collection
  sessions.store = mongoStore({ collection })
  sessions.collection = async () => collection
  await sessions.store
  assert.deepEqual(told, [])
})

test('what does not tell its limits is not warned of', async t => {
  const told = warnings(t)
  const collection = new Proxy(collectionOf({}) as MongoDBCollection, {
    get: (target, name) => (name === 'db' || name === 'client' ? undefined : Reflect.get(target, name)),
  })
  const { sessions } = await anApp(t, {}, () => 'plain')
  sessions.collection = collection
  assert.deepEqual(told, [])
})
