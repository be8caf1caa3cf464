import { ConfigurationError, FieldError } from '../errors.ts'
import { faultOfPart, isFieldName } from '../language/paths.ts'
import { type Fields, literal } from '../language/values.ts'
import type { Brought } from '../session/takeover.ts'
import type { Adopted, OnceStored } from './options.ts'
import type { SessionCookie } from './set-cookie.ts'

/** What `adopt` brings along, as the request's visit takes it over. */
export async function broughtBy<Context extends object>(
  adopt: (ctx: Context, onceStored: OnceStored) => Adopted | Promise<Adopted>,
  ctx: Context,
  cookie: SessionCookie,
  property: string,
): Promise<Brought> {
  const ends: (() => unknown)[] = []
  let named: string | undefined
  const brought = await cookie.adopting(async () =>
    adopt(sessionless(ctx, property), (end, key) => {
      ends.push(end)
      named = key
    }),
  )
  const end = async () => {
    for (const one of ends) await one()
  }
  return { fields: fieldsOf(brought ?? {}), key: named, end: () => cookie.adopting(end) }
}

/** The session waits for what `adopt` gives, so `adopt` would wait for itself. */
function sessionless<Context extends object>(ctx: Context, property: string): Context {
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

/** What a session of ours can hold; keys that begin with `_`, the other library's own among them, it cannot. */
function fieldsOf(data: Fields): Fields {
  const fields: Fields = {}
  for (const [name, value] of Object.entries(data)) {
    if (!isFieldName(name) || name.includes('.') || faultOfPart(name)) continue
    try {
      fields[name] = literal(value, name)
    } catch (error) {
      if (!(error instanceof FieldError)) throw error
    }
  }
  return fields
}
