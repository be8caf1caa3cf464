import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import Koa from 'koa'
import Session, { mongoStore, type Store, StoreUnavailableError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { sqliteStore } from '../../src/stores/sqlite/store.ts'
import { together } from '../contract/records.ts'
import { anApp, onEachStore, type RunningApp, test } from '../support/frameworks.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import { aPath } from '../support/sqlite/files.ts'
import { altered } from '../support/watchedstore.ts'

/** What the process is warned of while the test runs. */
function warnings(t: TestContext): string[] {
  const messages: string[] = []
  t.mock.method(process, 'emitWarning', (message: string, type: string) => {
    assert.equal(type, 'SessionWarning')
    messages.push(message)
  })
  return messages
}

onEachStore(
  'an operator is told how many sessions there are, or that the store cannot count',
  async (t, { store }) => {
    const { visitor, sessions } = await anApp(t, { store }, ctx =>
      ctx.path === '/out' ? ctx.session.destroy() : ctx.session.set('n', 1),
    )
    if (!store.count) {
      await assert.rejects(sessions.count(), { name: 'ConfigurationError', message: /cannot count/ })
      return
    }
    assert.equal(await sessions.count(), 0)
    const [ada] = await together(5, async () => {
      const one = visitor()
      await one.get('/')
      return one
    })
    assert.equal(await sessions.count(), 5)
    await ada?.get('/out')
    assert.equal(await sessions.count(), 4)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 15 * 24 * 60 * 60 * 1000 })
    assert.equal(await sessions.count(), 0)
  },
)

/** Serves visitors, each of whom a session is stored for. */
async function visitedBy({ visitor }: Pick<RunningApp, 'visitor'>, count: number): Promise<void> {
  for (let time = 0; time < count; time++) await visitor().get('/')
}

/** A store that tells once it has been asked for its indexes. */
function looking(store: Store): { readonly store: Store; looked: number } {
  const looks = {
    looked: 0,
    store: new Proxy(store, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        if (name !== 'isIndexed') return member.bind(target)
        return (...args: unknown[]) => member.apply(target, args).finally(() => looks.looked++)
      },
    }),
  }
  return looks
}

test('whoever never asks for indexes is warned once, and told what to do', {
  skip: withoutMongoDB,
}, async t => {
  const told = warnings(t)
  const looks = looking(mongoStore({ collection: aCollection(t) }))
  const app = await anApp(t, { store: looks.store, user: 'user.id' }, ctx => ctx.session.set('n', 1))
  await visitedBy(app, 10)
  while (looks.looked < 2) await setImmediate()
  await visitedBy(app, 30)
  const [warning, ...others] = told
  assert.match(warning ?? '', /expired sessions pile up, .* user\.id\. Call sessions\.ensureIndex\(\)/)
  assert.deepEqual(others, [])
  assert.equal(looks.looked, 2)
})

test('a warning about indexes says nothing of expired sessions where the store removes them anyway', async t => {
  const told = warnings(t)
  const store = sqliteStore({ path: aPath(t) })
  const looks = looking(store)
  const app = await anApp(t, { store: looks.store, user: 'user.id' }, ctx => ctx.session.set('n', 1))
  await visitedBy(app, 10)
  while (looks.looked < 2) await setImmediate()
  await store.close?.()
  assert.deepEqual(told, [
    'The session store lacks its indexes: find() and endAll() look at every session for its user.id. Call ' +
      'sessions.ensureIndex() each time the app starts',
  ])
})

test('whoever asks for indexes is not warned, nor where another process has, or somebody by hand', {
  skip: withoutMongoDB,
}, async t => {
  const told = warnings(t)
  const byProcess = aCollection(t)
  await mongoStore({ collection: byProcess }).ensureIndex?.('user')
  const byHand = aCollection(t)
  await byHand.createIndex({ expires: 1 }, { expireAfterSeconds: 60 })
  await byHand.createIndex({ 'data.user': 1 }, { sparse: true })
  for (const collection of [byProcess, byHand]) {
    const looks = looking(mongoStore({ collection }))
    const app = await anApp(t, { store: looks.store, user: 'user' }, ctx => ctx.session.set('n', 1))
    await visitedBy(app, 10)
    while (looks.looked === 0) await setImmediate()
  }
  const looks = looking(mongoStore({ collection: aCollection(t) }))
  const app = await anApp(t, { store: looks.store, user: 'user' }, ctx => ctx.session.set('n', 1))
  await app.sessions.ensureIndex()
  await visitedBy(app, 30)
  assert.equal(looks.looked, 0)
  assert.deepEqual(told, [])
})

test('where the indexes cannot be looked at, nobody is warned, and they are looked at another time', async t => {
  const told = warnings(t)
  let looked = 0
  const store: Store = Object.assign(memoryStore(), {
    isIndexed: async () => {
      if (++looked === 1) throw new Error('not authorized')
      return false
    },
  })
  const app = await anApp(t, { store }, ctx => ctx.session.set('n', 1))
  await visitedBy(app, 10)
  assert.deepEqual([looked, told.length], [1, 0])
  await visitedBy(app, 10)
  assert.deepEqual([looked, told.length], [2, 1])
  assert.doesNotMatch(told[0] ?? '', /find\(\)/)
})

onEachStore('sessions and stores end with their scope', async (_t, { store }) => {
  let closed = 0
  const closing = altered(store, name => {
    if (name === 'close') closed++
  })
  const counted = Object.assign(Object.create(closing), { close: async () => void closed++ }) as Store
  const app = new Koa()
  app.keys = ['a key for this app']
  let kept: ReturnType<typeof Session> | undefined
  {
    await using sessions = Session(app, { store: counted })
    kept = sessions
    assert.equal(closed, 0)
  }
  assert.equal(closed, 1)
  await assert.rejects(kept.end('a'.repeat(64)), { message: 'The sessions have been closed' })
})

test('a store ends with its scope', { skip: withoutMongoDB }, async t => {
  let kept: Store
  {
    await using memory = memoryStore()
    await using mongo = mongoStore({ collection: aCollection(t) })
    await using sqlite = sqliteStore({ path: aPath(t) })
    for (const store of [memory, mongo, sqlite]) assert.equal(await store.load('a'.repeat(64)), undefined)
    kept = sqlite
  }
  await assert.rejects(kept.load('a'.repeat(64)), StoreUnavailableError)
})
