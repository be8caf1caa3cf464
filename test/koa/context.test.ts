import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import Keygrip from 'keygrip'
import Koa from 'koa'
import Session from '../../src/index.ts'
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

onEachStore('a cookie whose session could not be stored is not sent', async (t, watched) => {
  const store = altered(watched.store, name => {
    if (name === 'insert') throw new Error('disk full')
  })
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/write': ctx => ctx.session.set('name', 'Ada'),
      '/handled': async ctx => {
        ctx.cookies.set('before', '1')
        const error = await ctx.session.set('a', 1).catch((thrown: unknown) => thrown)
        ctx.cookies.set('after', '2')
        return error instanceof Error && error.message
      },
    },
  )
  const ada = visitor()
  const { status, setCookies } = await ada.get('/write')
  assert.equal(status, 500)
  assert.deepEqual(setCookies, [])
  const handled = await ada.get('/handled')
  assert.equal(handled.json, 'disk full')
  assert.deepEqual(
    handled.setCookies.map(line => line.split(';')[0]),
    ['before=1', 'after=2'],
  )
  assert.deepEqual(await watched.records(), [])
})

onEachStore('other cookies survive, set before or after the session’s', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, async ctx => {
    ctx.cookies.set('before', '1')
    await ctx.session.set('a', 1)
    ctx.cookies.set('after', '2', { overwrite: true })
    await ctx.session.regenerate()
    ctx.append('Set-Cookie', 'last=3; path=/')
  })
  const { setCookies } = await visitor().get('/')
  const names = setCookies.map(line => line.slice(0, line.indexOf('=')))
  assert.deepEqual(names.sort(), ['after', 'after.sig', 'before', 'last', 'sid'])
})

onEachStore('an app may have several kinds of session', async (t, { store, records }) => {
  const { visitor } = await anApp(
    t,
    {
      store,
      key: 'admin',
      property: 'admin',
      prepare: app => Session(app, { store }),
    },
    async ctx => {
      await ctx.session.inc('n')
      await ctx.admin.inc('n', 10)
      return [(await ctx.session()).n, (await ctx.admin()).n]
    },
  )
  const ada = visitor()
  assert.equal((await ada.get('/')).setCookies.length, 2)
  assert.deepEqual((await ada.get('/')).json, [2, 20])
  assert.deepEqual([...ada.jar.keys()].sort(), ['admin', 'sid'])
  assert.equal((await records()).length, 2)
  // One is not taken for the other.
  ada.jar.set('sid', ada.jar.get('admin') ?? '')
  assert.deepEqual((await ada.get('/')).json, [1, 30])
})

test('a key may be bytes, and signs as Koa’s own cookies do with it', async t => {
  const bytes = [
    randomBytes(32),
    new Uint8Array(randomBytes(32)),
    runInNewContext('new Uint8Array(32).fill(7)'),
  ]
  for (const key of bytes) {
    const { visitor, errors } = await anApp(t, { store: memoryStore(), keys: [key, KEY] as never }, ctx => {
      ctx.cookies.set('koa', 'own', { signed: true })
      return ctx.session.inc('n')
    })
    const ada = visitor()
    for (const n of [1, 2]) assert.deepEqual((await ada.get('/')).json, { n })
    assert.deepEqual(errors, [])
    const [payload, signature] = (ada.jar.get('sid') ?? '').split(/\.(?=[^.]*$)/)
    assert.equal(signature, new Keygrip([key], 'sha256').sign(`sid=${payload}`))
  }
})

onEachStore('ctx.session cannot be assigned', async (t, { store }) => {
  const { visitor } = await anApp(t, { store }, ctx => {
    assert.throws(() => {
      ;(ctx as { session: unknown }).session = null
    }, /ctx.session cannot be assigned/)
  })
  assert.equal((await visitor().get('/')).status, 200)
})
