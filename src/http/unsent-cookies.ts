import type { IncomingMessage } from 'node:http'
import { ConfigurationError } from '../errors.ts'
import type { SessionId } from '../ids.ts'
import { describe } from '../language/paths.ts'
import { type Carrier, nobody, type Presented } from '../session/carrier.ts'
import { cookieValue, derived, presentedIn } from './cookie-value.ts'
import type { Keys } from './keys.ts'

/** The cookie of a request whose response is not ours to write: read, never set. */
export function readCookie(request: IncomingMessage, key: string, keys: Keys): Carrier {
  return {
    ...nobody,
    presented: () => presentedIn(request.headers.cookie, key, keys),
    derive: (...from) => derived(keys, key, ...from),
  }
}

/** What `create` has made. */
export interface CreatedSession {
  /** What `end`, `open` and `except` take. */
  readonly id: SessionId
  /** `name=value`, as in the header `Cookie` of a request. It is secret. */
  readonly cookie: string
}

/** The cookie of a session that is made outside of any request; `header` is what its visitor would send. */
export function newCookie(key: string, keys: Keys): Carrier & { readonly header: string } {
  let header = ''
  return {
    ...nobody,
    get header() {
      return header
    },
    canCarry: () => true,
    carry(presented: Presented) {
      header = `${key}=${cookieValue(presented, key, keys)}`
    },
    derive: (...from) => derived(keys, key, ...from),
  }
}

/** By its headers, since what has none would pass for a visitor without a cookie. */
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
