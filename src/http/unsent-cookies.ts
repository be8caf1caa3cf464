import type { IncomingMessage } from 'node:http'
import { ConfigurationError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { describe } from '../language/paths.ts'
import { type Carrier, nobody, type Presented } from '../session/carrier.ts'
import type { CookieSettings } from './cookie-options.ts'
import { cookieValue, derived, presentedIn } from './cookie-value.ts'
import type { Keys } from './keys.ts'
import type { Settings } from './options.ts'
import { expiryOf } from './set-cookie.ts'

/** The cookie of a request whose response this library does not write: it is read, never set. */
export function readCookie(request: IncomingMessage, key: string, keys: Keys): Carrier {
  return {
    ...nobody,
    presented: () => presentedIn(request.headers.cookie, key, keys),
    derive: (...from) => derived(keys, key, ...from),
  }
}

/** What `create` returns. */
export interface CreatedSession {
  /** What `end`, `open` and `except` take. */
  readonly id: SessionId
  /** `name=value`, as in the header `Cookie` of a request. It is secret. */
  readonly cookie: string
}

/** A cookie with its attributes. */
export interface WrittenCookie {
  readonly name: string
  readonly value: string
  /** `undefined`: when the browser is closed. */
  readonly expires: Date | undefined
  readonly attributes: CookieSettings
}

/** The cookie of a session that is created outside of a request. `written` returns it. */
export function newCookie(settings: Settings, keys: Keys): Carrier & { written(): WrittenCookie } {
  const { key: name, cookie: attributes } = settings
  let written: WrittenCookie = { name, value: '', expires: undefined, attributes }
  return {
    ...nobody,
    written: () => written,
    canCarry: () => true,
    carry(presented: Presented, expires: Date) {
      const value = cookieValue(presented, name, keys)
      written = { name, value, expires: expiryOf(presented, expires, settings), attributes }
    },
    derive: (...from) => derived(keys, name, ...from),
  }
}

/** Checks the headers: an object without them would be taken for a visitor without a cookie. */
export function assertRequest(request: unknown): asserts request is IncomingMessage {
  const headers = typeof request === 'object' && request !== null && 'headers' in request && request.headers
  if (
    typeof headers === 'object' &&
    headers !== null &&
    !('get' in headers && typeof headers.get === 'function')
  )
    return
  throw new ConfigurationError(
    `load(request) takes a request as Node's http server has it (IncomingMessage), not ${describe(request)}; a Koa context ` +
      'has it as ctx.req',
  )
}
