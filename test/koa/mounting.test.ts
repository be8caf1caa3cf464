import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as aTurn } from 'node:timers/promises'
import Koa from 'koa'
import mount from 'koa-mount'
import Session, { ConfigurationError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type AppOptions, answering, type Handler, KEY, listening } from '../support/app.ts'
import type { Answer } from '../support/visitor.ts'
import { altered, type Watched, watched } from '../support/watchedstore.ts'

const OTHER_KEY = 'a key of the mounted app alone, and long enough for one'

interface SomeApp extends Watched {
  readonly app: Koa
}

/** An app with sessions of its own in a store that takes its time, and what answers. */
function anAppWith({ keys = [KEY], ...options }: AppOptions = {}, ...handlers: Handler[]): SomeApp {
  const app = new Koa()
  if (keys) app.keys = keys
  const store = watched(altered(memoryStore(), () => aTurn()))
  Session(app, { store: store.store, ...options })
  for (const handler of handlers) app.use(handler as Koa.Middleware)
  return { app, ...store }
}

const done: Handler = ctx => {
  ctx.body = 'done'
}

const admin: AppOptions = {
  key: 'admin',
  keys: [OTHER_KEY],
  maxAge: '10 minutes',
  cookie: { path: '/admin', sameSite: 'strict' },
}

function namesIn({ setCookies }: Answer): string[] {
  return setCookies.map(line => line.slice(0, line.indexOf('='))).sort()
}

async function fieldsIn({ records }: Watched): Promise<object[]> {
  return (await records()).map(({ fields }) => fields)
}

test('a mounted app has its own sessions, and the app around it its own', async t => {
  const inner = anAppWith(
    admin,
    answering({
      '/': ctx => ctx.session.set('role', 'admin'),
      '/read': async ctx => ({ ...(await ctx.session()) }),
      '/fail': async ctx => {
        await ctx.session.inc('failures')
        ctx.throw(418)
      },
    }),
  )
  const outer = anAppWith({}, async (ctx, next) => {
    await ctx.session.inc('before')
    await next()
    await ctx.session.inc('after')
  })
  outer.app.use(mount('/admin', inner.app))
  const { visitor, errors } = await listening(t, outer.app)
  const ada = visitor()
  const answer = await ada.get('/admin')
  assert.deepEqual(namesIn(answer), ['admin', 'sid'])
  const line = answer.setCookies.find(one => one.startsWith('admin=')) ?? ''
  assert.match(line, /; path=\/admin; expires=[^;]+; samesite=strict; httponly$/)
  assert.deepEqual((await ada.get('/admin/read')).json, { role: 'admin' })
  assert.deepEqual(await fieldsIn(inner), [{ role: 'admin' }])
  assert.deepEqual(await fieldsIn(outer), [{ before: 2, after: 2 }])
  const [record] = await inner.records()
  assert.equal(record?.maxAge, 600_000)

  const eve = visitor()
  const failed = await eve.get('/admin/fail')
  assert.equal(failed.status, 418)
  assert.deepEqual(namesIn(failed), ['admin', 'sid'])
  assert.deepEqual((await eve.get('/admin/read')).json, { failures: 1 })
  assert.equal(errors.length, 1)
})

test('a mounted app has sessions in an app that has none', async t => {
  const inner = anAppWith({}, async ctx => {
    const { n } = await ctx.session.inc('n')
    ctx.body = String(n)
  })
  const outer = new Koa()
  const seen: boolean[] = []
  outer.use(async (ctx, next) => {
    await next()
    seen.push('session' in ctx)
  })
  outer.use(mount('/admin', inner.app))
  const { visitor } = await listening(t, outer)
  const ada = visitor()
  await ada.get('/admin')
  assert.equal((await ada.get('/admin')).text, '2')
  assert.equal((await ada.get('/')).status, 404)
  assert.deepEqual(seen, [false, false, false])
})

