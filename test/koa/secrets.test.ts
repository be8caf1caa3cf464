import assert from 'node:assert/strict'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { type TestContext, test } from 'node:test'
import { format, inspect } from 'node:util'
import type Koa from 'koa'
import {
  type CommandStartedEvent,
  type CommandSucceededEvent,
  MongoClient,
  type MongoClientOptions,
} from 'mongodb'
import { idOf } from '../../src/ids.ts'
import { mongoStore, type Store, StoreUnavailableError } from '../../src/index.ts'
import { anApp, type Handler, KEY } from '../support/app.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import { clientOptions } from '../support/mongodb/options.ts'
import type { Answer, Visitor } from '../support/visitor.ts'
import { altered, onEachStore } from '../support/watchedstore.ts'

/** Everything that is told while an app runs, but for `Cookie` and `Set-Cookie` on their way. */
class Told {
  readonly lines: string[] = []

  /** As a thorough logger shows it. */
  add(where: string, what: unknown): void {
    this.lines.push(`${where}: ${typeof what === 'string' ? what : shown(what)}`)
  }
}

function shown(what: unknown): string {
  return `${inspect(what, { depth: Infinity, maxStringLength: null })} ${json(what)}`
}

function json(what: unknown): string {
  try {
    return JSON.stringify(what)
  } catch {
    return ''
  }
}

const messageOf = (error: unknown) => (error as Error).message

const routes: Record<string, Handler> = {
  '/noop': () => 'nothing',
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/get': ctx => ctx.session.get('name'),
  '/write': ctx => ctx.session.set('name', 'Ada').inc('n'),
  '/unawaited': ctx => {
    ctx.session.inc('n')
  },
  '/take': ctx => ctx.session.take('n'),
  '/touch': ctx => ctx.session.touch('30 days'),
  '/id': async ctx => (await ctx.session()).id,
  '/session': async ctx => {
    const session = await ctx.session()
    return [session, session.isNew, session.created, session.expires, session.maxAge]
  },
  '/destroy': ctx => ctx.session.destroy(),
  '/regenerate': async ctx => {
    const session = await ctx.session.regenerate({ keep: true })
    return [session.id, session]
  },
  '/rotate': async ctx => {
    const session = await ctx.session.regenerate({ keep: true, grace: '30s' })
    return [session.id, session]
  },
  '/submit': ctx => ctx.session.assertCSRF(ctx.get('x-csrf-token')),
  '/throw': async ctx => {
    await ctx.session.regenerate()
    throw new Error('The handler failed', { cause: await ctx.session() })
  },
  '/throw-visibly': async ctx => {
    await ctx.session.touch()
    ctx.throw(418, 'A teapot', { session: ctx.session })
  },
  '/throw-a-string': async ctx => {
    await ctx.session.touch()
    throw 'no error at all'
  },
  '/bad-path': ctx => ctx.session.set('$where', 1),
  '/bad-value': ctx => ctx.session.set('name', (() => 1) as never),
  '/bad-change': ctx => ctx.session.inc('name'),
  '/too-large': ctx => ctx.session.set('name', 'x'.repeat(2 ** 20)),
  '/assign': async ctx => {
    const session = await ctx.session()
    Object.assign(session, { name: 'Eve' })
  },
  '/assign-ctx': ctx => {
    Object.assign(ctx, { session: { name: 'Eve' } })
  },
  '/after-headers': async ctx => {
    ctx.respond = false
    ctx.res.writeHead(200)
    ctx.res.flushHeaders()
    const said = await ctx.session.regenerate().then(() => 'done', messageOf)
    ctx.res.end(String(said))
  },
}

/** What of `ctx` is the library's: headers are the visitor's own, and Koa itself shows them. */
function withoutHeaders(ctx: Koa.Context): unknown[] {
  const own = Reflect.ownKeys(ctx).filter(
    name => !/^(?:req|res|request|response|app)$|cookies/.test(String(name)),
  )
  return [ctx.session, ctx.state, ...own.map(name => [String(name), Reflect.get(ctx, name)])]
}

