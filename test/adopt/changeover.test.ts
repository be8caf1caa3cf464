import assert from 'node:assert/strict'
import { after, before, suite, type TestContext, test } from 'node:test'
import connectPgSimpleFor from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import session from 'express-session'
import { Redis } from 'ioredis'
import { createSession } from 'koa-session'
import { createClient } from 'redis'
import {
  type Adopter,
  connectPgSimple,
  connectRedis,
  expressSession,
  fastifySession,
  koaGenericSession,
  koaRedis,
  koaSession,
} from '../../src/adopt/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, KEY, type Routes } from '../support/app.ts'
import {
  aFastifyApp,
  aKoaApp,
  aKoaRedisStore,
  anExpressApp,
  genericSession,
  held,
} from '../support/oldapps.ts'
import { aPgPool, aTable, query, withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { Visitor } from '../support/visitor.ts'
import { watched } from '../support/watchedstore.ts'

// An app moves from another library and its real database, and both apps run at once: visitors come to either with the same cookies.

/** The app as it was before. */
interface OldApp {
  /** The name of its cookie. */
  readonly key: string
  readonly url: string
  readonly adopt: Adopter
  /** The sessions in its database. */
  stored(): Promise<number>
}

let server: RedisServer
let client: ReturnType<typeof createClient>
let prefixes = 0

before(async () => {
  if (withoutRedis) return
  server = await RedisServer.start()
  client = createClient({ url: `redis://127.0.0.1:${server.port}` })
  client.on('error', () => {})
  await client.connect()
})

after(async () => {
  client?.destroy()
  await server?.stop()
})

const aPrefix = () => `old ${++prefixes}:`

const keysOf = async (prefix: string) => (await client.keys(`${prefix}*`)).length

const libraries: Record<string, { skip: string | false; start(t: TestContext): Promise<OldApp> }> = {
  'express-session with connect-redis': {
    skip: withoutRedis,
    async start(t) {
      const prefix = aPrefix()
      return {
        key: 'connect.sid',
        url: await anExpressApp(t, new RedisStore({ client, prefix })),
        adopt: expressSession({ secret: KEY, ...connectRedis({ client, prefix }) }),
        stored: () => keysOf(prefix),
      }
    },
  },
  'express-session with connect-redis and a serializer, read with ioredis': {
    skip: withoutRedis,
    async start(t) {
      const prefix = aPrefix()
      const serializer = {
        stringify: (data: object) => Buffer.from(JSON.stringify(data)).toString('hex'),
        parse: (text: string) => JSON.parse(Buffer.from(text, 'hex').toString()),
      }
      const own = new Redis(server.port, '127.0.0.1')
      t.after(() => own.quit())
      return {
        key: 'connect.sid',
        url: await anExpressApp(t, new RedisStore({ client, prefix, serializer })),
        adopt: expressSession({ secret: KEY, ...connectRedis({ client: own, prefix, serializer }) }),
        stored: () => keysOf(prefix),
      }
    },
  },
  'express-session with connect-pg-simple': {
    skip: withoutPostgreSQL,
    async start(t) {
      // Its table's constraint has the same name for every table.
      const [schemaName, tableName] = [`Old "${aTable()}"`, 'Visitors "here"']
      const [schema, table] = [schemaName, tableName].map(name => `"${name.replaceAll('"', '""')}"`)
      const pool = await aPgPool(t)
      await query(`CREATE SCHEMA ${schema}`)
      const options = { pool, schemaName, tableName, pruneSessionInterval: false } as const
      const store = new (connectPgSimpleFor(session))({ ...options, createTableIfMissing: true })
      return {
        key: 'connect.sid',
        url: await anExpressApp(t, store),
        adopt: expressSession({ secret: KEY, ...connectPgSimple({ pool, schemaName, tableName }) }),
        stored: async () => (await query(`SELECT 1 FROM ${schema}.${table}`)).length,
      }
    },
  },
  'express-session with connect-pg-simple in the table that it has by default': {
    skip: withoutPostgreSQL,
    async start(t) {
      const pool = await aPgPool(t)
      const store = new (connectPgSimpleFor(session))({
        pool,
        pruneSessionInterval: false,
        createTableIfMissing: true,
      })
      t.after(() => query('DELETE FROM session'))
      return {
        key: 'connect.sid',
        url: await anExpressApp(t, store),
        adopt: expressSession({ secret: KEY, ...connectPgSimple({ pool }) }),
        stored: async () => (await query('SELECT 1 FROM session')).length,
      }
    },
  },
  'koa-generic-session with koa-redis': {
    skip: withoutRedis,
    async start(t) {
      const prefix = aPrefix()
      const { store } = aKoaRedisStore(t, server.port)
      return {
        key: 'koa.sid',
        url: await aKoaApp(t, () => genericSession({ store, prefix })),
        adopt: koaGenericSession({ prefix, store: koaRedis({ client }) }),
        stored: () => keysOf(prefix),
      }
    },
  },
  'koa-session with koa-redis': {
    skip: withoutRedis,
    async start(t) {
      const prefix = aPrefix()
      const { own, store } = aKoaRedisStore(t, server.port)
      return {
        key: 'koa.sess',
        url: await aKoaApp(t, app => createSession({ store, prefix }, app)),
        adopt: koaSession({ store: koaRedis({ client: own }) }),
        stored: () => keysOf(prefix),
      }
    },
  },
  '@fastify/session with connect-redis': {
    skip: withoutRedis,
    async start(t) {
      const prefix = aPrefix()
      return {
        key: 'sessionId',
        url: await aFastifyApp(t, new RedisStore({ client, prefix })),
        adopt: fastifySession({ secret: KEY, ...connectRedis({ client, prefix }) }),
        stored: () => keysOf(prefix),
      }
    },
  },
  '@fastify/session with another name, a prefix, SHA-512 and two secrets': {
    skip: withoutRedis,
    async start(t) {
      const prefix = aPrefix()
      const older = 'an older key of the app, which signed the cookies until now'
      const options = { cookieName: 'old', cookiePrefix: 's:', algorithm: 'sha512', secret: [older] }
      return {
        key: 'old',
        url: await aFastifyApp(t, new RedisStore({ client, prefix }), options),
        adopt: fastifySession({
          key: 'old',
          cookiePrefix: 's:',
          algorithm: 'sha512',
          secret: [KEY, older],
          ...connectRedis({ client, prefix }),
        }),
        stored: () => keysOf(prefix),
      }
    },
  },
}

const routes: Routes = {
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/leave': ctx => ctx.session.destroy(),
}

for (const [library, { skip, start }] of Object.entries(libraries)) {
  suite(`from ${library}`, { skip }, () => {
    test('a visitor is carried over once, while both apps run', async t => {
      const { url, key, adopt, stored } = await start(t)
      const { store, calls } = watched(memoryStore())
      const now = await anApp(t, { store, adopt }, routes)
      const visits: Visitor[] = []
      t.after(() => {
        for (const visit of visits) visit.leave()
      })
      /** Somebody at one of the apps, with the cookies that the jar has. */
      const at = (place: string, jar: ReadonlyMap<string, string> = new Map()) => {
        const visitor = new Visitor(place)
        for (const [name, value] of jar) visitor.jar.set(name, value)
        visits.push(visitor)
        return visitor
      }
      const signedIn = async () => {
        const visitor = at(url)
        assert.equal((await visitor.get('/fill')).status, 200)
        assert.ok(visitor.jar.has(key), [...visitor.jar.keys()].join())
        return visitor
      }
      const [ada, bob, eve] = [await signedIn(), await signedIn(), await signedIn()]
      assert.equal(await stored(), 3)

      // Her browser sends many requests at once.
      const requests = Array.from({ length: 20 }, () => at(now.url, ada.jar))
      const answers = await Promise.all(requests.map(one => one.get('/read')))
      for (const { status } of answers) assert.equal(status, 200)
      const moved = requests.filter((_, index) => Object(answers[index]?.json).user === 'ada')
      const [first] = moved
      assert.ok(first)
      for (const one of moved) assert.deepEqual((await one.get('/read')).json, held)
      assert.equal(await now.sessions.count(), 1)
      assert.equal(await stored(), 2)
      assert.deepEqual([...first.jar.keys()], ['sid'])

      // Whoever has not come to the new app yet goes on in the old one.
      assert.deepEqual((await bob.get('/read')).json, held)
      // She is a new visitor there, with her cookie of ours or a copy of the old one, and that does her session no harm.
      assert.deepEqual((await at(url, first.jar).get('/read')).json, {})
      assert.deepEqual((await at(url, ada.jar).get('/read')).json, {})
      assert.deepEqual((await first.get('/read')).json, held)

      // Who signs out of the old app is signed out of both.
      const copy = new Map(eve.jar)
      await eve.get('/leave')
      assert.deepEqual((await at(now.url, copy).get('/read')).json, {})

      // Who signs out of the new app is not brought back by the old cookie.
      const leaving = at(now.url, bob.jar)
      assert.deepEqual((await leaving.get('/read')).json, held)
      await leaving.get('/leave')
      assert.deepEqual((await at(now.url, bob.jar).get('/read')).json, {})
      assert.equal(await stored(), 0)
      assert.equal(await now.sessions.count(), 1)
      assert.ok(calls.includes('insert'))
      assert.deepEqual(now.errors, [])
    })

    test('a cookie that the library did not sign brings nothing', async t => {
      const { url, key, adopt, stored } = await start(t)
      const now = await anApp(t, { store: memoryStore(), adopt }, routes)
      const ada = new Visitor(url)
      t.after(() => ada.leave())
      await ada.get('/fill')
      const value = ada.jar.get(key) ?? ''
      const rest = [...ada.jar].filter(([name]) => name !== key).map(pair => pair.join('='))
      const forged = [value.slice(0, -1), `${value}a`, `x${value}`, value.slice(1), '.', '%', '']
      for (const one of forged) {
        const Cookie = [`${key}=${one}`, ...rest].join('; ')
        const { status, json } = await now.visitor().get('/read', { Cookie })
        assert.deepEqual([status, json], [200, {}], Cookie)
      }
      assert.equal(await stored(), 1)
    })
  })
}

test('what cannot be read in Redis is no session, and no error', { skip: withoutRedis }, async () => {
  const prefix = aPrefix()
  for (const text of ['{', 'null', '[]', '5', '']) {
    await client.set(`${prefix}an-id`, text)
    const { load } = connectRedis({ client, prefix })
    const found = await load('an-id')
    assert.ok(found === undefined || found === null || typeof found !== 'string', String(found))
    await koaRedis({ client }).get(`${prefix}an-id`)
  }
})

test('a session of connect-pg-simple that has expired, or cannot be, is not carried over', {
  skip: withoutPostgreSQL,
}, async t => {
  const pool = await aPgPool(t)
  const tableName = aTable()
  await query(
    `CREATE TABLE "${tableName}" (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)`,
  )
  const { load } = connectPgSimple({ pool, tableName })
  await query(`INSERT INTO "${tableName}" VALUES ('gone', '{"user":"ada"}', now() - interval '2 seconds')`)
  await query(`INSERT INTO "${tableName}" VALUES ('here', '{"user":"ada"}', now() + interval '1 minute')`)
  assert.equal(await load('gone'), undefined)
  assert.equal(await load('he\0re'), undefined)
  assert.deepEqual(await load('here'), { user: 'ada' })
})

test('fastifySession without a secret, with which anybody could sign, is refused at once', () => {
  const store = { load() {}, destroy() {} }
  for (const secret of [undefined, '', [], ['', KEY], 5, {}]) {
    assert.throws(() => fastifySession({ secret: secret as string, ...store }), {
      name: 'ConfigurationError',
      message: /fastifySession: secret is missing/,
    })
  }
})

test('fastifySession with an algorithm that there is not is refused at once, not with each visitor', () => {
  const store = { load() {}, destroy() {} }
  for (const algorithm of ['sha-265', '', 5, null]) {
    assert.throws(() => fastifySession({ secret: KEY, algorithm: algorithm as string, ...store }), {
      name: 'ConfigurationError',
      message: /fastifySession: algorithm is wrong/,
    })
  }
})
