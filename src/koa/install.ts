import { type IncomingMessage, ServerResponse } from 'node:http'
import type Koa from 'koa'
import { ConfigurationError, FieldError } from '../errors.ts'
import { adopting } from '../http/adopting.ts'
import { keysOf } from '../http/keys.ts'
import { type SessionOptions, settle } from '../http/options.ts'
import { Sessions, type StoreMaker } from '../http/sessions.ts'
import { cookieReader, NewCookie, SessionCookie } from '../http/set-cookie.ts'
import type { UserValue } from '../language/types/user.ts'
import type { SessionSettings } from '../session/current.ts'
import { handleOf } from '../session/handle.ts'
import { isReporting, onceAMinute, onceOfAKind, whileReporting } from '../session/reports.ts'
import type { DefaultData, SessionHandle, Tokens, ValidData } from '../session/types.ts'
import { Visit } from '../session/visit.ts'
import { timed } from '../store/timed.ts'
import { assertArguments, isTaken } from './arguments.ts'
import { type AnyApp, claimKey, Mounting, useAround } from './mounting.ts'
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
 *
 * With the option `property`, its value is the second argument: `SessionContext<Cart, 'cartSession'>`. An app that has several
 * kinds of session has `SessionContext<Account> & SessionContext<Cart, 'cartSession'>`.
 */
export type SessionContext<Data, Property extends string = 'session'> = {
  readonly [P in Property]: SessionHandle<Data>
}

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
  return function Session<Data extends ValidData<Data> = DefaultData, User extends string = string>(
    app: AnyApp,
    options: SessionOptions<NoInfer<Data>, User> = {},
  ): Sessions<Data, Collection, UserValue<Data, User>> {
    assertArguments(app, options)
    const settings = settle(options, property => isTaken(app, property))
    claimKey(app, settings.key)
    const keys = keysOf(app)
    const store = timed(() => sessions.ready(), settings.timeout, settings.user)
    const visitOptions: SessionSettings = { ...settings, store }
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
    const sessions = new Sessions<Data, Collection, UserValue<Data, User>>(makeStore, parts, options.store)
    const { adopt } = options
    const used = Symbol(settings.property)
    type UsingContext = Koa.Context & { [used]?: Use | 'unused' | 'over' }

    const use = (ctx: UsingContext): Use => {
      // A listener that is told of an error cannot help where it was raised.
      if (ctx[used] === undefined && !isReporting()) throw unseen(settings.property)
      const cookie = new SessionCookie(ctx, settings, keys())
      const asked = adopt ? { ...visitOptions, adopt: adopting(adopt, ctx, cookie, settings) } : visitOptions
      const visit = new Visit(cookie, asked)
      const done = sessions.responses.add(ctx.res)
      const isOver = ctx[used] !== 'unused'
      if (isOver) done()
      // Nobody will come for what fails from here on.
      if (isOver || ctx.res.headersSent) visit.queue.close(reporterOf(ctx))
      ctx[used] = { visit, handle: handleOf(visit, `ctx.${settings.property}`), done }
      return ctx[used]
    }

    const property: PropertyDescriptor = {
      configurable: true,
      get(this: UsingContext) {
        if (!this.req) return undefined
        const ctx = this.request.ctx as UsingContext
        const usage = ctx[used]
        return (typeof usage === 'object' ? usage : use(ctx)).handle
      },
      set() {
        throw new FieldError(
          `ctx.${settings.property} cannot be assigned: use its commands, destroy() or regenerate()`,
          settings.property,
        )
      },
    }
    Object.defineProperty(app.context, settings.property, property)

    const waitFor = (ctx: UsingContext, next: Koa.Next): Promise<void> => {
      ctx[used] = 'unused'
      return next().then(
        () => {
          if (typeof ctx[used] === 'object') return answered(ctx, ctx[used])
          ctx[used] = 'over'
          return undefined
        },
        error => {
          if (typeof ctx[used] === 'object') return failed(ctx, ctx[used], error)
          ctx[used] = 'over'
          throw error
        },
      )
    }
    /** An app may be mounted twice, and come upon itself: what it does is the first one's to wait for. */
    const waitAgain = (ctx: UsingContext, next: Koa.Next): Promise<void> =>
      next().finally(() => typeof ctx[used] === 'object' && ctx[used].visit.queue.settled())

    const mounting = new Mounting(settings.key, settings.property, property)
    // First of all, whenever this is called: a change made by any middleware is waited for.
    const first = (ctx: UsingContext, next: Koa.Next): Promise<void> => {
      if (ctx.app === app) return waitFor(ctx, next)
      return mounting.inside(ctx, () => (ctx[used] === undefined ? waitFor : waitAgain)(ctx, next))
    }
    const last: Koa.Middleware = (ctx, next) => (ctx.app === app ? next() : mounting.outside(ctx, next))
    useAround(app, first, last)
    noteReports(app)
    return sessions
  }
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

function unseen(property: string): ConfigurationError {
  return new ConfigurationError(
    `ctx.${property} was used in a request that Session(app) does not see, so that no response would wait for it: call ` +
      'Session(app) before app.callback(), app.listen() or the mounting of the app, and use the session in middleware that ' +
      'comes after; outside of them use sessions.load(request)',
  )
}