test('no response of a mounted app leaves before its changes are acknowledged', async t => {
  const inner = anAppWith(
    admin,
    answering({
      '/write': ctx => void ctx.session.set('name', 'Ada'),
      '/refused': ctx => void ctx.session.inc('name'),
      '/read': async ctx => ({ ...(await ctx.session()) }),
    }),
  )
  const outer = anAppWith()
  outer.app.use(mount('/admin', inner.app))
  const { visitor, errors } = await listening(t, outer.app)
  const ada = visitor()
  assert.deepEqual(namesIn(await ada.get('/admin/write')), ['admin'])
  assert.deepEqual((await ada.get('/admin/read')).json, { name: 'Ada' })
  assert.equal((await ada.get('/admin/refused')).status, 500)
  assert.equal(errors.length, 1)
})

test('what comes after a mounted app has the sessions of the app around it', async t => {
  const inner = anAppWith(admin, async (ctx, next) => {
    await ctx.session.inc('on the way in')
    await next()
    await ctx.session.inc('on the way out')
  })
  // As one may: more middleware after the sessions, and after some other.
  inner.app.use((_, next) => next()).use((_, next) => next())
  for (const prefix of ['/', '/admin']) {
    const outer = anAppWith()
    outer.app.use(mount(prefix, inner.app))
    outer.app.use(async ctx => {
      await ctx.session.inc('after')
      ctx.body = 'after'
    })
    const { visitor } = await listening(t, outer.app)
    const answer = await visitor().get('/admin')
    assert.equal(answer.text, 'after')
    assert.deepEqual(namesIn(answer), ['admin', 'sid'])
    assert.deepEqual((await fieldsIn(inner)).at(-1), { 'on the way in': 1, 'on the way out': 1 })
    assert.deepEqual(await fieldsIn(outer), [{ after: 1 }])
  }
})

test('an app may be mounted twice, and be come upon twice in one request', async t => {
  const inner = anAppWith(admin, async (ctx, next) => {
    ctx.session.inc('n')
    await next()
    ctx.session.inc('n')
  })
  const outer = anAppWith()
  outer.app.use(mount('/admin', inner.app))
  outer.app.use(mount('/other', inner.app))
  outer.app.use(mount('/', inner.app))
  outer.app.use(async ctx => {
    await ctx.session.inc('after')
    ctx.body = 'after'
  })
  const { visitor, errors } = await listening(t, outer.app)
  for (const [path, n] of [
    ['/admin', 4],
    ['/other', 4],
    ['/', 2],
  ] as const) {
    const answer = await visitor().get(path)
    assert.deepEqual(namesIn(answer), ['admin', 'sid'], path)
    assert.deepEqual((await fieldsIn(inner)).at(-1), { n }, path)
  }
  assert.equal((await outer.records()).length, 3)
  assert.deepEqual(errors, [])
})

test('an app that is run twice, one time after the other, waits for both', async t => {
  const inner = anAppWith(admin, async (ctx, next) => {
    ctx.session.inc('n')
    await next()
  })
  const mounted = mount('/', inner.app)
  const outer = new Koa()
  outer.use(async (ctx, next) => {
    await mounted(ctx, async () => {})
    await mounted(ctx, next)
    ctx.body = 'done'
  })
  const { visitor } = await listening(t, outer)
  assert.deepEqual(namesIn(await visitor().get('/')), ['admin'])
  assert.deepEqual(await fieldsIn(inner), [{ n: 2 }])
})

