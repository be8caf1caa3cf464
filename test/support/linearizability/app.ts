import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import Koa from 'koa'
import Session, { type OnceOptions, SessionError, type Store } from '../../../src/index.ts'
import { commands } from '../../../src/language/commands.ts'
import { unhurried } from '../unhurried.ts'
import { isLost, losses } from './forgetful.ts'
import type { Call, Request } from './requests.ts'

type Commands = Record<string, (...args: unknown[]) => Commands & PromiseLike<unknown>>

interface Producing {
  once(path: string, produce: () => unknown, options: OnceOptions<unknown>): Promise<unknown>
}

interface Readable {
  get(...paths: readonly string[]): Promise<unknown>
}

/** An app with a route for each command, one for chains, and those that read, end and renew the session. */
export function appOn(store: Store): Koa {
  const app = new Koa()
  app.keys = ['the same long key for every process of the app']
  app.silent = true
  Session(app, { store })
  // Around the session's own middleware, so that the error of a change that nobody awaited is answered like any other.
  app.middleware.unshift(errorsByCode)
  app.use(bodyParser())

  const router = new Router()
  for (const name of [...Object.keys(commands), 'chain']) router.post(`/${name}`, obey)
  router.post('/read', async ctx => {
    const session = await ctx.session()
    ctx.body = { fields: { ...session }, isNew: session.isNew }
  })
  router.post('/get', async ctx => {
    const { paths } = bodyOf(ctx) as Request & { kind: 'get' }
    const session: Readable = ctx.session
    const found = await session.get(...paths)
    ctx.body = { values: paths.length > 1 ? found : [found] }
  })
  router.post('/once', async ctx => {
    const { path, value } = bodyOf(ctx) as Request & { kind: 'once' }
    const session: Producing = ctx.session
    // A lost answer may leave a lease behind.
    ctx.body = { value: await session.once(path, () => value, { lease: '1s', wait: '20s' }) }
  })
  router.post('/destroy', async ctx => {
    await ctx.session.destroy()
    ctx.body = {}
  })
  router.post('/regenerate', async ctx => {
    const { keep } = bodyOf(ctx) as Request & { kind: 'regenerate' }
    const session = await ctx.session.regenerate({ keep: typeof keep === 'boolean' ? keep : [...keep] })
    ctx.body = { fields: { ...session } }
  })
  app.use(router.routes())
  return app
}

async function errorsByCode(ctx: Koa.Context, next: Koa.Next): Promise<void> {
  try {
    await next()
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    ctx.status = error.status
    ctx.body = { code: error.code, isOver: isLost(error) || isLost(error.cause) }
  }
}

async function obey(ctx: Koa.Context): Promise<void> {
  const { calls, manner } = bodyOf(ctx) as Request & { kind: 'commands' }
  if (manner === 'unawaited') {
    begun(ctx.session, calls)
    ctx.body = {}
  } else if (manner === 'handle') {
    ctx.body = { result: await begun(ctx.session, calls) }
  } else {
    const loss = { hasLost: false }
    ctx.body = await losses.run(loss, async () => {
      const session = await ctx.session()
      const before = { ...session }
      const result: unknown = await begun(session, calls)
      const after = { ...session }
      return { before, after, hasLost: loss.hasLost, result: result === session ? undefined : result }
    })
  }
}

function begun(target: unknown, calls: readonly Call[]): PromiseLike<unknown> {
  let chain = target as Commands & PromiseLike<unknown>
  for (const [name, ...args] of calls) chain = chain[name]?.(...args) as typeof chain
  return chain
}

function bodyOf(ctx: Koa.Context): unknown {
  return (ctx.request as { body?: unknown }).body
}

export interface RunningApp {
  readonly origin: string
  close(): Promise<void>
}

export async function startApp(store: Store): Promise<RunningApp> {
  const server = createServer(unhurried, appOn(store).callback())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, close: () => closed(server) }
}

function closed(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
