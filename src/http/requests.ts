import { ConfigurationError } from '../errors.ts'
import { isReporting } from '../reports.ts'
import type { SessionSettings } from '../session/current.ts'
import type { SessionHandle } from '../session/types.ts'
import { Visit } from '../session/visit.ts'
import { broughtBy } from './brought.ts'
import type { Framework } from './exchange.ts'
import { Pending } from './pending.ts'
import { Responses } from './responses.ts'
import { SessionCookie } from './set-cookie.ts'

/** How a request uses its session. `over`: its handler has returned without using it. */
type Use = Pending | 'unused' | 'over'

/** A request's context, which stores its use of each kind of session under a symbol. */
export type Using = { [used: symbol]: Use | undefined }

/** The requests of an app. A request's session is made when it is first used. */
export class Requests<Context extends Using> {
  /** The responses of requests that use their session. */
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

  /** Runs the handler of a request, and holds its response until all changes made for it are acknowledged. */
  serve(ctx: Context, handler: () => Promise<unknown>): Promise<unknown> {
    const used = this.#used
    const uses: Using = ctx
    // An app that is mounted twice may run inside itself: then the outer run waits for the calls of this one.
    if (uses[used]) return handler().finally(() => typeof uses[used] === 'object' && uses[used].settled())
    this.#framework.watchHeaders(ctx)
    uses[used] = 'unused'
    return handler().then(
      () => {
        if (typeof uses[used] === 'object') return uses[used].answered()
        uses[used] = 'over'
        return undefined
      },
      error => {
        if (typeof uses[used] === 'object') return uses[used].failed(error)
        uses[used] = 'over'
        throw error
      },
    )
  }

  #begin(ctx: Context, use: 'unused' | 'over' | undefined): Pending {
    const { settings, keys, exchangeOf, handle, unseen, adopt } = this.#framework
    // An error listener is exempt: it cannot choose in which request the error was raised.
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
