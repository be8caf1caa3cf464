import { ConfigurationError } from '../errors.ts'
import type { Using } from '../http/requests.ts'
import type { Sessions } from '../http/sessions.ts'
import type { WrittenCookie } from '../http/unsent-cookies.ts'
import type { SessionId } from '../ids.ts'
import type { FieldNames, FieldValues } from '../language/types/operands.ts'
import type { CreateOptions } from '../session/creation.ts'
import { shown } from '../shown.ts'

/** A visitor who has a session. */
export interface SignedIn {
  /** The session's, for `sessions.open(id)` and `sessions.end(id)`. */
  readonly id: SessionId
  /** `name=value`: the header `Cookie` of a request. */
  readonly cookie: string
  /** The same as the headers of a request: `fetch(url, { headers })`. */
  readonly headers: { readonly cookie: string }
  /**
   * The cookie in Playwright's form, with the app's attributes: `context.addCookies([browserCookie(url)])`. `url` is the app's URL,
   * such as `http://localhost:3000`.
   *
   * @throws {ConfigurationError} if `url` is not an HTTP or HTTPS URL.
   */
  browserCookie(url: string | URL): BrowserCookie
}

/** A cookie as Playwright's `context.addCookies` and `storageState` take it. */
export interface BrowserCookie {
  readonly name: string
  readonly value: string
  /** The app's host; with the option `cookie.domain`, that domain with a dot before it. */
  readonly domain: string
  readonly path: string
  /** Seconds since the epoch; -1 for a cookie that is deleted when the browser is closed. */
  readonly expires: number
  readonly httpOnly: true
  readonly secure: boolean
  readonly sameSite: 'Strict' | 'Lax' | 'None'
}

/**
 * Stores a new session with these fields, as `sessions.create` does: a test gets a signed-in visitor without a sign-in form.
 *
 *     const { headers } = await signedIn(sessions, { user_id: 'ada' })
 *     const answer = await fetch(url, { headers })
 *
 * @throws what `sessions.create` throws
 */
export async function signedIn<
  Data,
  Collection,
  User,
  Context extends Using,
  Middleware,
  F extends FieldNames<Data>,
>(
  sessions: Sessions<Data, Collection, User, Context, Middleware>,
  fields: FieldValues<Data, F>,
  options?: CreateOptions,
): Promise<SignedIn> {
  const { id, cookie: written } = await sessions.createWithCookie(fields, options)
  const cookie = `${written.name}=${written.value}`
  return { id, cookie, headers: { cookie }, browserCookie: url => browserCookie(written, url) }
}

function browserCookie(
  { name, value, expires, attributes }: WrittenCookie,
  url: string | URL,
): BrowserCookie {
  const { protocol, hostname } = parsed(url)
  const { path, domain, secure = protocol === 'https:', sameSite } = attributes
  return {
    name,
    value,
    domain: domain === undefined ? hostname : `.${domain.replace(/^\./, '')}`,
    path,
    expires: expires ? expires.getTime() / 1000 : -1,
    httpOnly: true,
    secure,
    sameSite: sameSite === 'strict' ? 'Strict' : sameSite === 'lax' ? 'Lax' : 'None',
  }
}

function parsed(url: string | URL): URL {
  const found = URL.canParse(String(url)) ? new URL(url) : undefined
  if (found && /^https?:$/.test(found.protocol)) return found
  throw new ConfigurationError(
    `browserCookie(url) takes the URL of the app, such as 'http://localhost:3000', not ${shown(url)}`,
  )
}
