import { ConfigurationError, FieldError } from '../errors.ts'
import { describe, faultOfPart, isFieldName } from '../language/paths.ts'
import { type Fields, isPlain, isPromise, literal } from '../language/values.ts'
import type { Brought } from '../session/takeover.ts'
import type { Adopted, OnceStored } from './options.ts'
import type { SessionCookie } from './set-cookie.ts'

/** Calls `adopt`, and gives its result in the form that the visit takes over. */
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
      assertGiven(end, key)
      ends.push(end)
      named = key
    }),
  )
  // Where there is no id, `id && load(id)` gives what is no object.
  if (brought && !isPlain(brought)) {
    throw new ConfigurationError(
      `adopt returns the fields as a plain object, or nothing, not ${describe(brought)}`,
    )
  }
  const end = async () => {
    for (const one of ends) await one()
  }
  return { fields: fieldsOf(brought || {}), key: named, end: () => cookie.adopting(end) }
}

/** A session's secret is derived from the JSON of its key. That of a promise, `null` or `''` is the same for all visitors. */
function assertGiven(end: unknown, key: unknown): void {
  if (typeof end !== 'function') {
    throw new ConfigurationError(
      `onceStored(end, key) takes first a function that ends the other session, not ${describe(end)}`,
    )
  }
  if (key === undefined || (typeof key === 'string' && key !== '')) return
  const advice = isPromise(key) ? 'await it first' : 'leave it out if there is none'
  throw new ConfigurationError(
    "onceStored(end, key) takes as key a string that no other visitor has, such as the other session's id, not " +
      `${key === '' ? 'an empty one' : describe(key)}: ${advice}`,
  )
}

/** `ctx` without its session: the session waits for `adopt`, so `adopt` would wait for itself. */
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

/** The fields that a session can hold. Names that begin with `_` are left out: other libraries keep their own data there. */
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
