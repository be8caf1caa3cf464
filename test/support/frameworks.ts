import { type RequestListener, type ServerResponse, STATUS_CODES } from 'node:http'
import { parse } from 'node:querystring'
import { text } from 'node:stream/consumers'
import { type TestContext, test as testOnce } from 'node:test'
import type Koa from 'koa'
import type { SessionOptions } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import * as koa from './app.ts'
import { NodeApp, NodeContext, type NodeSessions, nodeSessions } from './noderoom.ts'
import { onEachStore as onEachStoreOnce, type Watched, watched } from './watchedstore.ts'

export { KEY } from './app.ts'

/** What a handler gets, whichever framework serves. */
export type Context = Pick<
  Koa.Context,
  | 'session'
  | 'req'
  | 'res'
  | 'path'
  | 'query'
  | 'respond'
  | 'get'
  | 'set'
  | 'append'
  | 'flushHeaders'
  | 'vary'
  | 'throw'
>
export type Handler = (ctx: Context, next: Koa.Next) => unknown
export type Routes = Handler | Record<string, Handler>
export type App = Pick<Koa, 'keys' | 'proxy' | 'callback' | 'once'>

export interface AppOptions extends Omit<SessionOptions, 'adopt'>, Pick<koa.AppOptions, 'keys' | 'csrf'> {
  prepare?: (app: App) => void
}

export type RunningApp = Omit<koa.RunningApp, 'app'> & { readonly app: App }

/** The tests that run on `node:http`; all others run on Koa. */
const onNode = new WeakSet<TestContext>()

type Run = (t: TestContext) => Promise<void> | void

/** A test that runs on each framework; once, if it takes no `t`, without which it can serve nothing. */
export function test(title: string, run: Run): void
export function test(title: string, options: { readonly skip: boolean | string }, run: Run): void
export function test(title: string, ...given: [Run] | [{ readonly skip: boolean | string }, Run]): void {
  const [options, run] = given.length === 1 ? [{}, given[0]] : given
  testOnce(title, options, run)
  if (run.length === 0) return
  testOnce(`${title} (node:http)`, options, t => {
    onNode.add(t)
    return run(t)
  })
}

/** A test on each store that the package has and, since no store sees a framework, on one of them for each framework. */
export function onEachStore(title: string, run: (t: TestContext, watched: Watched) => Promise<void>): void {
  onEachStoreOnce(title, run)
  testOnce(`${title} (memory, node:http)`, t => {
    onNode.add(t)
    return run(t, watched(memoryStore()))
  })
}

/** An app with sessions, of the framework that the test is for, listening until the test ends. */
export async function anApp(
  t: TestContext,
  { keys = [koa.KEY], prepare, csrf, ...options }: AppOptions,
  routes: Routes,
): Promise<RunningApp> {
  if (!onNode.has(t)) {
    return koa.anApp(t, { keys, ...(prepare && { prepare }), ...(csrf && { csrf }), ...options }, routes)
  }
  const app = new ListeningApp()
  if (keys) app.keys = keys
  prepare?.(app as unknown as App)
  const sessions = nodeSessions(app, { timeout: koa.PATIENCE, ...options })
  const guard = csrf && sessions.csrf(csrf)
  app.serve = (req, res) => {
    const ctx = new ServedContext(app, req, res)
    void serve(sessions, ctx, options.property ?? 'session', async () => {
      if (guard) await ctx.parse()
      guard?.(ctx)
      return answerTo(ctx, routes)
    })
  }
  const running = { app, sessions, ...(await koa.listening(t, app)) }
  return running as unknown as RunningApp
}

class ListeningApp extends NodeApp {
  serve: RequestListener = () => {}

  callback(): RequestListener {
    return this.serve
  }
}

/** As Koa's context, as far as tests need it. */
class ServedContext extends NodeContext {
  respond = true

  get query(): Context['query'] {
    return parse(this.req.url?.split('?')[1] ?? '')
  }

  get(name: string): string {
    return String(this.req.headers[name.toLowerCase()] ?? '')
  }

  set(name: string, value: string | string[]): void {
    this.res.setHeader(name, value)
  }

  append(name: string, value: string | string[]): void {
    this.res.appendHeader(name, value)
  }

  flushHeaders(): void {
    this.res.flushHeaders()
  }

  vary(name: string): void {
    this.append('Vary', name)
  }

  toJSON(): object {
    return { path: this.path }
  }

  throw(status: number, message = String(status), more: object = {}): never {
    throw Object.assign(new Error(message), { status, expose: status < 500 }, more)
  }

  async parse(): Promise<void> {
    const type = this.get('Content-Type')
    const read = type === 'application/json' ? JSON.parse : type.includes('urlencoded') ? parse : undefined
    if (read) this.body = read(await text(this.req))
  }
}

/** Answers a request with what `handler` returns, once all that it asked of its session is acknowledged. */
async function serve(
  { requests }: NodeSessions,
  ctx: ServedContext,
  property: string,
  handler: () => Promise<string | undefined>,
): Promise<void> {
  Object.defineProperty(ctx, property, { get: () => requests.handleIn(ctx) })
  try {
    let answer: string | undefined
    await requests.serve(ctx, async () => {
      answer = await handler()
    })
    if (answer !== undefined) ctx.res.end(answer)
  } catch (error) {
    ctx.app.report(error)
    if (ctx.res.headersSent) ctx.res.destroy()
    else answerError(ctx.res, error as Partial<Record<string, unknown>> | null)
  }
}

function answerError(res: ServerResponse, error: Partial<Record<string, unknown>> | null): void {
  const { status, message, expose, headers } = error ?? {}
  for (const name of res.getHeaderNames()) res.removeHeader(name)
  for (const [name, value] of Object.entries(headers ?? {})) res.setHeader(name, value)
  res.statusCode = typeof status === 'number' && STATUS_CODES[status] ? status : 500
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  res.end(expose ? message : STATUS_CODES[res.statusCode])
}

async function answerTo(ctx: ServedContext, routes: Routes): Promise<string | undefined> {
  const handler = typeof routes === 'function' ? routes : routes[ctx.path]
  if (!handler) {
    ctx.res.statusCode = 404
    return 'Not Found'
  }
  const answer = await handler(ctx as unknown as Context, async () => {})
  if (answer === undefined) return ctx.respond ? '' : undefined
  if (!ctx.res.headersSent) ctx.set('Content-Type', 'application/json; charset=utf-8')
  return JSON.stringify(answer)
}
