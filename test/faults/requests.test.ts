import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, request } from 'node:http'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { StoreUnavailableError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, type RunningApp } from '../support/app.ts'
import { aFaultyApp, type FaultyApp, signedIn, TOLERANCE } from '../support/faultyapp.ts'
import { gate } from '../support/gate.ts'
import { withoutMongoDB } from '../support/mongodb/collection.ts'
import type { Visitor } from '../support/visitor.ts'

const skip = withoutMongoDB

async function fieldsIn({ collection }: FaultyApp): Promise<unknown> {
  const [document] = await collection.find().toArray()
  return (document as { data?: unknown } | undefined)?.data
}

/** A request of a visitor who may close the browser before it is answered. */
function asking({ url }: Pick<RunningApp, 'url'>, { jar }: Visitor, path: string): ClientRequest {
  const headers = { Cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') }
  return request(`${url}${path}`, { headers })
    .on('error', () => {})
    .end()
}

function closed(asked: ClientRequest): Promise<void> {
  return new Promise(resolve => asked.once('close', () => resolve()))
}

/** Fails the test if a promise is forgotten while it runs. */
function noneForgotten(t: TestContext): void {
  const forgotten: unknown[] = []
  const listen = (reason: unknown) => void forgotten.push(reason)
  process.on('unhandledRejection', listen)
  t.after(() => {
    process.off('unhandledRejection', listen)
    assert.deepEqual(forgotten, [])
  })
}

test('a change made while a body flows is kept, and close() waits for it', { skip }, async t => {
  const write = gate()
  const app = await aFaultyApp(t, {
    timeout: TOLERANCE,
    routes: {
      '/stream': async ctx => {
        const name = await ctx.session.get('name')
        const body = new PassThrough()
        ctx.body = body
        body.write(`${name} `)
        write.opened
          .then(() => ctx.session.set('streamed', true))
          .then(
            () => body.end('streamed'),
            error => body.end(String(error)),
          )
      },
    },
  })
  const ada = await signedIn(app)
  const [response] = await once(asking(app, ada, '/stream'), 'response')
  let isClosed = false
  const closed = app.sessions.close().then(() => {
    isClosed = true
  })
  // Those that come meanwhile are served.
  assert.equal((await app.visitor().get('/count')).status, 200)
  assert.equal(isClosed, false)
  write.open()
  assert.equal(await text(response), 'Ada streamed')
  await closed
  assert.deepEqual(await fieldsIn(app), { name: 'Ada', streamed: true })
})

test('a change that fails while a body flows is reported, and the body flows on', { skip }, async t => {
  const write = gate()
  const written = gate()
  const app = await aFaultyApp(t, {
    routes: {
      '/stream': ctx => {
        const body = new PassThrough()
        ctx.body = body
        body.write('first ')
        write.opened.then(() => {
          ctx.session.set('streamed', true)
        })
        written.opened.then(() => body.end('last'))
      },
    },
  })
  const ada = await signedIn(app)
  const [response] = await once(asking(app, ada, '/stream'), 'response')
  await app.proxy.refuse()
  const reported = once(app.app, 'error')
  write.open()
  const [error] = await reported
  assert.ok(error instanceof StoreUnavailableError)
  written.open()
  assert.equal(await text(response), 'first last')
})

test('what was begun for a visitor who has gone is done to its end', { skip }, async t => {
  noneForgotten(t)
  const begun = gate()
  const gone = gate()
  const finished = gate()
  const app = await aFaultyApp(t, {
    timeout: TOLERANCE,
    routes: {
      '/long': async ctx => {
        await ctx.session.set('before', 1)
        begun.open()
        await gone.opened
        await ctx.session.set('after', 2)
        ctx.session.set('unawaited', 3)
        ctx.body = 'done'
        finished.open()
      },
    },
  })
  const ada = await signedIn(app)
  const asked = asking(app, ada, '/long')
  await begun.opened
  asked.destroy()
  await closed(asked)
  gone.open()
  await finished.opened
  await app.sessions.close()
  assert.deepEqual(await fieldsIn(app), { name: 'Ada', before: 1, after: 2, unawaited: 3 })
  assert.deepEqual(app.errors, [])
})

for (const asks of ['before', 'after'] as const) {
  test(`close() waits for who works for a visitor who has gone, and asked for the session ${asks} that`, async t => {
    const begun = gate()
    const paid = gate()
    const closing = gate()
    let fields: unknown
    const { errors, sessions, ...running } = await anApp(t, { store: memoryStore() }, async ctx => {
      if (asks === 'before') await ctx.session.set('paid', true)
      begun.open()
      await once(ctx.res, 'close')
      if (asks === 'after') await ctx.session.set('paid', true)
      paid.open()
      await closing.opened
      await ctx.session.set('delivered', true)
      fields = await ctx.session.get('paid', 'delivered')
    })
    const asked = asking(running, running.visitor(), '/')
    await begun.opened
    asked.destroy()
    await paid.opened
    const closed = sessions.close()
    setImmediate(closing.open)
    await closed
    assert.deepEqual(fields, [true, true])
    assert.deepEqual(errors, [])
  })
}

test('close() waits no longer than the timeout for who never comes to an end', async t => {
  const begun = gate()
  const { sessions, ...running } = await anApp(t, { store: memoryStore(), timeout: 50 }, async ctx => {
    await ctx.session()
    begun.open()
    await new Promise(() => {})
  })
  const asked = asking(running, running.visitor(), '/')
  await begun.opened
  asked.destroy()
  await sessions.close()
})

test('close() does not wait for who asks for a session once a visitor who has gone was seen to', async t => {
  const begun = gate()
  const asked = gate()
  const { sessions, ...running } = await anApp(
    t,
    { store: memoryStore(), timeout: '1 minute' },
    async ctx => {
      begun.open()
      await once(ctx.res, 'close')
      setImmediate(() => ctx.session().then(asked.open))
    },
  )
  const visit = asking(running, running.visitor(), '/')
  await begun.opened
  visit.destroy()
  await asked.opened
  const started = performance.now()
  await sessions.close()
  // Far less than the timeout.
  assert.ok(performance.now() - started < 30_000)
})

test('visitors who leave while the store hangs leave nothing behind', { skip }, async t => {
  noneForgotten(t)
  let begun = 0
  const allBegun = gate()
  const begin = () => {
    if (++begun === 100) allBegun.open()
  }
  const app = await aFaultyApp(t, {
    routes: {
      '/reading': async ctx => {
        begin()
        await ctx.session()
      },
      '/writing': ctx => {
        begin()
        return ctx.session.inc('n')
      },
    },
  })
  const ada = await signedIn(app)
  app.proxy.stall()
  const asked = Array.from({ length: 100 }, (_, index) =>
    asking(app, ada, index % 2 === 0 ? '/reading' : '/writing'),
  )
  await allBegun.opened
  for (const one of asked) one.destroy()
  await app.sessions.close()
  assert.ok(app.errors.length > 0)
  for (const error of app.errors) assert.ok(error instanceof StoreUnavailableError, String(error))
})

for (const caught of [false, true]) {
  const how = caught ? 'caught by the app' : 'answered by Koa'
  test(`what was acknowledged before an error ${how} is kept, and what comes after it is not begun`, {
    skip,
  }, async t => {
    const app = await aFaultyApp(t, {
      timeout: TOLERANCE,
      prepare: koa => {
        if (!caught) return
        koa.use(async (ctx, next) => {
          await next().catch(() => {
            ctx.status = 500
            ctx.body = 'sorry'
          })
        })
      },
      routes: {
        '/at-once': () => {
          throw new Error('at once')
        },
        '/between': async ctx => {
          await ctx.session.set('before', true)
          ctx.session.set('unawaited', true)
          throw new Error('between')
        },
        '/failing': async ctx => {
          await ctx.session.set('again', true)
          await app.proxy.refuse()
          await ctx.session.set('lost', true)
        },
      },
    })
    const ada = app.visitor()
    assert.equal((await ada.get('/at-once')).status, 500)
    assert.equal(ada.jar.size, 0)
    const between = await ada.get('/between')
    assert.equal(between.status, 500)
    assert.equal(between.setCookies.length, 1)
    assert.deepEqual(await fieldsIn(app), { before: true, unawaited: true })
    assert.equal((await ada.get('/failing')).status, caught ? 500 : 503)
    assert.deepEqual(await fieldsIn(app), { before: true, unawaited: true, again: true })
  })
}
