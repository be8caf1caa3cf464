import { ServerResponse } from 'node:http'
import type Koa from 'koa'
import { FieldError } from '../errors.ts'
import type { Framework } from '../http/exchange.ts'
import { keysOf } from '../http/keys.ts'
import { watchHeaders } from '../http/node-exchange.ts'
import { type SessionOptions as OptionsFor, settingsOf } from '../http/options.ts'
import { Sessions } from '../http/sessions.ts'
import type { StoreMaker } from '../http/source.ts'
import type { UserValue } from '../language/types/user.ts'
import { whileReporting } from '../reports.ts'
import type { DefaultData, SessionHandle, ValidData } from '../session/types.ts'
import { assertArguments, isTaken } from './arguments.ts'
import { KoaExchange } from './context.ts'
import { type AnyApp, sessionsOf } from './mounting.ts'
import { reportable } from './thrown.ts'

declare module 'koa' {
  interface DefaultContext {
    /** The visitor's session: `await ctx.session()` loads it, and its methods change it without loading. */
    readonly session: SessionHandle<DefaultData>
  }
}

/**
 * The options of `Session(app, options)`. A wrong option throws a `ConfigurationError` at once, which names it. `User` is the type
 * of the option `user`.
 */
export type SessionOptions<Data = DefaultData, User extends string = string> = OptionsFor<
  Data,
  User,
  Koa.Context
>

/**
 * The type of `ctx` for an app that gives its sessions' type to `Session`, not through `SessionData`:
 *
 *     const app = new Koa<Koa.DefaultState, SessionContext<Cart>>()
 *     const sessions = Session<Cart>(app)
 *
 * With the option `property`, give its value as the second argument: `SessionContext<Cart, 'cartSession'>`. An app with several
 * kinds of session uses `SessionContext<Account> & SessionContext<Cart, 'cartSession'>`.
 */
export type SessionContext<Data, Property extends string = 'session'> = {
  readonly [P in Property]: SessionHandle<Data>
}

export type KoaSessions<Data, Collection, User extends string> = Sessions<
  Data,
  Collection,
  UserValue<Data, User>,
  Koa.Context,
  Koa.Middleware
>

/** Makes the function `Session(app, options)`. `makeStore` makes a store from a collection. */
export function sessionWith<Collection>(makeStore: StoreMaker<Collection>) {
  /**
   * Gives every request of `app` a session, at `ctx.session`. Each response is held back until the request's changes are
   * acknowledged. Call it before `app.callback()` and `app.listen()`.
   *
   * @throws {ConfigurationError} if an option is not valid.
   */
  return function Session<Data extends ValidData<Data> = DefaultData, User extends string = string>(
    app: AnyApp,
    options: SessionOptions<NoInfer<Data>, User> = {},
  ): KoaSessions<Data, Collection, User> {
    assertArguments(app, options)
    const settings = settingsOf(options, property => isTaken(app, property))
    const framework: Framework<Koa.Context, Koa.Middleware> = {
      settings,
      keys: keysOf(app),
      // A mounted app's errors are reported with the `ctx` of the app whose listeners get them.
      exchangeOf: ctx => new KoaExchange(ctx.request.ctx),
      watchHeaders: ctx => watchHeaders(ctx.res),
      contextOf: request => app.createContext(request, new ServerResponse(request)),
      handle: `ctx.${settings.property}`,
      unseen: unseen(settings.property),
      adopt: options.adopt,
      guarding: guard => (ctx, next) => {
        guard(ctx)
        return next()
      },
      report: thrown => {
        const error = reportable(thrown)
        if (app.listenerCount('error') > 0) app.emit('error', error)
        else app.onerror(error)
      },
    }
    const sessions: KoaSessions<Data, Collection, User> = new Sessions(makeStore, framework, options.store)
    const { requests } = sessions

    const { key, property } = settings
    const kind = { key, property, handleIn: (ctx: Koa.Context) => requests.handleIn(ctx) }
    const appSessions = sessionsOf(app)
    appSessions.add(kind)
    Object.defineProperty(app.context, property, {
      configurable: true,
      get(this: Koa.Context) {
        return this.req && requests.handleIn(this.request.ctx)
      },
      set() {
        throw new FieldError(
          `ctx.${property} cannot be assigned: use its commands, destroy() or regenerate()`,
          property,
        )
      },
    })
    // Before all other middleware, even what was used earlier: a change by any of them is waited for.
    app.middleware.unshift((ctx, next) => {
      if (ctx.app !== app) appSessions.claim(kind, ctx)
      return requests.serve(ctx, next)
    })
    noteReports(app)
    return sessions
  }
}

/** Notes when an error is being reported: also errors that Koa or the app report by `app.emit('error', …)`. */
function noteReports(app: AnyApp): void {
  const { emit } = app
  const noting = (event: string | symbol, ...args: unknown[]): boolean =>
    event === 'error' ? whileReporting(() => emit.call(app, event, ...args)) : emit.call(app, event, ...args)
  Object.defineProperty(app, 'emit', { value: noting, configurable: true, writable: true })
}

function unseen(property: string): string {
  return (
    `ctx.${property} was used in a request that Session(app) does not see, so that no response would wait for it: call ` +
    'Session(app) before app.callback(), app.listen() or the mounting of the app, and use the session in middleware that ' +
    'comes after; outside of them use sessions.load(request)'
  )
}
