import type Koa from 'koa'
import { ConfigurationError } from '../errors.ts'
import { describe } from '../language/paths.ts'
import { isPlain } from '../language/values.ts'
import { shown } from '../shown.ts'

/**
 * Other libraries take their arguments in another order, or are made without the app.
 *
 * @throws {ConfigurationError} unless `Session` was given an app and, after it, what may be options.
 */
export function assertArguments(app: unknown, options: unknown): void {
  if (!isApp(app)) {
    throw new ConfigurationError(
      isApp(options)
        ? 'Session(app, options) takes the app first and the options second; they are the other way round'
        : `Session(app, options) takes a Koa app first, not ${describe(app)}: Session(new Koa())`,
    )
  }
  if (isApp(options)) throw new ConfigurationError('Session(app, options) takes one app, and was given two')
  if (typeof options !== 'object' || options === null) {
    throw new ConfigurationError(
      `The options are no object, but ${shown(options)}; give some as in Session(app, { maxAge: '1 month' })`,
    )
  }
  if (!isPlain(options) && Object.keys(options).length === 0) {
    throw new ConfigurationError(
      `The options are an instance of ${describe(options)} that has none; a store goes into the option store`,
    )
  }
}

/** By what is used of it, since a program may well have two copies of Koa. */
function isApp(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { middleware, context, callback } = value as Partial<Koa>
  return Array.isArray(middleware) && typeof context === 'object' && typeof callback === 'function'
}

/** What Koa sets on each `ctx`, which its prototype does not show; and `then`, which would make a promise of it. */
const koaOwn = new Set([
  'app',
  'req',
  'res',
  'request',
  'response',
  'originalUrl',
  'state',
  'respond',
  'then',
])

/** Whether a session cannot be at this property of `ctx`: something else is. */
export function isTaken(app: Koa, property: string): boolean {
  return property in app.context || koaOwn.has(property)
}
