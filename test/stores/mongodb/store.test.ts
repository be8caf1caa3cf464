import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  Binary,
  BSON,
  type Collection,
  type Document,
  MongoClient,
  MongoNetworkError,
  MongoServerError,
} from 'mongodb'
import { CommandError, ConfigurationError, IdTakenError, StoreUnavailableError } from '../../../src/errors.ts'
import type { SessionId } from '../../../src/ids.ts'
import type { Change, Operation } from '../../../src/language/change.ts'
import type { Store } from '../../../src/store/store.ts'
import type { MongoDBCollection } from '../../../src/stores/mongodb/collection.ts'
import { mongoStore } from '../../../src/stores/mongodb/store.ts'
import { alterations } from '../../contract/alterations.ts'
import { storeContract } from '../../contract/index.ts'
import {
  aChange,
  anEndedSession,
  aRecord,
  aSecondAgo,
  aSession,
  fieldsOf,
  guarded,
  inAnHour,
  inc,
  push,
  set,
  together,
  unset,
} from '../../contract/records.ts'
import {
  aCollection,
  commandsOf,
  type SentCommand,
  type SentCommands,
  theClient,
  withoutMongoDB,
  withoutRealMongoDB,
  withoutSoundEvents,
} from '../../support/mongodb/collection.ts'
import { aProxy } from '../../support/mongodb/proxy.ts'
import { assertStable } from '../../support/mongodb/stableapi.ts'
import { type Alter, altering } from '../../support/mongodb/wire.ts'
import { otherObjectId } from '../../support/otherbson.ts'

type Sessions = Collection<{ _id: string }>

interface Opened {
  readonly store: Store
  readonly collection: Sessions
  readonly sent: SentCommands
}

/**
 * Each test, the contract's too, ends by making sure that none of its commands could have stored a session anew, and that
 * each is one that the strict Stable API takes.
 */
function opened(t: TestContext): Opened {
  const collection = aCollection<{ _id: string }>(t)
  const sent = commandsOf(t, theClient(), collection)
  t.after(() => {
    for (const command of sent.all) {
      assertNoUpsert(command)
      assertStable(command)
    }
  })
  return { store: storeOf(collection), collection, sent }
}

/** The collection, some of whose members are others. */
function withMembers(collection: Sessions, members: object): Sessions {
  return Object.assign(Object.create(collection), members)
}

async function indexNames(collection: Sessions): Promise<unknown[]> {
  return (await collection.indexes()).map(({ name }) => name).sort()
}

function storeOf(collection: Sessions): Store {
  // The driver's types ask for a document of the collection's type; the store writes its own.
  return mongoStore({ collection: collection as MongoDBCollection })
}

function assertNoUpsert({ name, command }: SentCommand): void {
  const parts: Document[] = [command, ...((command.updates as Document[] | undefined) ?? [])]
  assert.ok(
    parts.every(part => !part.upsert),
    `${name} stores what is not there`,
  )
}

/** What somebody has stored without us. */
async function byHand(collection: Sessions, document: Document): Promise<SessionId> {
  const { id } = aRecord()
  await collection.insertOne({ _id: id, ...document })
  return id
}

/** What mongo-java-server does otherwise than MongoDB, by how the titles of the contract's tests end. */
const otherwise = [
  ': push before the beginning',
  ': addToSet of a bigint',
  ': pullAll of objects, which differ by the order of their keys',
  'inc beyond 64 bits',
  'mul beyond 64 bits',
  'together make a session larger than it may be',
]

const everyCall: [name: string, outcome: 'none' | 'unknown', call: (store: Store) => Promise<unknown>][] = [
  ['insert', 'unknown', store => store.insert(aRecord())],
  ['load', 'none', store => store.load('id')],
  ['read', 'none', store => store.read('id', ['a'])],
  ['update', 'unknown', store => store.update('id', aChange(set('a', 1)))],
  [
    'update with an answer',
    'unknown',
    store => store.update('id', aChange(set('a', 1)), { paths: ['a'], when: 'after' }),
  ],
  ['end', 'unknown', store => store.end('id', { ended: new Date() }, inAnHour())],
  ['delete', 'unknown', store => store.delete('id')],
  [
    'find',
    'none',
    async store => {
      for await (const _ of store.find?.('a', 1) ?? []);
    },
  ],
]

function isUnavailable(outcome: 'none' | 'unknown'): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof StoreUnavailableError, `not a StoreUnavailableError: ${String(error)}`)
    assert.equal(error.outcome, outcome)
    assert.ok(error.cause instanceof Error && error.cause.name.startsWith('Mongo'))
    return true
  }
}

test('what is no collection is refused at once', () => {
  for (const collection of [undefined, null, {}, 'sessions']) {
    assert.throws(() => mongoStore({ collection: collection as never }), ConfigurationError)
  }
})

test('a collection that acknowledges nothing is refused at once', async () => {
  const client = new MongoClient('mongodb://127.0.0.1:1')
  for (const collection of [
    client.db('tests').collection('sessions', { writeConcern: { w: 0 } }),
    client.db('tests', { writeConcern: { w: 0 } }).collection('sessions'),
  ]) {
    assert.throws(
      () => mongoStore({ collection }),
      (error: Error) => {
        assert.ok(error instanceof ConfigurationError)
        assert.match(error.message, /w: 0/)
        return true
      },
    )
  }
  await client.close()
})

test('a server that cannot be reached is reported, and that nothing was written', async t => {
  const client = new MongoClient('mongodb://127.0.0.1:1', { serverSelectionTimeoutMS: 100 })
  t.after(() => client.close())
  const store = mongoStore({ collection: client.db('tests').collection('sessions') })
  await Promise.all(everyCall.map(([, , call]) => assert.rejects(call(store), isUnavailable('none'))))
  // Of so many most go together.
  const change = aChange(set('a', 1))
  await together(20, index => assert.rejects(store.update(`id ${index}`, change), isUnavailable('none')))
  await assert.rejects(async () => store.ensureIndex?.(), StoreUnavailableError)
})