/** Walks over all routes with all kinds of visitors, while all that can be listened to is. */
async function aWalk(
  t: TestContext,
  store: Store,
  fail: (failing: boolean) => void,
): Promise<{
  told: Told
  secrets: ReadonlySet<string>
}> {
  const told = new Told()
  const secrets = new Set<string>()
  for (const name of ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const) {
    t.mock.method(console, name, (...args: unknown[]) => told.add(`console.${name}`, format(...args)))
  }
  const warn = (warning: Error) => told.add('warning', warning)
  const lifecycle = (event: unknown) => told.add('event', event)
  const traced = (event: unknown) => told.add('trace', event)
  process.on('warning', warn)
  subscribe('koa-atomic-session:lifecycle', lifecycle)
  const traces = { start: traced, end: traced, asyncStart: traced, asyncEnd: traced, error: traced }
  tracingChannel('koa-atomic-session:store').subscribe(traces)
  t.after(() => {
    process.off('warning', warn)
    unsubscribe('koa-atomic-session:lifecycle', lifecycle)
    tracingChannel('koa-atomic-session:store').unsubscribe(traces)
  })

  const { app, sessions, errors, visitor } = await anApp(
    t,
    {
      store,
      user: 'name',
      prepare: prepared => {
        // As Koa reports errors where an app has no listener of its own.
        prepared.on('error', error => prepared.onerror(error))
        prepared.use(async (ctx, next) => {
          try {
            await next()
          } catch (error) {
            told.add(`caught at ${ctx.path}`, error)
            throw error
          } finally {
            told.add(`ctx of ${ctx.path}`, withoutHeaders(ctx))
          }
        })
      },
    },
    {
      ...routes,
      '/form': ctx => {
        const token = ctx.session.createCSRF()
        secrets.add(token).add(token.slice(22))
        ctx.set('x-csrf-token', token)
      },
    },
  )

  /** What is in the jar is secret, whole and in parts: the secret, and the signature. */
  const note = ({ jar }: Visitor) => {
    const value = jar.get('sid')
    if (value === undefined) return
    const parts = value.split('.')
    const [secret = '', signature = ''] = [parts[0], parts.at(-1)]
    assert.ok(secret.length === 40 && signature.length === 43)
    for (const hidden of [value, secret, signature]) secrets.add(hidden)
    // Koa's routes answer with a session's id, so that would be found if anything was.
    assert.notEqual(idOf(secret), secret)
  }
  const add = (path: string, { text, headers }: Answer) => {
    const { 'set-cookie': _, 'x-csrf-token': __, ...others } = headers
    told.add(`body of ${path}`, text)
    told.add(`headers of ${path}`, others)
  }
  const walk = async (who: Visitor, paths = [...Object.keys(routes), '/form']) => {
    for (const path of paths) {
      const token = [...secrets].find(secret => secret.length === 65) ?? 'x'.repeat(65)
      add(path, await who.get(path, { 'x-csrf-token': token }))
      note(who)
    }
  }

  const ada = visitor()
  await ada.get('/write')
  note(ada)
  await walk(ada)
  await walk(visitor())
  // Each route with a session, whatever the one before has done to it.
  for (const path of Object.keys(routes)) {
    const who = visitor()
    await walk(who, ['/form', '/write', path])
    const late = who.twin()
    await walk(who, ['/rotate', '/destroy'])
    await walk(late, [path])
    late.leave()
  }
  const forger = visitor()
  forger.jar.set('sid', `${ada.jar.get('sid')?.slice(0, -1)}`)
  await forger.get('/read')

  // Sessions under way when the store fails.
  const unlucky = visitor()
  await walk(unlucky, ['/form', '/write'])
  fail(true)
  await walk(unlucky)
  await walk(visitor())
  fail(false)

  const id = (await unlucky.get('/id')).json as string
  for await (const session of sessions.find('Ada')) told.add('found', session)
  const opened = sessions.open(id)
  told.add('opened', [opened, await opened()])
  told.add('loaded', await sessions.load({ headers: { cookie: `sid=${unlucky.jar.get('sid')}` } } as never))
  told.add('sessions', sessions)
  told.add('app', [app, app.middleware])
  for (const error of errors) {
    told.add('error', error)
    told.add('its properties', { ...(error as object) })
    for (let cause = error; cause instanceof Error; cause = cause.cause) told.add('stack', cause.stack)
  }
  assert.ok(errors.length > 20)
  return { told, secrets }
}

