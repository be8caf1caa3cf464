import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type BSONSerializeOptions,
  type Collection,
  Long,
  MongoClient,
  type MongoClientOptions,
} from 'mongodb'
import { ConfigurationError, type MongoDBCollection, mongoStore, type Store } from '../../../src/index.ts'
import { aChange, aRecord, aSession, fieldsOf, inc, set, together } from '../../contract/records.ts'
import { anApp } from '../../support/app.ts'
import { aCollection, theClient, withoutMongoDB } from '../../support/mongodb/collection.ts'

/** Of a server that nobody asks. */
function clientWith(options: MongoClientOptions = {}): MongoClient {
  return new MongoClient('mongodb://127.0.0.1:1', options)
}

const changing: [option: string, options: BSONSerializeOptions][] = [
  ['raw: true', { raw: true }],
  ['promoteValues: false', { promoteValues: false }],
  ['promoteLongs: false', { promoteLongs: false }],
  ['promoteBuffers: true', { promoteBuffers: true }],
  ['useBigInt64: true', { useBigInt64: true }],
  ['fieldsAsRaw', { fieldsAsRaw: { data: true } }],
]

for (const [option, options] of changing) {
  test(`a collection under whose options values would come back otherwise is refused at once: ${option}`, async t => {
    const { sessions } = await anApp(t, {}, () => 'plain')
    for (const collection of [
      clientWith(options).db('tests').collection('sessions'),
      clientWith().db('tests').collection('sessions', options),
    ]) {
      const isRefused = (error: Error) => {
        assert.ok(error instanceof ConfigurationError)
        assert.ok(error.message.startsWith(`collection has ${option}, `), error.message)
        return true
      }
      assert.throws(() => {
        sessions.collection = collection
      }, isRefused)
      assert.throws(() => mongoStore({ collection }), isRefused)
    }
    const allowed = clientWith(options).db('tests').collection('sessions', {
      raw: false,
      promoteValues: true,
      promoteLongs: true,
      promoteBuffers: false,
      useBigInt64: false,
      fieldsAsRaw: {},
    })
    assert.ok(mongoStore({ collection: allowed }))
  })
}

test('options of the driver that change nothing of what comes back are left to the app', {
  skip: withoutMongoDB,
}, async t => {
  const options = {
    bsonRegExp: true,
    ignoreUndefined: true,
    serializeFunctions: true,
    enableUtf8Validation: false,
  }
  const collection = theClient().db('tests').collection(aCollection(t).collectionName, options)
  const store = mongoStore({ collection })
  const { id } = await aSession(store, { n: 1, big: Long.fromString('9007199254740993') })
  assert.deepEqual(await fieldsOf(store, id), { n: 1, big: Long.fromString('9007199254740993') })
})

test('a driver older than version 6 is refused at once, in whatever it tells of itself', () => {
  const client = (version: string) => ({
    options: { metadata: { driver: { name: 'nodejs|Mongoose', version } } },
  })
  const told = (members: object) => ({ findOneAndUpdate: async () => null, ...members }) as never
  for (const old of [
    told({ client: client('5.9.2|7.6.0') }),
    told({ db: { client: client('5.9.2') } }),
    told({ s: { db: { s: { client: client('4.17.2') } } } }),
  ]) {
    assert.throws(() => mongoStore({ collection: old }), {
      name: 'ConfigurationError',
      message: /of version [45]\..* of the mongodb driver: version 6 or newer is needed$/,
    })
  }
  for (const fine of [
    told({}),
    told({ client: client('6.0.0|8.1.0') }),
    told({ client: client('10.1.0') }),
  ]) {
    assert.ok(mongoStore({ collection: fine }))
  }
})

/** What each call of a store has to do with the answers of a collection. */
const readingCalls: [name: string, call: (store: Store, id: string) => Promise<unknown>][] = [
  ['load', (store, id) => store.load(id)],
  ['read', (store, id) => store.read(id, ['n'])],
  ['loads at once', (store, id) => together(20, index => store.load(index === 7 ? id : aRecord().id))],
  ['update', (store, id) => store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' })],
  ['update that does not apply', (store, id) => store.update(id, { ...aChange(set('n', 1)), rev: 99 })],
  [
    'find',
    async store => {
      for await (const _ of store.find?.('user', 'ada') ?? []);
    },
  ],
]

/** Hides what the collection tells of its options, as some wrapper may. */
function hiding(collection: Collection): MongoDBCollection {
  return new Proxy(collection, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target)
      if (name === 'bsonOptions') return undefined
      return typeof member === 'function' ? member.bind(target) : member
    },
  }) as MongoDBCollection
}

for (const options of [{ raw: true }, { promoteValues: false }]) {
  for (const [name, call] of readingCalls) {
    const title = `a collection that answers otherwise makes no stranger of a visitor: ${Object.keys(options)}, ${name}`
    test(title, { skip: withoutMongoDB }, async t => {
      const collection = aCollection(t)
      const sound = mongoStore({ collection })
      const { id } = await aSession(sound, { user: 'ada', n: 1 })
      const odd = theClient().db('tests').collection(collection.collectionName, options)
      await assert.rejects(call(mongoStore({ collection: hiding(odd) }), id), {
        name: 'ConfigurationError',
        message: /^collection has options \(raw, promoteValues\)/,
      })
    })
  }
}

test('a driver that answers with more than the document is found out', { skip: withoutMongoDB }, async t => {
  const collection = aCollection(t)
  const { id } = await aSession(mongoStore({ collection }), { n: 1 })
  // As drivers older than version 5.7 do, whatever is asked of them.
  const old = Object.assign(Object.create(collection), {
    findOneAndUpdate: (filter: object, update: object, options: object) =>
      collection.findOneAndUpdate(filter, update, { ...options, includeResultMetadata: true }),
  })
  const store = mongoStore({ collection: old })
  await assert.rejects(store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' }), {
    name: 'ConfigurationError',
    message: /version 6 or newer/,
  })
})