if (withoutMongoDB) {
  test("MongoDB keeps every store's promises", { skip: withoutMongoDB })
} else {
  storeContract(
    async t => {
      const { collection } = opened(t)
      return () => storeOf(collection)
    },
    {
      reason: withoutRealMongoDB,
      isExcused: ({ promise, title }) =>
        promise === 'size' || otherwise.some(result => title.endsWith(result)),
    },
  )
  alterations(async t => {
    const { store, collection } = opened(t)
    return {
      store,
      async alter(id, part, value) {
        await collection.updateOne(
          { _id: id },
          value === undefined ? { $unset: { [part]: '' } } : { $set: { [part]: value } },
        )
      },
      seen: id => collection.findOne({ _id: id }),
    }
  })
}

test('a record can be read in the database', { skip: withoutMongoDB }, async t => {
  const { store, collection } = opened(t)
  const { id, fields, ...rest } = await aSession(store, { user: 'ada' }, { absolute: inAnHour() })
  assert.deepEqual(await collection.findOne({ _id: id }), { _id: id, v: 2, ...rest, data: fields })
  const until = inAnHour()
  await store.end(id, { ended: new Date(1), next: 'nonce' }, until)
  assert.deepEqual(await collection.findOne({ _id: id }), {
    _id: id,
    v: -2,
    expires: until,
    ended: new Date(1),
    next: 'nonce',
  })
})

test('bytes keep their kind', { skip: withoutRealMongoDB }, async t => {
  const { store } = opened(t)
  const bytes = new Binary(Buffer.from([1, 2]), 128)
  const { id } = await aSession(store, { bytes })
  assert.deepEqual(await fieldsOf(store, id), { bytes })
})

test('each call that finds its session is one command', { skip: withoutMongoDB }, async t => {
  const { store, sent } = opened(t)
  const record = aRecord({ n: 1, cart: { items: [1] } }, { absolute: inAnHour() })
  const { id } = record
  const change: Change = {
    ...guarded({ path: 'n', comparator: '>=', arg: 1 }, inc('n'), push('cart.items', 2)),
    expires: inAnHour(),
    maxAge: 5,
  }
  const calls: [name: string, call: () => Promise<unknown>, ...commands: string[]][] = [
    ['insert', () => store.insert(record), 'insert'],
    ['load', () => store.load(id), 'find'],
    ['read', () => store.read(id, ['n', 'cart.items.0']), 'find'],
    ['update', () => store.update(id, change), 'update'],
    ['after', () => store.update(id, change, { paths: ['n'], when: 'after' }), 'findAndModify'],
    ['before', () => store.update(id, change, { paths: ['n'], when: 'before' }), 'findAndModify'],
    ['end at another revision', () => store.end(id, { ended: new Date() }, inAnHour(), 9), 'update'],
    ['end', () => store.end(id, { ended: new Date() }, inAnHour(), 4), 'update'],
    ['load of the ended', () => store.load(id), 'find'],
    ['end again', () => store.end(id, { ended: new Date() }, inAnHour()), 'update'],
    ['delete', () => store.delete(id), 'delete'],
    ['load of none', () => store.load(id), 'find'],
    ['read of none', () => store.read(id, ['n']), 'find'],
    // Why nothing was changed is asked only then.
    ['update of none', () => store.update(id, change), 'update', 'find'],
  ]
  for (const [name, call, ...commands] of calls) {
    sent.clear()
    await call()
    assert.deepEqual(sent.names(), commands, name)
  }
})

test('a change sends and asks back no more than it names', { skip: withoutMongoDB }, async t => {
  const { store, sent } = opened(t)
  const { id } = await aSession(store, { big: 'x'.repeat(64 * 1024), n: 1 })
  sent.clear()
  await store.update(id, aChange(inc('n')), { paths: ['n'], when: 'after' })
  const [{ command } = assert.fail('nothing was sent')] = sent.all
  assert.deepEqual(command.update, { $inc: { rev: 1, 'data.n': 1 } })
  assert.deepEqual(command.fields, { _id: 0, rev: 1, 'data.n': 1 })
  assert.equal(command.new, true)
})

test('no command stores a session that is not there', { skip: withoutMongoDB }, async t => {
  const { store, collection, sent } = opened(t)
  const { id } = aRecord()
  const ended = await anEndedSession(store)
  const expired = await aSession(store, {}, { expires: aSecondAgo() })
  const before = await collection.find().toArray()
  sent.clear()
  for (const gone of [id, ended.id, expired.id]) {
    for (const operation of [set('a', 1), unset('a'), inc('a'), push('a', 1)]) {
      const touch = { ...aChange(operation), expires: inAnHour(), maxAge: 5 }
      await store.update(gone, touch)
      await store.update(gone, touch, { paths: ['a'], when: 'after' })
    }
    await store.end(gone, { ended: new Date() }, inAnHour())
  }
  assert.ok(sent.all.some(({ name }) => name === 'update'))
  assert.ok(sent.all.some(({ name }) => name === 'findAndModify'))
  for (const command of sent.all) assertNoUpsert(command)
  assert.deepEqual(await collection.find().toArray(), before)
})

test('a duplicate id is told from other errors', { skip: withoutMongoDB }, async t => {
  const { store } = opened(t)
  const record = await aSession(store)
  await assert.rejects(store.insert(record), (error: Error) => {
    assert.ok(error instanceof IdTakenError)
    assert.equal((error.cause as { code?: unknown }).code, 11000)
    return true
  })
})

