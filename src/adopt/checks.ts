import { ConfigurationError } from '../errors.ts'
import { type Advice, factoryOptions } from '../language/calloptions.ts'
import { describe } from '../language/paths.ts'
import { isUint8Array } from '../language/values.ts'
import { shown } from '../shown.ts'

/** The names of the options in `OtherCookie`. */
export const cookieOptions = ['key', 'path', 'domain'] as const

/** The options that are text, of whichever adopter. */
const texts = new Set(['key', 'path', 'domain', 'prefix', 'cookiePrefix', 'schemaName', 'tableName'])

/**
 * The options of an adopter. `methods`: names that it takes too, of a store that is spread into them.
 *
 * @throws {ConfigurationError} that names the wrong option.
 */
export function adopterOptions<Options extends object>(
  adopter: string,
  options: Options | undefined,
  names: readonly (keyof Options & string)[],
  methods: readonly string[] = [],
  advice?: Advice,
): Options {
  const all = [...names, ...methods] as (keyof Options & string)[]
  const given = factoryOptions(adopter, options, all, advice)
  // Of any other value text would be made: no session would be found, and the visitor's cookie would be cleared.
  const wrong = names.find(name => texts.has(name) && !['string', 'undefined'].includes(typeof given[name]))
  if (wrong === undefined) return given
  throw new ConfigurationError(`${adopter}: ${wrong} takes a text, not ${describe(given[wrong])}`)
}

/** Koa's keys may be bytes. */
export type Secret = string | Uint8Array

/**
 * Secrets that have signed cookies, as a list. An empty one is refused: anybody could sign with it.
 *
 * @throws {ConfigurationError} that shows none of them.
 */
export function secretsIn(given: unknown, fault: string): Secret[] {
  const secrets: unknown[] = [given].flat()
  if (secrets.length > 0 && secrets.every(isSecret)) return secrets
  throw new ConfigurationError(fault)
}

function isSecret(one: unknown): one is Secret {
  return (typeof one === 'string' || isUint8Array(one)) && one.length > 0
}

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
