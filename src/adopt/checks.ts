import { ConfigurationError } from '../errors.ts'
import { shown } from '../shown.ts'

/** The names of the options in `OtherCookie`. */
export const cookieOptions = ['key', 'path', 'domain'] as const

/**
 * Refuses a store, a client or a function that cannot be called as adopters call it. Requests would fail, or their visitors would
 * silently lose their sessions.
 *
 * @throws {ConfigurationError} that names the option and its methods.
 */
export function assertMethods(option: string, value: unknown, methods: readonly string[]): void {
  const given = value as Record<string, unknown> | null | undefined
  if (methods.every(name => typeof given?.[name] === 'function')) return
  throw new ConfigurationError(`${option} is missing or wrong: it needs ${methods.map(call).join(' and ')}`)
}

function call(method: string): string {
  return `${method}()`
}

/** @throws {ConfigurationError} */
export function assertFunction(option: string, value: unknown): void {
  if (typeof value !== 'function')
    throw new ConfigurationError(`${option} is not a function: ${shown(value)}`)
}