test('a unique index of somebody’s own is not taken for a duplicate id', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection } = opened(t)
  await collection.createIndex({ 'data.user': 1 }, { unique: true })
  await aSession(store, { user: 'ada' })
  await assert.rejects(store.insert(aRecord({ user: 'ada' })), CommandError)
})

test('what the server refuses is explained without what is stored', { skip: withoutMongoDB }, async t => {
  const { store } = opened(t)
  const { id } = await aSession(store, { name: 'hush-hush', prefs: { lang: 'hush-hush' } })
  const refusals = [
    [inc('name'), 'name', /^\$inc needs a number at "name", which is of type string$/],
    [push('prefs', 1), 'prefs', /^\$push needs an array at "prefs", which is of type Object$/],
    [set('prefs.lang.en', 1), 'prefs.lang.en', /^"prefs\.lang\.en" leads nowhere: "prefs\.lang" is of type/],
  ] as const
  for (const [operation, path, message] of refusals) {
    await assert.rejects(store.update(id, aChange(set('other', 1), operation)), (error: Error) => {
      assert.ok(error instanceof CommandError)
      assert.equal(error.path, path)
      assert.match(error.message, message)
      assert.equal((error.cause as Error).name, 'MongoServerError')
      return true
    })
  }
  assert.deepEqual(await fieldsOf(store, id), { name: 'hush-hush', prefs: { lang: 'hush-hush' } })
})

test('an answer that is lost leaves open whether a change was applied', { skip: withoutMongoDB }, async t => {
  const { store, collection } = opened(t)
  const { id } = await aSession(store, { n: 1 })
  const { proxy, behind } = await aProxy(t)
  const cut = storeOf(behind(collection))
  assert.deepEqual(await cut.update(id, aChange(inc('n'))), {})
  proxy.cutAnswersAfter(0)
  await assert.rejects(cut.update(id, aChange(inc('n'))), isUnavailable('unknown'))
  const { n } = await fieldsOf(store, id)
  assert.ok(n === 2 || n === 3, 'it was applied twice')
})

for (const [name, outcome, call] of everyCall) {
  const title = `a lost answer is reported with what is known of the call: ${name} (${outcome})`
  test(title, { skip: withoutMongoDB }, async t => {
    const { collection } = opened(t)
    const { proxy, behind } = await aProxy(t)
    const cut = behind(collection)
    await cut.findOne()
    proxy.cutAnswersAfter(0)
    await assert.rejects(call(storeOf(cut)), isUnavailable(outcome))
  })
}

test('a client that was closed is reported as a server that is not there', {
  skip: withoutMongoDB,
}, async t => {
  const { collection } = opened(t)
  const { client, behind } = await aProxy(t)
  const closed = behind(collection)
  await closed.findOne()
  await client.close()
  // The driver connects a closed client again, or says that it is closed.
  for (const [, , call] of everyCall) {
    await call(storeOf(closed)).catch(error => assert.ok(isUnavailable('none')(error)))
  }
})

const lives = { created: new Date(), expires: inAnHour(), maxAge: 1000, rev: 1, data: { a: 1 } }

const foreign: [what: string, document: Document][] = [
  ['a record without a mark', lives],
  ['a record of an older form', { ...lives, v: 1 }],
  ['a record of a later form', { ...lives, v: 3 }],
  ['a record whose mark is a text', { ...lives, v: '2' }],
  ['a record whose mark is null', { ...lives, v: null }],
  ['what is left of a session, without a mark', { expires: inAnHour(), ended: new Date() }],
  ['an end that is a string', { ...lives, v: 2, expires: '2099-01-01T00:00:00.000Z' }],
  ['an end that is a number', { ...lives, v: 2, expires: 4e12 }],
  ['an end that is null', { ...lives, v: 2, expires: null }],
  ['no end', { created: new Date(), v: 2, maxAge: 1000, rev: 1, data: { a: 1 } }],
  ['nothing but junk', { a: 1, expires: inAnHour(), junk: [1, { b: null }] }],
  ["another library's session", { session: '{"cookie":{}}', expires: inAnHour() }],
]

for (const [what, document] of foreign) {
  const title = `a document that is no record of ours is no session, and is left as it is: ${what}`
  test(title, { skip: withoutMongoDB }, async t => {
    const { store, collection } = opened(t)
    const id = await byHand(collection, document)
    assert.equal(await store.load(id), undefined)
    for (const paths of [['a'], ['a.b', 'c'], []]) assert.equal(await store.read(id, paths), undefined)
    for (const operation of [set('a', 1), inc('n'), unset('a'), push('list', 1)]) {
      const change = { ...aChange(operation), expires: inAnHour(), maxAge: 5 }
      assert.equal(await store.update(id, change), 'absent')
      assert.equal(await store.update(id, change, { paths: ['a'], when: 'after' }), 'absent')
    }
    assert.equal(await store.end(id, { ended: new Date() }, inAnHour()), false)
    assert.deepEqual(await collection.findOne({ _id: id }), { _id: id, ...document })
    await assert.rejects(store.insert(aRecord({}, { id })), IdTakenError)
    await store.delete(id)
    assert.equal(await collection.findOne({ _id: id }), null)
  })
}

