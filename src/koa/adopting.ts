import type Koa from 'koa'
import { ConfigurationError } from '../core/errors.ts'
import type { Brought } from '../core/visit.ts'
import type { SessionCookie } from './cookie.ts'
import type { SessionOptions, Settings } from './options.ts'

/** The option `adopt` as one request's visit asks it. */
export function adopting(
  adopt: NonNullable<SessionOptions['adopt']>,
  ctx: Koa.Context,
  cookie: SessionCookie,
  { property }: Settings,
): () => Promise<Brought> {
  return () =>
    cookie.adopting(async () => {
      const ends: (() => unknown)[] = []
      const fields = await adopt(sessionless(ctx, property), end => ends.push(end))
      const end = async () => {
        for (const one of ends) await one()
      }
      return { fields: fields ?? {}, end: () => cookie.adopting(end) }
    })
}

/** The session waits for what `adopt` gives, so `adopt` would wait for itself. */
function sessionless(ctx: Koa.Context, property: string): Koa.Context {
  return Object.create(ctx, {
    [property]: {
      get() {
        throw new ConfigurationError(
          `adopt cannot use ctx.${property}: give the fields that are to be its own`,
        )
      },
    },
  })
}
