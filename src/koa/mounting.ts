import type Koa from 'koa'
import { ConfigurationError } from '../errors.ts'

/** An app with any types of state and context. */
// biome-ignore lint/suspicious/noExplicitAny: a Koa app is invariant in both
export type AnyApp = Koa<any, any>

const keysIn = new WeakMap<AnyApp, Set<string>>()

/** Two kinds of session with one cookie name would overwrite each other's cookie. */
export function claimKey(app: AnyApp, key: string): void {
  const taken = keysIn.get(app) ?? new Set()
  if (taken.has(key)) {
    throw new ConfigurationError(
      `key: this app has sessions with the cookie ${key} already; give these another name`,
    )
  }
  keysIn.set(app, taken.add(key))
}

/** The cookie names of the mounted apps that a request has passed, with their owners. */
const claimed = Symbol('claimed')
type MountedContext = Koa.Context & { [claimed]?: Map<string, Mounting>; [outside: symbol]: unknown }

/**
 * Sessions of an app that is mounted in another app. Its middleware gets the outer app's `ctx`. So this property of `ctx` is the
 * mounted app's session while that app runs, and what it was before outside of it.
 */
export class Mounting {
  readonly #key: string
  readonly #property: string
  readonly #own: PropertyDescriptor
  readonly #outside = Symbol('outside')

  constructor(key: string, property: string, own: PropertyDescriptor) {
    this.#key = key
    this.#property = property
    this.#own = own
  }

  /** Runs the mounted app. */
  async inside(ctx: MountedContext, run: () => Promise<unknown>): Promise<void> {
    this.#claim(ctx)
    const { [this.#outside]: before } = ctx
    const outside = this.#swap(ctx, this.#own)
    ctx[this.#outside] = outside
    try {
      await run()
    } finally {
      this.#swap(ctx, outside)
      ctx[this.#outside] = before
    }
  }

  /** Runs the middleware that comes after the mounted app. */
  async outside(ctx: MountedContext, run: () => Promise<unknown>): Promise<void> {
    const own = this.#swap(ctx, ctx[this.#outside] as PropertyDescriptor | undefined)
    try {
      await run()
    } finally {
      this.#swap(ctx, own)
    }
  }

  #claim(ctx: MountedContext): void {
    const taken = ctx[claimed] ?? new Map<string, Mounting>()
    if (taken.has(this.#key) ? taken.get(this.#key) !== this : keysIn.get(ctx.app)?.has(this.#key)) {
      throw new ConfigurationError(
        `key: an app that this one is mounted in has sessions with the cookie ${this.#key} too; give these another name, ` +
          'or use its sessions: without Session() a mounted app has them',
      )
    }
    ctx[claimed] = taken.set(this.#key, this)
  }

  /** Replaces the property, and returns the descriptor that it had. */
  #swap(ctx: Koa.Context, descriptor: PropertyDescriptor | undefined): PropertyDescriptor | undefined {
    const before = Object.getOwnPropertyDescriptor(ctx, this.#property)
    const isSwapped = descriptor
      ? Reflect.defineProperty(ctx, this.#property, descriptor)
      : Reflect.deleteProperty(ctx, this.#property)
    if (isSwapped) return before
    throw new ConfigurationError(
      `property: ctx.${this.#property} is taken by an app that this one is mounted in; give its session another name`,
    )
  }
}

/** Makes `first` and `last` run before and after all other middleware of the app, including middleware added later. */
export function useAround(app: AnyApp, first: Koa.Middleware, last: Koa.Middleware): void {
  app.middleware.unshift(first)
  app.middleware.push(last)
  const { use } = app
  const useBefore = (middleware: Koa.Middleware): AnyApp => {
    use.call(app, middleware)
    app.middleware.push(...app.middleware.splice(app.middleware.indexOf(last), 1))
    return app
  }
  Object.defineProperty(app, 'use', { value: useBefore, configurable: true, writable: true })
}