test('the mark says whether a session has ended, and nothing beside it', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection } = opened(t)
  const living = await byHand(collection, { ...lives, v: 2, ended: new Date(1), next: 'nonce' })
  assert.deepEqual(await store.read(living, ['a']), { rev: 1, fields: { a: 1 } })
  assert.deepEqual(await store.update(living, aChange(set('a', 2))), {})
  assert.deepEqual(await fieldsOf(store, living), { a: 2 })
  for (const ended of [new Date(1), undefined, 'yesterday', null]) {
    const id = await byHand(collection, { ...lives, v: -2, ended, next: 7 })
    const before = await collection.findOne({ _id: id })
    const tombstone = { ended: ended instanceof Date ? ended : new Date(0) }
    assert.deepEqual(await store.load(id), tombstone)
    assert.deepEqual(await store.read(id, ['a']), tombstone)
    assert.equal(await store.update(id, aChange(set('a', 2))), 'ended')
    assert.equal(await store.end(id, { ended: new Date(2) }, inAnHour()), false)
    assert.deepEqual(await collection.findOne({ _id: id }), before)
  }
})

test('keys that would act on an object are only data', { skip: withoutSoundEvents }, async t => {
  const { store, collection } = opened(t)
  const hostile =
    '{ "__proto__": { "isAdmin": true }, "constructor": { "prototype": { "isAdmin": true } }, "a": 1 }'
  const data: unknown = JSON.parse(`{ "__proto__": { "isAdmin": true }, "a": 1, "inner": ${hostile} }`)
  const id = await byHand(collection, {
    ...lives,
    v: 2,
    data,
    ...JSON.parse('{ "__proto__": { "ended": 1 } }'),
  })
  const change = aChange(inc('a'), inc('inner.a'))
  const found = [
    await fieldsOf(store, id),
    (await store.read(id, ['a', 'inner'])) as unknown,
    (await store.update(id, change, { paths: ['a', 'inner'], when: 'before' })) as unknown,
    (await store.update(id, change, { paths: ['a', 'inner'], when: 'after' })) as unknown,
  ]
  for (const object of found.flatMap(objectsIn)) {
    assert.equal(Object.getPrototypeOf(object), Object.prototype)
    assert.equal(Reflect.get(object, 'isAdmin') ?? false, Object.hasOwn(object, 'isAdmin'))
  }
  assert.equal(Reflect.get({}, 'isAdmin'), undefined)
  const { a, inner } = await fieldsOf(store, id)
  assert.deepEqual([a, (inner as { a: unknown }).a], [3, 3])
})

/** The object and all objects in it, by their own keys. */
function objectsIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  return [value, ...Object.getOwnPropertyNames(value).flatMap(key => objectsIn(ownOf(value, key)))]
}

function ownOf(object: object, key: string): unknown {
  return Object.getOwnPropertyDescriptor(object, key)?.value
}

test('an array keeps its length whatever number a path names', { skip: withoutMongoDB }, async t => {
  const { store, collection } = opened(t)
  const { id } = await aSession(store, { list: [1, 2], deep: [{ list: [1] }] })
  for (const path of [
    'list.2',
    'list.1000000',
    'list.2.a',
    'deep.0.list.1',
    'deep.1.list',
    'deep.0.list.7.a',
  ]) {
    for (const operation of [set(path, 1), inc(path), push(path, 1)]) {
      await assert.rejects(store.update(id, aChange(operation)), CommandError)
    }
  }
  for (const path of ['list.5', 'deep.3.list', 'deep.0.list.9']) {
    await store.update(id, aChange(unset(path)))
  }
  const found = await collection.findOne({ _id: id }, { projection: { _id: 0, data: 1 } })
  assert.deepEqual(found, { data: { list: [1, 2], deep: [{ list: [1] }] } })
})

test('of those who lengthen an array and name its next element at once, none pads it', {
  skip: withoutMongoDB,
}, async t => {
  const { store } = opened(t)
  const { id } = await aSession(store, { list: [] })
  await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      index % 2 === 0
        ? store.update(id, aChange(push('list', 'pushed')))
        : store.update(id, aChange(set(`list.${index}`, 'set'))).catch(error => {
            assert.ok(error instanceof CommandError, String(error))
          }),
    ),
  )
  const { list } = await fieldsOf(store, id)
  assert.equal((list as unknown[]).length, 100)
  assert.ok(!(list as unknown[]).includes(null))
})

test('an index that removes what has expired is made, once', { skip: withoutMongoDB }, async t => {
  const { store, collection, sent } = opened(t)
  await store.ensureIndex?.()
  const indexes = await collection.indexes()
  const index = indexes.find(({ key }) => key.expires)
  assert.deepEqual(index?.key, { expires: 1 })
  assert.equal(index?.expireAfterSeconds, 0)
  sent.clear()
  await store.ensureIndex?.()
  assert.deepEqual(sent.names(), ['listIndexes'])
  assert.deepEqual(await collection.indexes(), indexes)
})

for (const [what, options] of [
  ['without a time', {}],
  ['with another time', { expireAfterSeconds: 3600 }],
  ['of another name and time', { expireAfterSeconds: 3600, name: 'mine' }],
] as const) {
  const title = `an index with other options is reported and stays as it is: ${what}`
  test(title, { skip: withoutMongoDB }, async t => {
    const { store, collection, sent } = opened(t)
    await collection.createIndex({ expires: 1 }, options)
    const before = await collection.indexes()
    const record = await aSession(store)
    sent.clear()
    for (const _ of [1, 2]) {
      const failing = Promise.resolve(store.ensureIndex?.())
      await assert.rejects(failing, (error: Error) => {
        assert.ok(error instanceof ConfigurationError)
        assert.ok(error.message.includes(collection.collectionName))
        assert.match(error.message, /index on expires .* drop that index/)
        return true
      })
    }
    assert.deepEqual(sent.names(), ['aggregate', 'listIndexes', 'listIndexes'])
    assert.deepEqual(await collection.indexes(), before)
    assert.deepEqual(await store.load(record.id), record)
  })
}

