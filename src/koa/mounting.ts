import type Koa from 'koa'
import { ConfigurationError } from '../errors.ts'

/** An app with any types of state and context. */
// biome-ignore lint/suspicious/noExplicitAny: a Koa app is invariant in both
export type AnyApp = Koa<any, any>

/** A kind of session: its cookie's name, its property of `ctx`, and what gives a request's session. */
interface Kind {
  readonly key: string
  readonly property: string
  readonly handleIn: (ctx: Koa.Context) => unknown
}

/** The cookie names of the mounted apps that a request has passed, with their owners. */
const claimed = Symbol('claimed')
type MountedContext = Koa.Context & { [claimed]?: Map<string, AppSessions> }

const sessionsIn = new WeakMap<AnyApp, AppSessions>()

/** The sessions of this app, of all its kinds. */
export function sessionsOf(app: AnyApp): AppSessions {
  const sessions = sessionsIn.get(app) ?? new AppSessions(app)
  sessionsIn.set(app, sessions)
  return sessions
}

/**
 * The sessions of an app, which may be mounted in another app. Koa calls its middleware with the outer app's `ctx` then. So the
 * middleware gets a `ctx` of its own in its place, which differs only in the app's sessions. Its streams, timers and listeners,
 * which run after it has returned, use this `ctx` too.
 */
export class AppSessions {
  readonly #app: AnyApp
  readonly #kinds = new Map<PropertyKey, Kind>()
  readonly #contexts = new WeakMap<Koa.Context, Koa.Context>()

  constructor(app: AnyApp) {
    this.#app = app
    const { use } = app
    this.#giveContext(0)
    const using = (middleware: Koa.Middleware): AnyApp => {
      const { length } = app.middleware
      use.call(app, middleware)
      this.#giveContext(length)
      return app
    }
    Object.defineProperty(app, 'use', { value: using, configurable: true, writable: true })
  }

  add(kind: Kind): void {
    // Two kinds of session with one cookie name would overwrite each other's cookie.
    if (this.has(kind.key)) {
      throw new ConfigurationError(
        `key: this app has sessions with the cookie ${kind.key} already; give these another name`,
      )
    }
    this.#kinds.set(kind.property, kind)
  }

  /** Whether a kind of session has this cookie. */
  has(key: string): boolean {
    return [...this.#kinds.values()].some(kind => kind.key === key)
  }

  /** @throws {ConfigurationError} if the app is mounted where it cannot have this kind of session. */
  claim({ key, property }: Kind, ctx: MountedContext): void {
    const taken = ctx[claimed] ?? new Map<string, AppSessions>()
    if (taken.has(key) ? taken.get(key) !== this : sessionsIn.get(ctx.app)?.has(key)) {
      throw new ConfigurationError(
        `key: an app that this one is mounted in has sessions with the cookie ${key} too; give these another name, ` +
          'or use its sessions: without Session() a mounted app has them',
      )
    }
    // A proxy cannot show another value in its place.
    if (Object.getOwnPropertyDescriptor(ctx, property)?.configurable === false) {
      throw new ConfigurationError(
        `property: ctx.${property} is taken by an app that this one is mounted in; give its session another name`,
      )
    }
    ctx[claimed] = taken.set(key, this)
  }

  /** Makes the app's middleware, from this index on, run with the app's own context. */
  #giveContext(from: number): void {
    const { middleware } = this.#app
    middleware.push(...middleware.splice(from).map(one => this.#withOwnContext(one)))
  }

  #withOwnContext(middleware: Koa.Middleware): Koa.Middleware {
    const withOwn: Koa.Middleware = (ctx, next) =>
      middleware(ctx.app === this.#app ? ctx : this.#contextIn(ctx), next)
    // Tools look for a middleware's name, or for the router that it belongs to.
    return Object.defineProperties(withOwn, Object.getOwnPropertyDescriptors(middleware))
  }

  #contextIn(outer: Koa.Context): Koa.Context {
    const known = this.#contexts.get(outer)
    if (known) return known
    const kinds = this.#kinds
    const { context } = this.#app
    const ctx: Koa.Context = new Proxy(outer, {
      get: (_, name, receiver) => {
        const kind = kinds.get(name)
        return kind ? kind.handleIn(ctx) : Reflect.get(outer, name, receiver)
      },
      set: (_, name, value, receiver) =>
        Reflect.set(kinds.has(name) ? context : outer, name, value, receiver),
      has: (_, name) => kinds.has(name) || Reflect.has(outer, name),
    })
    this.#contexts.set(outer, ctx)
    return ctx
  }
}
