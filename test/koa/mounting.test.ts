import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as aTurn } from 'node:timers/promises'
import Koa from 'koa'
import mount from 'koa-mount'
import Session, { ConfigurationError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { type AppOptions, answering, type Handler, KEY, listening } from '../support/app.ts'
import { gate } from '../support/gate.ts'
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

/** What a mounted app may begin before it returns, and do later. Each resolves once it has called `use`. */
const laterWork: Record<string, (ctx: Koa.Context, use: () => Promise<unknown>) => Promise<unknown>> = {
  'a stream that a generator makes': (ctx, use) =>
    new Promise((resolve, reject) => {
      async function* page() {
        yield 'first\n'
        await use().then(resolve, reject)
        yield 'last\n'
      }
      ctx.body = Readable.from(page())
    }),
  'a stream that is written to': async (ctx, use) => {
    const body = new PassThrough()
    ctx.body = body
    body.write('first\n')
    await once(ctx.res, 'pipe')
    await use().finally(() => body.end('last\n'))
  },
  'a listener of the response': (ctx, use) => {
    ctx.body = 'done'
    return new Promise((resolve, reject) => ctx.res.once('finish', () => use().then(resolve, reject)))
  },
  'a timer': (ctx, use) => {
    ctx.body = 'done'
    return new Promise((resolve, reject) => {
      ctx.res.once('close', () => setTimeout(() => use().then(resolve, reject)))
    })
  },
}

test('what a mounted app does after it has returned is done to its own session', async t => {
  for (const hasSessions of [true, false]) {
    for (const [name, begin] of Object.entries(laterWork)) {
      let later: Promise<unknown> | undefined
      const inner = anAppWith(admin, async ctx => {
        await ctx.session.set('user', 'root')
        later = begin(ctx, async () => ctx.session.set('exported', true))
      })
      const outer = anAppWith({}, async (ctx, next) => {
        await ctx.session.inc('visits')
        await next()
      })
      const app = hasSessions ? outer.app : new Koa()
      app.use(mount('/admin', inner.app))
      const { visitor, errors } = await listening(t, app)
      const ada = visitor()
      assert.equal((await ada.get('/admin')).status, 200, name)
      await later
      assert.deepEqual(await fieldsIn(inner), [{ user: 'root', exported: true }], name)
      assert.deepEqual(await fieldsIn(outer), hasSessions ? [{ visits: 1 }] : [], name)
      assert.deepEqual(errors, [], name)
    }
  }
})

test('a mounted app that has begun what comes after it, or has left work behind, keeps to its own session', async t => {
  const [innerIsOver, innerWent] = [gate(), gate()]
  let later: Promise<unknown> | undefined
  const inner = anAppWith(admin, async (ctx, next) => {
    await ctx.session.inc('n')
    later = innerIsOver.opened.then(() => ctx.session.set('left behind', true))
    const after = next()
    await ctx.session.inc('n')
    innerWent.open()
    await after
    await ctx.session.inc('n')
  })
  const outer = anAppWith({}, async (_, next) => {
    await next()
    innerIsOver.open()
    await later
  })
  outer.app.use(mount('/admin', inner.app))
  outer.app.use(async ctx => {
    await innerWent.opened
    await ctx.session.set('after', true)
    ctx.body = 'done'
  })
  const { visitor } = await listening(t, outer.app)
  assert.deepEqual(namesIn(await visitor().get('/admin')), ['admin', 'sid'])
  assert.deepEqual(await fieldsIn(inner), [{ n: 3, 'left behind': true }])
  assert.deepEqual(await fieldsIn(outer), [{ after: true }])
})

test('apps that one request passes each keep to their own sessions in the work they leave behind', async t => {
  const areOver = gate()
  const later: Promise<unknown>[] = []
  const leavingWork = (key: string, ...inside: SomeApp[]): SomeApp => {
    const some = anAppWith({ key }, async (ctx, next) => {
      later.push(areOver.opened.then(() => ctx.session.set('of', key)))
      await next()
    })
    for (const { app } of inside) some.app.use(mount('/', app))
    return some
  }
  const innermost = leavingWork('innermost')
  const [first, second] = [leavingWork('first', innermost), leavingWork('second')]
  const outer = anAppWith({}, async (ctx, next) => {
    await next()
    areOver.open()
    await Promise.all(later)
    await ctx.session.set('of', 'sid')
    ctx.body = 'done'
  })
  for (const { app } of [first, second]) outer.app.use(mount('/', app))
  const { visitor, errors } = await listening(t, outer.app)
  assert.deepEqual(namesIn(await visitor().get('/')), ['first', 'innermost', 'second', 'sid'])
  assert.deepEqual(await fieldsIn(innermost), [{ of: 'innermost' }])
  assert.deepEqual(await fieldsIn(first), [{ of: 'first' }])
  assert.deepEqual(await fieldsIn(second), [{ of: 'second' }])
  assert.deepEqual(await fieldsIn(outer), [{ of: 'sid' }])
  assert.deepEqual(errors, [])
})

test('the app around a mounted app has its own sessions in what the mounted app calls', async t => {
  const inner = anAppWith(admin, async ctx => {
    await ctx.session.set('name', 'Ada')
    await ctx.state.count()
    void ctx.session.inc('name')
    ctx.body = 'done'
  })
  const outer = anAppWith({}, async (ctx, next) => {
    ctx.state.count = () => ctx.session.inc('counted')
    await next()
  })
  const listeners: Promise<unknown>[] = []
  outer.app.on('error', (_, ctx) => listeners.push(ctx.session.inc('errors')))
  outer.app.use(mount('/admin', inner.app))
  const { visitor, errors } = await listening(t, outer.app)
  assert.equal((await visitor().get('/admin')).status, 500)
  await Promise.all(listeners)
  assert.equal(errors.length, 1)
  assert.deepEqual(await fieldsIn(inner), [{ name: 'Ada' }])
  assert.deepEqual(await fieldsIn(outer), [{ counted: 1, errors: 1 }])
})

test('a mounted app has the context of the app around it, but for its sessions', async t => {
  const seen: Record<string, unknown> = {}
  const inner = anAppWith(admin, async ctx => {
    seen.has = 'session' in ctx
    seen.given = ctx.given
    assert.throws(() => Object.assign(ctx, { session: null }), /ctx.session cannot be assigned/)
    Object.assign(ctx, { taken: 'by the outer app', respond: false })
    ctx.cookies.set('own', '1')
    await ctx.session.inc('n')
    ctx.res.end('by hand')
  })
  const outer = new Koa()
  outer.use(async (ctx, next) => {
    ctx.given = 'by the outer app'
    await next()
    seen.taken = ctx.taken
    seen.hasAfter = 'session' in ctx
  })
  outer.use(mount('/admin', inner.app))
  const { visitor, errors } = await listening(t, outer)
  const answer = await visitor().get('/admin')
  assert.equal(answer.text, 'by hand')
  assert.deepEqual(namesIn(answer), ['admin', 'own'])
  const given = 'by the outer app'
  assert.deepEqual(seen, { has: true, given, taken: given, hasAfter: false })
  assert.deepEqual(errors, [])
})

test('each of a mounted app’s kinds of session knows the others as the app does', async t => {
  const inner = anAppWith({
    ...admin,
    adopt: async ctx => ({ role: await (ctx as unknown as Koa.Context).badge.get('role') }),
  })
  const badges = watched(memoryStore())
  Session(inner.app, { store: badges.store, key: 'badge', property: 'badge' })
  inner.app.use(async ctx => {
    await ctx.badge.set('role', 'admin')
    await ctx.session.inc('n')
    ctx.body = 'done'
  })
  const outer = anAppWith({})
  outer.app.use(mount('/admin', inner.app))
  const { visitor, errors } = await listening(t, outer.app)
  assert.deepEqual(namesIn(await visitor().get('/admin')), ['admin', 'badge'])
  assert.deepEqual(errors, [])
  assert.deepEqual(await fieldsIn(badges), [{ role: 'admin' }])
  assert.deepEqual(await fieldsIn(inner), [{ role: 'admin', n: 1 }])
  assert.deepEqual(await fieldsIn(outer), [])
})

test('an app’s middleware keeps its name and its properties', () => {
  const { app } = anAppWith()
  const router = { name: 'of a library' }
  app.use(Object.assign(function routes() {}, { router }))
  const used = app.middleware.at(-1)
  assert.deepEqual([used?.name, { ...used }], ['routes', { router }])
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

test('a mounted app leaves the context’s property as it was', async t => {
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
