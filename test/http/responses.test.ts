import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import Koa from 'koa'
import Session, { SessionEndedError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, answering, type Handler, KEY, listening } from '../support/app.ts'
import { altered, onEachStore } from '../support/watchedstore.ts'

const endings: Record<string, Handler> = {
  '/empty': ctx => {
    ctx.session.inc('n')
    ctx.status = 204
  },
  '/head': ctx => {
    ctx.session.inc('n')
    ctx.body = 'a body'
    ctx.length = 6
  },
  '/stream': ctx => {
    ctx.session.inc('n')
    ctx.body = Readable.from(['in ', 'several ', 'parts'])
  },
  '/redirect': ctx => {
    ctx.session.inc('n')
    ctx.redirect('/elsewhere')
  },
  '/json': ctx => ctx.session.inc('n'),
}

onEachStore(
  'what a request wrote is stored before its answer ends, whatever its form',
  async (t, watched) => {
    const { visitor } = await anApp(t, { store: watched.store }, endings)
    for (const path of Object.keys(endings)) {
      const ada = visitor()
      const { setCookies, headers } = await ada.get(path)
      assert.equal(setCookies.length, 1, path)
      assert.equal(headers['cache-control'], 'no-store', path)
      assert.deepEqual((await watched.records()).at(-1)?.fields, { n: 1 }, path)
      await ada.get(path)
      assert.deepEqual((await watched.records()).at(-1)?.fields, { n: 2 }, path)
    }
  },
)

onEachStore('two changes of one request are both there, whatever they are', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/fill': ctx => ctx.session.set({ a: 1, b: 2 }),
      '/add-modify': ctx => void ctx.session.set('c', 3).set('a', 10),
      '/add-remove': ctx => {
        ctx.session.set('d', 4)
        ctx.session.unset('b')
      },
      '/modify-remove': ctx => {
        ctx.session.set('a', 11)
        ctx.session.unset('c')
      },
      '/remove-add': ctx => {
        ctx.session.unset('a')
        ctx.session.set('a', 'anew')
      },
      '/read': async ctx => ({ ...(await ctx.session()) }),
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  const after: [path: string, fields: object][] = [
    ['/add-modify', { a: 10, b: 2, c: 3 }],
    ['/add-remove', { a: 10, c: 3, d: 4 }],
    ['/modify-remove', { a: 11, d: 4 }],
    ['/remove-add', { a: 'anew', d: 4 }],
  ]
  for (const [path, fields] of after) {
    await ada.get(path)
    assert.deepEqual((await ada.get('/read')).json, fields, path)
  }
})

onEachStore('names of members are plain data inside a field, and break nothing', async (t, { store }) => {
  const names = ['id', 'destroy', 'then', 'toJSON', 'expires', 'rev', 'data', 'length', 'valueOf', 'cookie']
  const held = Object.fromEntries(names.map(name => [name, name]))
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/fill': ctx => ctx.session.set({ held }),
      '/read': async ctx => {
        const session = await ctx.session()
        await session.set('held.then', 'changed')
        return [session.held, await ctx.session.get('held.destroy'), typeof session.destroy]
      },
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  const changed = Object.fromEntries(names.map(name => [name, name === 'then' ? 'changed' : name]))
  assert.deepEqual((await ada.get('/read')).json, [changed, 'destroy', 'function'])
})

test('signing out who has no session sends no cookie and asks nothing', async t => {
  const calls: string[] = []
  const store = altered(memoryStore(), name => void calls.push(name))
  const { visitor } = await anApp(t, { store }, ctx => ctx.session.destroy())
  const { status, setCookies } = await visitor().get('/')
  assert.equal(status, 200)
  assert.deepEqual(setCookies, [])
  assert.deepEqual(calls, [])
})

onEachStore('reading again what has ended meanwhile is an error, each time', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/fill': ctx => ctx.session.set('n', 1),
      '/again': async (ctx, next) => {
        const session = await ctx.session()
        await store.delete(session.id as string)
        const said = new Set<unknown>()
        for (let times = 0; times < 20; times++) {
          said.add(await session.update().then(next, (error: unknown) => error instanceof SessionEndedError))
        }
        return [...said]
      },
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  assert.deepEqual((await ada.get('/again')).json, [true])
})

test('whatever the session does it resolves or rejects as a promise does', async t => {
  let failing = true
  const store = altered(memoryStore(), () => {
    if (failing) throw new Error('a store’s own error')
  })
  const acts: Record<string, Handler> = {
    load: ctx => ctx.session(),
    get: ctx => ctx.session.get('n'),
    set: ctx => ctx.session.set('n', 1),
    take: ctx => ctx.session.take('n'),
    touch: ctx => ctx.session.touch(),
    destroy: ctx => ctx.session.destroy(),
    regenerate: ctx => ctx.session.regenerate(),
  }
  const { visitor } = await anApp(t, { store }, async (ctx, next) => {
    if (ctx.path === '/fill') return ctx.session.set('n', 1)
    const act = acts[ctx.path.slice(1)] as Handler
    const settled: string[] = []
    const promise = act(ctx, next) as Promise<unknown>
    await promise.then(
      () => settled.push('resolved'),
      error => settled.push(String(error.message)),
    )
    await promise.catch(() => settled.push('caught'))
    await promise.finally(() => settled.push('finally')).catch(() => {})
    return settled
  })
  failing = false
  const ada = visitor()
  await ada.get('/fill')
  for (const act of Object.keys(acts)) {
    failing = true
    const rejected = (await ada.get(`/${act}`)).json
    assert.deepEqual(rejected, ['a store’s own error', 'caught', 'finally'], act)
    failing = false
    const eve = visitor()
    await eve.get('/fill')
    assert.deepEqual((await eve.get(`/${act}`)).json, ['resolved', 'finally'], act)
  }
})

test('middleware that was used before the sessions were set up has them too', async t => {
  const app = new Koa()
  app.keys = [KEY]
  const asked: unknown[] = []
  app.use(async (ctx, next) => {
    ctx.session.inc('before')
    await next()
    asked.push(await ctx.session.get('before'))
  })
  Session(app, { store: memoryStore() })
  app.use(answering(ctx => ctx.session.inc('after')))
  const { visitor } = await listening(t, app)
  const ada = visitor()
  assert.equal((await ada.get('/')).setCookies.length, 1)
  await ada.get('/')
  assert.deepEqual(asked, [1, 2])
})

test('a session asked for without a request is none', () => {
  const app = new Koa()
  Session(app, { store: memoryStore() })
  assert.equal(app.context.session, undefined)
})

test('headers with names that could act are only headers', async t => {
  const { url, errors } = await anApp(t, { store: memoryStore() }, async ctx => {
    ctx.cookies.set('other', 'kept')
    await ctx.session.inc('n')
    return { prototype: Object.keys(Object.prototype), polluted: 'x' in {} }
  })
  const sent = request(url, { headers: { ['__proto__']: 'x', constructor: 'y', prototype: 'z' } }).end()
  const [response] = await once(sent, 'response')
  const chunks: Buffer[] = await response.toArray()
  assert.equal(response.statusCode, 200)
  assert.deepEqual(JSON.parse(Buffer.concat(chunks).toString()), { prototype: [], polluted: false })
  const names = (response.headers['set-cookie'] as string[]).map(line => line.split('=')[0])
  assert.deepEqual(names, ['other', 'sid'])
  assert.deepEqual(errors, [])
})
