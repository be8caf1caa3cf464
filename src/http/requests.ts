import { ConfigurationError } from '../errors.ts'
import type { SessionSettings } from '../session/current.ts'
import { isReporting } from '../session/reports.ts'
import type { SessionHandle } from '../session/types.ts'
import { Visit } from '../session/visit.ts'
import { broughtBy } from './brought.ts'
import type { Framework } from './exchange.ts'
import { Pending } from './pending.ts'
import { Responses } from './responses.ts'
import { SessionCookie } from './set-cookie.ts'

/** What a request has of its session: nothing until it asks for it. `over`: its handler has done its part without. */
type Use = Pending | 'unused' | 'over'

/** Where a request's context keeps its use of each kind of session. */
export type Using = { [used: symbol]: Use | undefined }

/** The requests of an app, each with its session once it asks for it. */
export class Requests<Context extends Using> {
  /** Those that use their session. */
  readonly responses = new Responses()
  readonly #used = Symbol('used')
  readonly #framework: Framework<Context, unknown>
  readonly #options: SessionSettings

  constructor(framework: Framework<Context, unknown>, options: SessionSettings) {
    this.#framework = framework
    this.#options = options
  }

  handleIn(ctx: Context): SessionHandle<unknown> {
    const use = ctx[this.#used]
    return (typeof use === 'object' ? use : this.#begin(ctx, use)).handle
  }

  /** Runs the handler of a request, and holds its response until what was asked for is acknowledged. */
  serve(ctx: Using, handler: () => Promise<unknown>): Promise<unknown> {
    const used = this.#used
    // Come upon itself, as an app does that is mounted twice: what it does is for the first one to wait for.
    if (ctx[used]) return handler().finally(() => typeof ctx[used] === 'object' && ctx[used].settled())
    ctx[used] = 'unused'
    return handler().then(
      () => {
        if (typeof ctx[used] === 'object') return ctx[used].answered()
        ctx[used] = 'over'
        return undefined
      },
      error => {
        if (typeof ctx[used] === 'object') return ctx[used].failed(error)
        ctx[used] = 'over'
        throw error
      },
    )
  }

  #begin(ctx: Context, use: 'unused' | 'over' | undefined): Pending {
    const { settings, keys, exchangeOf, handle, unseen, adopt } = this.#framework
    // A listener that is told of an error cannot help where it was raised.
    if (!use && !isReporting()) throw new ConfigurationError(unseen)
    const exchange = exchangeOf(ctx)
    const cookie = new SessionCookie(exchange, settings, keys())
    const ask = adopt && (() => broughtBy(adopt, ctx, cookie, settings.property))
    const visit = new Visit(cookie, ask ? { ...this.#options, adopt: ask } : this.#options)
    const pending = new Pending(exchange, visit, handle, use !== 'unused', this.responses.add(exchange))
    const uses: Using = ctx
    uses[this.#used] = pending
    return pending
  }
}
