import type Koa from 'koa'
import { ConfigurationError } from '../errors.ts'
import { describe } from '../language/paths.ts'

/**
 * Catches arguments in another library's order, and a missing app.
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

/** Checks the members that are used, not the class: a program may have two copies of Koa. */
function isApp(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { middleware, context, callback } = value as Partial<Koa>
  return Array.isArray(middleware) && typeof context === 'object' && typeof callback === 'function'
}

/** Properties that Koa sets on each `ctx`, so that its prototype does not show them; and `then`, which would make it a promise. */
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

/** Whether this property of `ctx` is already used. */
export function isTaken(app: Koa, property: string): boolean {
  return property in app.context || koaOwn.has(property)
}