test('an index that somebody else makes meanwhile is reported too', { skip: withoutMongoDB }, async t => {
  const { collection } = opened(t)
  for (const code of [85, 86]) {
    const late = new Proxy(collection, {
      get: (target, name) => {
        if (name === 'indexes') return async () => []
        if (name === 'createIndex')
          return async () => Promise.reject(Object.assign(new Error('conflict'), { code }))
        return Reflect.get(target, name)
      },
    })
    await assert.rejects(Promise.resolve(storeOf(late).ensureIndex?.()), ConfigurationError)
  }
})

test('a server that is away when indexes are to be made is reported as such, and asked again the next time', {
  skip: withoutMongoDB,
}, async t => {
  const { collection, sent } = opened(t)
  let isAway = true
  const failing = withMembers(collection, {
    aggregate: (pipeline: Document[], options: object) =>
      isAway
        ? { toArray: () => Promise.reject(new MongoNetworkError('connect ECONNREFUSED')) }
        : collection.aggregate(pipeline, options),
  })
  const store = storeOf(failing)
  await assert.rejects(Promise.resolve(store.ensureIndex?.()), (error: Error) => {
    assert.ok(isUnavailable('none')(error))
    assert.equal((error.cause as Error).message, 'connect ECONNREFUSED')
    return true
  })
  isAway = false
  await store.ensureIndex?.()
  assert.deepEqual(sent.names(), ['aggregate', 'listIndexes', 'createIndexes'])
})

test('what the server cannot tell of its abilities does not keep it from making indexes', {
  skip: withoutMongoDB,
}, async t => {
  const { collection } = opened(t)
  let asked = 0
  const failing = withMembers(collection, {
    aggregate: () => ({
      toArray() {
        asked++
        return Promise.reject(new MongoServerError({ message: 'not primary', code: 10107 }))
      },
    }),
  })
  const store = storeOf(failing)
  for (const time of [1, 2]) {
    await assert.rejects(Promise.resolve(store.ensureIndex?.('user')), isUnavailable('none'))
    assert.equal(asked, time)
  }
  assert.deepEqual(await indexNames(collection), ['_id_', 'data.user_1', 'expires_1'])
})

/** Asks a server, whose first answers are these errors, what it can; tells how often, and whether changes are measured then. */
async function learning(t: TestContext, errors: readonly object[], calls = 1) {
  const { collection } = opened(t)
  const left = [...errors]
  const told = { asked: 0, measures: false }
  const failing = withMembers(collection, {
    aggregate: () => ({
      async toArray() {
        told.asked++
        const error = left.shift()
        if (error) throw new MongoServerError(error)
        return [{ size: 5 }]
      },
    }),
    async updateOne(filter: Document) {
      told.measures = '$expr' in filter
      return { matchedCount: 1 }
    },
  })
  const store = storeOf(failing)
  for (let call = 0; call < calls; call++) await store.ensureIndex?.('user')
  await store.update('id', { ...aChange(set('a', 1)), maxSize: 100 })
  assert.deepEqual(await indexNames(collection), ['_id_', 'data.user_1', 'expires_1'])
  return told
}

test('a server whose error passes is asked again whether it measures sessions', {
  skip: withoutMongoDB,
}, async t => {
  for (const code of [1, 43, 46, 63, 70, 96, 146, 150, 175, 237, 13388, 16500]) {
    const passing = { message: 'a passing error', code }
    assert.deepEqual(await learning(t, [passing]), { asked: 2, measures: true }, `${code}`)
    const thrice = [passing, passing, passing]
    assert.deepEqual(await learning(t, thrice, 2), { asked: 4, measures: true }, `${code}`)
    assert.deepEqual(await learning(t, [...thrice, passing], 2), { asked: 4, measures: false }, `${code}`)
  }
})

test('a server that cannot measure sessions is asked once', { skip: withoutMongoDB }, async t => {
  const refusals = [59, 115, 168, 238, 303, 304, 323, 40324].map(code => ({ message: 'not supported', code }))
  for (const error of [...refusals, { message: "invalid operator '$bsonSize'", code: 15999 }]) {
    assert.deepEqual(await learning(t, [error], 2), { asked: 1, measures: false }, `${error.code}`)
  }
})

test('an index on the user’s field that is in the way is named, and sessions expire all the same', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection } = opened(t)
  await collection.createIndex({ 'data.user': 1 }, { unique: true })
  await assert.rejects(Promise.resolve(store.ensureIndex?.('user')), (error: Error) => {
    assert.ok(error instanceof ConfigurationError)
    assert.match(error.message, /index on data\.user .*\(data\.user_1\): .* drop that index/)
    assert.ok(error.message.includes(collection.collectionName))
    assert.doesNotMatch(error.message, /expires/)
    return true
  })
  assert.deepEqual(await indexNames(collection), ['_id_', 'data.user_1', 'expires_1'])
  const theirs = (await collection.indexes()).find(({ name }) => name === 'data.user_1')
  assert.equal(theirs?.unique, true)
})

for (const [what, keys, options] of [
  ['unique, of another name', { 'data.user': 1 }, { unique: true, name: 'one_per_user' }],
  ['unique, of another direction', { 'data.user': -1 }, { unique: true, name: 'one_per_user' }],
  ['one that removes sessions', { 'data.user': 1 }, { expireAfterSeconds: 60, name: 'mine' }],
] as const) {
  test(`an index on the user’s field that does harm is reported, even beside ours: ${what}`, {
    skip: withoutMongoDB,
  }, async t => {
    const { store, collection } = opened(t)
    if (what.endsWith('direction')) await store.ensureIndex?.('user')
    await collection.createIndex(keys, options)
    const before = await indexNames(collection)
    await assert.rejects(Promise.resolve(store.ensureIndex?.('user')), {
      name: 'ConfigurationError',
      message: new RegExp(
        `index on data\\.user with other options .*\\(${options.name}\\): .* drop that index`,
      ),
    })
    assert.deepEqual(await indexNames(collection), [...new Set([...before, 'expires_1'])].sort())
    await collection.dropIndex(options.name)
    await store.ensureIndex?.('user')
    assert.deepEqual(await indexNames(collection), ['_id_', 'data.user_1', 'expires_1'])
  })
}