function assertNothingTold({ told, secrets }: { told: Told; secrets: ReadonlySet<string> }): void {
  assert.ok(secrets.size > 100)
  for (const line of told.lines) {
    for (const secret of [...secrets, KEY]) {
      // A part of a secret is one too.
      for (const hidden of [secret, secret.slice(0, 16)]) {
        const at = line.indexOf(hidden)
        if (at >= 0)
          assert.fail(
            `A secret was told, ${line.slice(0, 50)}: ${line.slice(Math.max(0, at - 500), at + 80)}`,
          )
      }
    }
  }
}

onEachStore('no secret is in any log, error, event, body or inspection', async (t, watched) => {
  let failing = false
  const asked: unknown[] = []
  const store = altered(watched.store, (_, args) => {
    asked.push(args)
    if (failing) {
      throw new StoreUnavailableError('It is down', 'none', { cause: new Error('refused', { cause: args }) })
    }
  })
  const told = await aWalk(t, store, down => {
    failing = down
  })
  told.told.add('to the store', asked)
  told.told.add('in the store', await watched.records())
  assertNothingTold(told)
  const kinds = new Set(told.told.lines.map(line => line.split(/[: ]/)[0]))
  for (const kind of [
    'console.error',
    'event',
    'trace',
    'caught',
    'ctx',
    'body',
    'error',
    'sessions',
    'opened',
  ]) {
    assert.ok(kinds.has(kind), `${kind} was not listened to`)
  }
})

test('no secret is in MongoDB’s documents, nor in what its driver tells', {
  skip: withoutMongoDB,
}, async t => {
  const commands: unknown[] = []
  const client = new MongoClient(process.env.MONGODB_URI ?? '', {
    ...clientOptions,
    monitorCommands: true,
    ...logging(log => commands.push(log)),
  })
  t.after(() => client.close())
  client.on('commandStarted', ({ command }: CommandStartedEvent) => commands.push(command))
  client.on('commandSucceeded', ({ reply }: CommandSucceededEvent) => commands.push(reply))
  client.on('commandFailed', event => commands.push(event))
  const { collectionName } = aCollection(t)
  const collection = client.db('tests').collection(collectionName)
  let failing = false
  const store = altered(mongoStore({ collection }), () => {
    if (failing) throw new StoreUnavailableError('It is down', 'none')
  })
  const told = await aWalk(t, store, down => {
    failing = down
  })
  for (const command of commands) told.told.add('command', command)
  const documents = await collection.find().toArray()
  assert.ok(documents.length > 10)
  assert.ok(commands.length > 500)
  told.told.add('in the store', documents)
  assertNothingTold(told)
})

/** Of the driver's own log; the oldest drivers refuse such options, since they keep none. */
function logging(write: (log: unknown) => void): MongoClientOptions {
  const options: MongoClientOptions = {
    mongodbLogComponentSeverities: { default: 'debug' },
    mongodbLogMaxDocumentLength: 100_000,
    mongodbLogPath: { write },
  }
  try {
    new MongoClient('mongodb://127.0.0.1', options)
    return options
  } catch (error) {
    assert.match(String(error), /mongodblog\w+ are not supported/)
    return {}
  }
}