test('apps mounted in one another each have their own sessions', async t => {
  const innermost = anAppWith({ key: 'c', keys: [OTHER_KEY] }, async (ctx, next) => {
    await ctx.session.set('at', 'c')
    await next()
    await ctx.session.set('end', 'c')
  })
  const inner = anAppWith({ key: 'b' }, async (ctx, next) => {
    await ctx.session.set('at', 'b')
    await next()
    await ctx.session.set('end', 'b')
  })
  inner.app.use(mount('/c', innermost.app))
  inner.app.use(async (ctx, next) => {
    await ctx.session.set('after', 'b')
    await next()
  })
  const outer = anAppWith({ key: 'a' })
  outer.app.use(mount('/b', inner.app))
  outer.app.use(async ctx => {
    await ctx.session.set('after', 'a')
    ctx.body = 'done'
  })
  const { visitor } = await listening(t, outer.app)
  const answer = await visitor().get('/b/c')
  assert.deepEqual(namesIn(answer), ['a', 'b', 'c'])
  assert.deepEqual(await fieldsIn(innermost), [{ at: 'c', end: 'c' }])
  assert.deepEqual(await fieldsIn(inner), [{ at: 'b', after: 'b', end: 'b' }])
  assert.deepEqual(await fieldsIn(outer), [{ after: 'a' }])
})

test('a mounted app’s session may have another property, beside that of the app around it', async t => {
  const inner = anAppWith({ ...admin, property: 'staff' }, async ctx => {
    await ctx.staff.set('role', 'admin')
    await ctx.session.set('seen', true)
    ctx.body = 'done'
  })
  const outer = anAppWith()
  outer.app.use(mount('/admin', inner.app))
  const { visitor } = await listening(t, outer.app)
  assert.deepEqual(namesIn(await visitor().get('/admin')), ['admin', 'sid'])
  assert.deepEqual(await fieldsIn(inner), [{ role: 'admin' }])
  assert.deepEqual(await fieldsIn(outer), [{ seen: true }])
})

test('a mounted app puts back what else the context had', async t => {
  const inner = anAppWith(admin, ctx => void ctx.session.set('n', 1))
  const outer = new Koa()
  const seen: unknown[] = []
  outer.use(async (ctx, next) => {
    Object.assign(ctx, { session: 'another library’s' })
    await next()
    seen.push(ctx.session)
  })
  outer.use(mount('/inner', inner.app))
  const { visitor } = await listening(t, outer)
  assert.deepEqual(namesIn(await visitor().get('/inner')), ['admin'])
  assert.deepEqual(seen, ['another library’s'])
})

/** The first error that a request meets. */
async function firstErrorOf(t: TestContext, app: Koa, path = '/'): Promise<[status: number, error: unknown]> {
  const { visitor, errors } = await listening(t, app)
  const { status, setCookies } = await visitor().get(path)
  assert.deepEqual(setCookies, [])
  return [status, errors[0]]
}

test('a mounted app whose cookie is that of the app around it is told so at its first request', async t => {
  for (const keys of [[KEY], [OTHER_KEY]]) {
    const inner = anAppWith({ keys }, done)
    const middle = anAppWith({ key: 'middle' })
    middle.app.use(mount('/b', inner.app))
    const outer = anAppWith()
    outer.app.use(mount('/a', inner.app)).use(mount('/a', middle.app))
    for (const path of ['/a', '/a/b']) {
      const [status, error] = await firstErrorOf(t, outer.app, path)
      assert.equal(status, 500)
      assert.ok(error instanceof ConfigurationError)
      assert.match(error.message, /^key: .*cookie sid/)
    }
  }
  const [first, second] = [anAppWith({}, (_, next) => next()), anAppWith({}, done)]
  const [status, error] = await firstErrorOf(
    t,
    new Koa().use(mount('/', first.app)).use(mount('/', second.app)),
  )
  assert.equal(status, 500)
  assert.ok(error instanceof ConfigurationError)
})

test('a mounted app whose property cannot be had is told so at its first request', async t => {
  const inner = anAppWith(admin, done)
  const outer = new Koa()
  outer.use((ctx, next) => {
    Object.defineProperty(ctx, 'session', { value: 'another library’s' })
    return next()
  })
  outer.use(mount('/', inner.app))
  const [status, error] = await firstErrorOf(t, outer)
  assert.equal(status, 500)
  assert.ok(error instanceof ConfigurationError)
  assert.match(error.message, /ctx\.session/)
})