test('an index that removes only some of the expired sessions is reported', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection } = opened(t)
  await collection.createIndex(
    { expires: 1 },
    { expireAfterSeconds: 0, partialFilterExpression: { rev: { $gt: 5 } } },
  )
  await assert.rejects(Promise.resolve(store.ensureIndex?.()), {
    name: 'ConfigurationError',
    message: /index on expires with other options than .*\(expires_1\)/,
  })
})

test('an index on another field that has the name of ours is reported with its field', {
  skip: withoutMongoDB,
}, async t => {
  const { collection } = opened(t)
  await collection.createIndex({ created: 1 }, { name: 'expires_1' })
  // The Java server takes a name twice.
  const refusing = withMembers(collection, {
    createIndex(keys: object, options: object) {
      if (!('expires' in keys)) return collection.createIndex(keys as never, options)
      return Promise.reject(
        new MongoServerError({ message: 'An existing index has the same name', code: 86 }),
      )
    },
  })
  await assert.rejects(Promise.resolve(storeOf(refusing).ensureIndex?.('user')), {
    name: 'ConfigurationError',
    message:
      /an index on \{ created: 1 \} with the name that the index on expires needs \(expires_1\): .* drop/,
  })
  assert.deepEqual(await indexNames(collection), ['_id_', 'data.user_1', 'expires_1'])
})

test('an index on expires that is in the way does not keep users from being found by one, and each is told', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection } = opened(t)
  await collection.createIndex({ expires: 1 }, { name: 'mine' })
  await assert.rejects(Promise.resolve(store.ensureIndex?.('user')), (error: Error) => {
    assert.ok(error instanceof ConfigurationError)
    assert.match(error.message, /index on expires .*\(mine\)/)
    assert.doesNotMatch(error.message, /data\.user/)
    return true
  })
  assert.deepEqual(await indexNames(collection), ['_id_', 'data.user_1', 'mine'])
  await collection.dropIndex('data.user_1')
  await collection.createIndex({ 'data.user': 1 }, { unique: true })
  await assert.rejects(Promise.resolve(store.ensureIndex?.('user')), {
    name: 'ConfigurationError',
    message: /index on expires .* index on data\.user /,
  })
})

test('an index on the user’s field that somebody has made and that serves is left as it is', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection, sent } = opened(t)
  await collection.createIndex({ 'data.user': 1 }, { name: 'mine' })
  await store.ensureIndex?.('user')
  assert.deepEqual(await indexNames(collection), ['_id_', 'expires_1', 'mine'])
  sent.clear()
  await store.ensureIndex?.('user')
  assert.deepEqual(sent.names(), ['listIndexes'])
})

test('under the strict Stable API, which has no sparse indexes, all indexes are made', {
  skip: withoutMongoDB,
}, async t => {
  const { collection } = opened(t)
  const strict = withMembers(collection, {
    createIndex(keys: object, options: object) {
      if (!('sparse' in options)) return collection.createIndex(keys as never, options)
      return Promise.reject(new MongoServerError({ message: 'not in API Version 1', code: 323 }))
    },
  })
  await storeOf(strict).ensureIndex?.('user')
  assert.deepEqual(await indexNames(collection), ['_id_', 'data.user_1', 'expires_1'])
})

test('an index that the server refuses is named, and the other is made', {
  skip: withoutMongoDB,
}, async t => {
  const { collection } = opened(t)
  const refusing = withMembers(collection, {
    createIndex(keys: object, options: object) {
      if ('expires' in keys) return collection.createIndex(keys as never, options)
      return Promise.reject(new MongoServerError({ message: 'hush-hush', code: 67 }))
    },
  })
  await assert.rejects(Promise.resolve(storeOf(refusing).ensureIndex?.('user')), (error: Error) => {
    assert.ok(error instanceof ConfigurationError)
    assert.match(error.message, /refuses an index on data\.user .*\(code 67\)/)
    assert.doesNotMatch(error.message, /hush-hush/)
    return true
  })
  assert.deepEqual(await indexNames(collection), ['_id_', 'expires_1'])
})

test('MongoDB finds by the index on the user’s field, whatever is stored', {
  skip: withoutRealMongoDB,
}, async t => {
  const { store, collection } = opened(t)
  await store.ensureIndex?.('user')
  await together(20, index => aSession(store, index % 2 === 0 ? { user: `u${index}` } : {}))
  const filter = { 'data.user': { $eq: 'u2' }, expires: { $gt: new Date() }, ended: null }
  const { queryPlanner, executionStats } = await collection.find(filter as never).explain('executionStats')
  assert.match(JSON.stringify(queryPlanner.winningPlan), /"indexName":"data\.user_1"/)
  assert.equal(executionStats.totalDocsExamined, 1)
})

test('indexes on other fields are none of our business', { skip: withoutMongoDB }, async t => {
  const { store, collection } = opened(t)
  await collection.createIndex({ 'data.user': 1 })
  await collection.createIndex({ expires: 1, created: 1 })
  await store.ensureIndex?.()
  const keys = (await collection.indexes()).map(({ key }) => JSON.stringify(key))
  const expected = [{ _id: 1 }, { 'data.user': 1 }, { expires: 1, created: 1 }, { expires: 1 }]
  assert.deepEqual(keys.sort(), expected.map(key => JSON.stringify(key)).sort())
})

