import { type IncomingMessage, ServerResponse } from 'node:http'
import type Koa from 'koa'
import { timed } from '../core/deadline.ts'
import { ConfigurationError, FieldError } from '../core/errors.ts'
import { handleOf } from '../core/handle.ts'
import { onceAMinute, onceOfAKind, whileReporting } from '../core/reports.ts'
import type { DefaultData, SessionHandle, Tokens, ValidData } from '../core/types.ts'
import { Visit, type VisitOptions } from '../core/visit.ts'
import { adopting } from './adopting.ts'
import { cookieReader, NewCookie, SessionCookie } from './cookie.ts'
import { keysOf } from './keys.ts'
import { type SessionOptions, settle } from './options.ts'
import { Sessions, type StoreMaker } from './sessions.ts'
import { answerable } from './thrown.ts'

declare module 'koa' {
  interface DefaultContext {
    /** The visitor's session: call it to load it, or call its commands on it. */
    readonly session: SessionHandle<DefaultData>
  }
}

/**
 * For an app whose sessions are typed by themselves, not through `SessionData`:
 *
 *     const app = new Koa<Koa.DefaultState, SessionContext<Cart>>()
 *     const sessions = Session<Cart>(app)
 */
export interface SessionContext<Data> {
  /** The visitor's session: call it to load it, or call its commands on it. */
  readonly session: SessionHandle<Data>
}

/** Any app, of whatever state and context. */
// biome-ignore lint/suspicious/noExplicitAny: a Koa app is invariant in both
type AnyApp = Koa<any, any>

/** What one request uses of its session, once it has asked for it. */
interface Use {
  readonly visit: Visit
  readonly handle: SessionHandle<unknown>
  /** Nobody works at the response any more. */
  readonly done: () => void
}

/** Makes `Session(app, options)`, given what makes a store of a collection. */
export function sessionWith<Collection>(makeStore: StoreMaker<Collection>) {
  /**
   * Gives every request of `app` a session, at `ctx.session`, and holds each response until the changes made for it are
   * acknowledged. Call it before other middleware is used.
   *
   * @throws {ConfigurationError} for options that cannot work.
   */
  return function Session<Data extends ValidData<Data> = DefaultData>(
    app: AnyApp,
    options: SessionOptions = {},
  ): Sessions<Data, Collection> {
    const settings = settle(options, app)
    claimKey(app, settings.key)
    const keys = keysOf(app)
    const store = timed(() => sessions.ready(), settings.timeout)
    const visitOptions: VisitOptions = { ...settings, store }
    const parts = {
      store,
      visit: visitOptions,
      cookies: cookieReader(settings, keys),
      newCookie: () => new NewCookie(settings.key, keys()),
      request: (request: IncomingMessage) => app.createContext(request, new ServerResponse(request)).request,
      tokens: (ctx: Koa.Context) => ctx[settings.property] as Tokens,
      user: settings.user,
      report: onceAMinute(error =>
        app.listenerCount('error') > 0 ? app.emit('error', error) : app.onerror(error as Error),
      ),
    }
    const sessions = new Sessions<Data, Collection>(makeStore, parts, options.store)
    const { adopt } = options
    const used = Symbol(settings.property)
    // `null`: it was never asked for, and the app has done its part.
    type UsingContext = Koa.Context & { [used]?: Use | null }

    const use = (ctx: UsingContext): Use => {
      const cookie = new SessionCookie(ctx, settings, keys())
      const asked = adopt ? { ...visitOptions, adopt: adopting(adopt, ctx, cookie, settings) } : visitOptions
      const visit = new Visit(cookie, asked)
      const done = sessions.responses.add(ctx.res)
      const isOver = ctx[used] === null
      if (isOver) done()
      // Nobody will come for what fails from here on.
      if (isOver || ctx.res.headersSent) visit.queue.close(reporterOf(ctx))
      ctx[used] = { visit, handle: handleOf(visit, `ctx.${settings.property}`), done }
      return ctx[used]
    }

    Object.defineProperty(app.context, settings.property, {
      configurable: true,
      get(this: UsingContext) {
        if (!this.req) return undefined
        const ctx = this.request.ctx as UsingContext
        return (ctx[used] ?? use(ctx)).handle
      },
      set() {
        throw new FieldError(
          `ctx.${settings.property} cannot be assigned: use its commands, destroy() or regenerate()`,
          settings.property,
        )
      },
    })

    // First of all, whenever this is called: a change made by any middleware is waited for.
    app.middleware.unshift((ctx: UsingContext, next) =>
      next().then(
        () => {
          if (ctx[used]) return answered(ctx, ctx[used])
          ctx[used] = null
          return undefined
        },
        error => {
          if (ctx[used]) return failed(ctx, ctx[used], error)
          ctx[used] = null
          throw error
        },
      ),
    )
    noteReports(app)
    return sessions
  }
}

const keysIn = new WeakMap<AnyApp, Set<string>>()

/** Two kinds of session under one cookie's name would each undo what the other gives. */
function claimKey(app: AnyApp, key: string): void {
  const taken = keysIn.get(app) ?? new Set()
  if (taken.has(key)) {
    throw new ConfigurationError(
      `key: this app has sessions with the cookie ${key} already; give these another name`,
    )
  }
  keysIn.set(app, taken.add(key))
}

/** The handler has done its part: the response leaves once all it asked for is acknowledged, or fails. */
async function answered(ctx: Koa.Context, { visit, done }: Use): Promise<void> {
  const { queue } = visit
  const failures: unknown[] = []
  const unfinished: unknown[] = []
  do {
    await queue.settled()
    await visit.finish().catch(error => unfinished.push(error))
    // Something may have been begun while the store was asked.
    if (queue.isPending) continue
    failures.push(...queue.failures(), ...unfinished.splice(0))
    for (const other of failures.splice(1)) report(ctx, other)
    // Or by who is told of a failure.
  } while (queue.isPending)
  queue.close(reporterOf(ctx))
  done()
  if (failures.length > 0) throw failures[0]
}

/** The handler's own error is the response's; what went wrong beside it is reported. */
async function failed(ctx: Koa.Context, { visit, done }: Use, error: unknown): Promise<never> {
  const { queue } = visit
  do {
    await queue.settled()
    await visit.recheck()
    if (queue.isPending) continue
    for (const other of queue.failures()) if (other !== error) report(ctx, other)
  } while (queue.isPending)
  queue.close(reporterOf(ctx))
  done()
  throw answerable(error, ctx.headerSent || !ctx.writable)
}

/** Of what fails once the response has left. */
function reporterOf(ctx: Koa.Context): (error: unknown) => void {
  return onceOfAKind(error => report(ctx, error))
}

function report(ctx: Koa.Context, error: unknown): void {
  whileReporting(() => ctx.app.emit('error', error, ctx))
}

/** Koa and the app report failures too. */
function noteReports(app: AnyApp): void {
  const { emit } = app
  const noting = (event: string | symbol, ...args: unknown[]): boolean =>
    event === 'error' ? whileReporting(() => emit.call(app, event, ...args)) : emit.call(app, event, ...args)
  Object.defineProperty(app, 'emit', { value: noting, configurable: true, writable: true })
}
