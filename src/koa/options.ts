import type Koa from 'koa'
import { milliseconds } from '../core/duration.ts'
import { ConfigurationError } from '../core/errors.ts'
import type { Lifetimes } from '../core/picture.ts'
import type { Store } from '../core/store.ts'

/** What `Session(app, options)` takes. Wrong options are refused at once, naming the option. */
export interface SessionOptions {
  /**
   * The cookie's name: a token (RFC 6265, 4.1.1).
   * @default 'sid'
   */
  key?: string
  /**
   * How long a session lives after its last use: milliseconds, or words such as `'1 month'` and `'2h'`.
   * @default '14 days'
   */
  maxAge?: number | string
  /** Where sessions live, or a promise of it. Setting `sessions.collection` sets a MongoDB store instead. */
  store?: Store | Promise<Store>
  /**
   * The longest one call to the store may take, connecting included; then the request is answered with 503.
   * @default '5s'
   */
  timeout?: number | string
  /**
   * The property of `ctx` that holds the session, so that one app can have several kinds.
   * @default 'session'
   */
  property?: string
}

/** Options with defaults filled in; requests see these. */
export interface Settings extends Lifetimes {
  readonly key: string
  readonly timeout: number
  readonly touchAfter: number
  readonly property: string
}

const DAY = 24 * 60 * 60 * 1000
const names: readonly string[] = [
  'key',
  'maxAge',
  'store',
  'timeout',
  'property',
] satisfies (keyof SessionOptions)[]

/** RFC 9110's token, which RFC 6265 has a cookie's name be. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Fills in defaults and refuses nonsense. */
export function settle(options: SessionOptions, app: Koa): Settings {
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) {
      throw new ConfigurationError(
        `There is no option ${JSON.stringify(name)}; there are ${names.join(', ')}`,
      )
    }
  }
  const maxAge = milliseconds('maxAge', options.maxAge ?? '14 days')
  return Object.freeze({
    key: cookieName(options.key ?? 'sid'),
    maxAge,
    touchAfter: Math.min(maxAge / 10, DAY),
    absoluteMaxAge: undefined,
    timeout: milliseconds('timeout', options.timeout ?? '5s'),
    property: propertyName(options.property ?? 'session', app),
  })
}

function cookieName(key: unknown): string {
  if (typeof key === 'string' && token.test(key)) return key
  throw new ConfigurationError(
    `key is not a cookie's name: ${JSON.stringify(key)}; use letters, digits and !#$%&'*+-.^_\`|~`,
  )
}

function propertyName(property: unknown, app: Koa): string {
  if (typeof property !== 'string' || property === '') {
    throw new ConfigurationError(`property is not a name: ${JSON.stringify(property)}`)
  }
  if (property in app.context) {
    throw new ConfigurationError(
      `property: ctx.${property} is taken, by another session or by Koa itself; give this one another name`,
    )
  }
  return property
}