test('the sessions of a user are found by an index, in one command', { skip: withoutMongoDB }, async t => {
  const { store, collection, sent } = opened(t)
  assert.ok(store.find)
  await store.ensureIndex?.('user.id')
  const keys = (await collection.indexes()).map(({ key }) => Object.keys(key).join())
  assert.deepEqual(keys.sort(), ['_id', 'data.user.id', 'expires'])
  const { id } = await aSession(store, { user: { id: 7 } })
  sent.clear()
  for await (const record of store.find('user.id', 7)) assert.equal(record.id, id)
  assert.deepEqual(sent.names(), ['find'])
})

test('documents that are no records of ours are not found', { skip: withoutMongoDB }, async t => {
  const { store, collection } = opened(t)
  assert.ok(store.find)
  for (const [, document] of foreign) await byHand(collection, { ...document, data: { user: 'ada' } })
  const { id } = await aSession(store, { user: 'ada' })
  for await (const record of store.find('user', 'ada')) assert.equal(record.id, id)
})

test('a record that cannot be decoded is found with its user’s others', { skip: withoutMongoDB }, async t => {
  const { store, collection } = opened(t)
  const sessions = await together(5, index => aSession(store, { user: 'ada', index }))
  const broken = sessions[2]?.id
  // As the driver does: a projection that leaves the fields out leaves nothing that could not be decoded.
  const decoding = (read: Document | null, options?: Document) => {
    if (read?._id !== broken || options?.projection) return read
    throw new BSON.BSONError('Invalid UTF-8 string in BSON document')
  }
  const failing = Object.assign(Object.create(collection), {
    async *find(filter: object, options: object) {
      for await (const read of collection.find(filter, options)) yield decoding(read, options)
    },
    findOne: async (filter: object, options: object) =>
      decoding(await collection.findOne(filter, options), options),
  })
  const found = new Map<SessionId, unknown>()
  for await (const { id, fields } of storeOf(failing).find?.('user', 'ada') ?? []) {
    assert.ok(!found.has(id), 'it is found twice')
    found.set(id, fields)
  }
  const expected = sessions.map(({ id, fields }) => [id, id === broken ? {} : fields] as const)
  assert.deepEqual([...found].sort(), expected.sort())
})

test("the store does not close the app's client", () => {
  const collection = new MongoClient('mongodb://127.0.0.1:1').db('tests').collection('sessions')
  assert.equal(mongoStore({ collection }).close, undefined)
})

test('calls of many requests at once are few commands', { skip: withoutMongoDB }, async t => {
  const { store, sent } = opened(t)
  const sessions = await together(100, () => aSession(store, { n: 0 }))
  sent.clear()
  await together(100, index => store.load(sessions[index]?.id ?? ''))
  assert.ok(sent.all.length < 20, `${sent.all.length} commands`)
  assert.ok(sent.all.every(({ name }) => name === 'find'))
  sent.clear()
  await together(100, index => store.read(sessions[index]?.id ?? '', [index % 2 === 0 ? 'n' : 'm']))
  assert.ok(sent.all.length < 30, `${sent.all.length} commands`)
  assert.ok(sent.all.every(({ name }) => name === 'find'))
  sent.clear()
  await together(100, index => store.update(sessions[index]?.id ?? '', aChange(inc('n'))))
  assert.ok(sent.all.length < 20, `${sent.all.length} commands`)
  assert.ok(sent.all.every(({ name, command }) => name === 'update' && command.updates.length <= 64))
})

test('a change that is large, or whose result only the server knows, goes alone', {
  skip: withoutMongoDB,
}, async t => {
  const { store, sent } = opened(t)
  const sessions = await together(20, () => aSession(store, { n: 0 }))
  sent.clear()
  await together(20, index =>
    store.update(sessions[index]?.id ?? '', aChange(set('a', 'x'.repeat(20 * 1024)))),
  )
  await together(20, index =>
    store.update(sessions[index]?.id ?? '', aChange(inc('n')), { paths: ['n'], when: 'after' }),
  )
  assert.equal(sent.all.length, 40)
})

test('a change that is slow where a session holds much delays no other visitor’s', {
  skip: withoutMongoDB,
}, async t => {
  const { store, sent } = opened(t)
  const sessions = await together(20, () => aSession(store, { n: 0, list: [1, 2], text: 'a' }))
  const slow: Operation[] = [
    push('list', 3),
    { op: '$push', path: 'list', arg: [3], modifiers: { sort: 1 } },
    { op: '$addToSet', path: 'list', arg: [3] },
    { op: '$pull', path: 'list', comparator: '=', arg: 1 },
    { op: '$pullAll', path: 'list', arg: [1] },
    { op: '$pop', path: 'list', arg: 1 },
    { op: '$rename', path: 'text', to: 'name' },
    set('list.0', 1),
  ]
  for (const operation of slow) {
    sent.clear()
    await together(20, index => store.update(sessions[index]?.id ?? '', aChange(inc('n'), operation)))
    const many = sent.all.filter(({ command }) => command.updates.length > 1)
    assert.deepEqual(many, [], operation.op)
  }
})

