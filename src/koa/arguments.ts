import type Koa from 'koa'
import { ConfigurationError } from '../errors.ts'
import { describe } from '../language/paths.ts'

/**
 * Other libraries take their arguments in another order, or are made without the app.
 *
 * @throws {ConfigurationError} unless `Session` was given an app and, after it, no other app.
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