for (const [what, error] of [
  // As only a foreign hand can have stored it.
  ['that cannot be decoded', new BSON.BSONError('Invalid UTF-8 string in BSON document')],
  ['on a shard that is away', new MongoServerError({ message: 'unreachable', code: 6 })],
] as const) {
  test(`a record ${what} is the concern of nobody else`, { skip: withoutMongoDB }, async t => {
    const { store, collection } = opened(t)
    const sessions = await together(30, index => aSession(store, { index }))
    const away = sessions[7]?.id ?? ''
    const fail = () => Promise.reject(error)
    const failing = Object.assign(Object.create(collection), {
      find: (filter: { _id: { $in: string[] } }, options: object) =>
        filter._id.$in.includes(away) ? { toArray: fail } : collection.find(filter as object, options),
      findOne: (filter: { _id: string }, options: object) =>
        filter._id === away ? fail() : collection.findOne(filter, options),
    })
    const joining = storeOf(failing)
    const found = await Promise.allSettled(sessions.map(({ id }) => joining.load(id)))
    for (const [index, one] of found.entries()) {
      if (index === 7) assert.equal(one.status, 'rejected')
      else assert.deepEqual(one, { status: 'fulfilled', value: sessions[index] })
    }
    const read = await Promise.allSettled(sessions.map(({ id }) => joining.read(id, ['index'])))
    for (const [index, one] of read.entries()) {
      if (index === 7) assert.equal(one.status, 'rejected')
      else assert.deepEqual(one, { status: 'fulfilled', value: { rev: 1, fields: { index } } })
    }
  })
}

test('a lost answer to changes that went together leaves open for each whether it was applied', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection } = opened(t)
  const sessions = await together(30, () => aSession(store, { n: 0 }))
  let isOfMany = false
  const parts = new Set<string>()
  const tap = altering((answer, command) => {
    for (const part in command) parts.add(part)
    isOfMany = 'update' in command && answer.n > 1
    return undefined
  })
  const { proxy, behind } = await aProxy(t, {}, tap)
  const cut = storeOf(behind(collection))
  await cut.load('id')
  proxy.loseAnswers(() => isOfMany)
  const outcomes = await Promise.allSettled(sessions.map(({ id }) => cut.update(id, aChange(inc('n')))))
  const failures = outcomes.filter(one => one.status === 'rejected').map(({ reason }) => reason)
  assert.ok(failures.length > 20, `${failures.length} failed`)
  assert.equal(new Set(failures).size, failures.length)
  assert.ok(failures.every(isUnavailable('unknown')))
  assert.ok(parts.has('update') && !parts.has('comment'), 'servers before 4.4 refuse a comment')
  for (const { id } of sessions) assert.deepEqual(await fieldsOf(store, id), { n: 1 })
})

for (const [what, alter, listener] of [
  // A foreign hand's: there is no such regular expression, which the driver finds out as it decodes.
  ['cannot be decoded', answer => ({ ...answer, more: new BSON.BSONRegExp('(') })],
  ['says no more than that something failed', () => ({ ok: 0, code: 8, errmsg: 'no' })],
  [
    'makes a listener of the app throw',
    () => undefined,
    () => {
      throw new TypeError('a bug in telemetry')
    },
  ],
] satisfies [what: string, alter: Alter, listener?: () => void][]) {
  test(`changes that went together, and whose answer ${what}, are unknown and not made again`, {
    skip: listener ? withoutSoundEvents : withoutMongoDB,
  }, async t => {
    const { store, collection } = opened(t)
    const sessions = await together(20, () => aSession(store, { n: 0 }))
    const tap = altering((answer, command) => ('update' in command ? alter(answer) : undefined))
    const { client, behind } = await aProxy(t, { monitorCommands: true }, tap)
    client.on('commandSucceeded', ({ commandName }) => {
      if (commandName === 'update') listener?.()
    })
    const sent = commandsOf(t, client, collection)
    const joining = storeOf(behind(collection))
    await joining.load('id')
    const outcomes = await Promise.allSettled(sessions.map(({ id }) => joining.update(id, aChange(inc('n')))))
    assert.ok(
      sent.all.some(({ command }) => command.updates?.length > 10),
      'none went together',
    )
    const failures = outcomes.filter(one => one.status === 'rejected').map(({ reason }) => reason)
    assert.ok(
      failures.filter(one => one instanceof StoreUnavailableError && one.outcome === 'unknown').length > 10,
    )
    for (const { id } of sessions) assert.deepEqual(await fieldsOf(store, id), { n: 1 })
  })
}

test('a change that cannot be encoded is no concern of those it goes with', {
  skip: withoutMongoDB,
}, async t => {
  const { store, sent } = opened(t)
  const sessions = await together(20, () => aSession(store, { n: 0 }))
  const odd = Object.assign(new BSON.ObjectId(), { serializeInto: () => assert.fail('it cannot be encoded') })
  // What the first of version 6 ask.
  Object.defineProperty(odd, 'id', { get: () => assert.fail('it cannot be encoded') })
  sent.clear()
  const outcomes = await together(20, index =>
    store
      .update(sessions[index]?.id ?? '', aChange(inc('n'), ...(index === 7 ? [set('odd', odd)] : [])))
      .then(
        () => 'made',
        () => 'failed',
      ),
  )
  assert.deepEqual(
    outcomes,
    sessions.map((_, index) => (index === 7 ? 'failed' : 'made')),
  )
  for (const [index, { id }] of sessions.entries()) {
    assert.deepEqual(await fieldsOf(store, id), { n: index === 7 ? 0 : 1 })
  }
})

test('a value of another version of bson is no concern of changes that it goes with, and is never sent', {
  skip: withoutMongoDB,
}, async t => {
  const { store, collection, sent } = opened(t)
  const sessions = await together(20, () => aSession(store, { n: 0 }))
  sent.clear()
  const outcomes = await together(20, index =>
    store
      .update(
        sessions[index]?.id ?? '',
        aChange(inc('n'), ...(index === 7 ? [set('user', otherObjectId)] : [])),
      )
      .then(
        () => 'made',
        (error: Error) => error.name,
      ),
  )
  assert.deepEqual(
    outcomes,
    sessions.map((_, index) => (index === 7 ? 'FieldError' : 'made')),
  )
  assert.equal(await collection.countDocuments({ 'data.n': 1 }), 19)
})
