import { ConfigurationError } from '../errors.ts'
import { type Advice, refuseUnknown } from '../language/calloptions.ts'
import { shown } from '../shown.ts'

/** The session cookie's attributes (RFC 6265bis, 4.1.2). `HttpOnly` is always set: no script needs the session's secret. */
export interface CookieOptions {
  /** @default '/' */
  path?: string
  /** The domain whose hosts get the cookie. Without it, only the host that set the cookie gets it. */
  domain?: string
  /**
   * Which requests from other sites carry the cookie. `'none'` needs `secure: true`.
   * @default 'lax'
   */
  sameSite?: 'strict' | 'lax' | 'none'
  /**
   * Whether browsers send the cookie over TLS only. By default: yes if the request that set the cookie came over TLS.
   */
  secure?: boolean
  /** Whether browsers keep a separate cookie for each embedding site (CHIPS). Needs `secure: true`. */
  partitioned?: boolean
  /**
   * Whether the cookie survives closing the browser. With `false`, only the cookies of sessions whose `maxAge` is another than the
   * option's survive, as after `touch(maxAge)` ("remember me").
   * @default true
   */
  persistent?: boolean
}

/** Attributes with defaults filled in. */
export interface CookieSettings {
  readonly path: string
  readonly domain: string | undefined
  readonly sameSite: 'strict' | 'lax' | 'none'
  readonly secure: boolean | undefined
  readonly partitioned: boolean
  readonly persistent: boolean
}

export const cookieAttributes = [
  'path',
  'domain',
  'sameSite',
  'secure',
  'partitioned',
  'persistent',
] satisfies (keyof CookieOptions)[]

const lifetime = 'the cookie lives as long as its session: see maxAge, an option of Session(app, { maxAge })'
const name = "the cookie's name is the option key: Session(app, { key })"

/** Attributes that are the same for every session cookie. */
export const fixedAttributes: Advice = {
  httpOnly: 'the cookie is always HttpOnly, so leave it out',
  signed: 'the cookie is always signed, with app.keys, so leave it out',
  overwrite: 'the cookie is sent at most once in a response, so leave it out',
}

/** What other libraries take as a cookie's option. */
const advice: Advice = { ...fixedAttributes, maxAge: lifetime, expires: lifetime, key: name, name }
const booleans = ['secure', 'partitioned', 'persistent'] as const

/** A token (RFC 9110): RFC 6265 requires one as a cookie's name. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** Without `<`: Koa's cookies refuse it. */
const pathShape = /^\/[\x20-\x3a\x3d-\x7e]*$/
const domainShape = /^\.?[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?(?:\.[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?)*$/i

/** Fills in defaults. Refuses attributes that a browser would refuse, or that would be sent other than they were meant. */
export function cookieSettings(options: CookieOptions = {}): CookieSettings {
  if (typeof options !== 'object' || options === null)
    throw wrong('cookie', options, 'give an object of attributes, such as { secure: true }')
  refuseUnknown('cookie', options, cookieAttributes, advice)
  for (const name of booleans) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') {
      throw wrong(`cookie.${name}`, options[name], 'give true or false')
    }
  }
  const { path = '/', domain, sameSite = 'lax', secure, partitioned = false, persistent = true } = options
  if (typeof path !== 'string' || !pathShape.test(path)) {
    throw wrong('cookie.path', path, 'it begins with / and holds no ; and no control character')
  }
  if (domain !== undefined && (typeof domain !== 'string' || !domainShape.test(domain))) {
    throw wrong('cookie.domain', domain, 'give the name of a host')
  }
  if (sameSite !== 'strict' && sameSite !== 'lax' && sameSite !== 'none') {
    throw wrong('cookie.sameSite', sameSite, "give 'strict', 'lax' or 'none'")
  }
  if (sameSite === 'none' && secure !== true) {
    throw new ConfigurationError(
      "cookie.sameSite: 'none' needs cookie.secure: true: browsers refuse it otherwise",
    )
  }
  if (partitioned && secure !== true) {
    throw new ConfigurationError('cookie.partitioned needs cookie.secure: true: browsers refuse it otherwise')
  }
  return Object.freeze({ path, domain, sameSite, secure, partitioned, persistent })
}

/**
 * The cookie's name, checked against its attributes as browsers do (RFC 6265bis, 4.1.3: the case of a prefix does not matter).
 * Without a given name: the safest that the attributes allow.
 */
export function cookieName(key: unknown, { path, domain, secure }: CookieSettings): string {
  const bound = path === '/' && domain === undefined
  if (key === undefined) return secure !== true ? 'sid' : bound ? '__Host-sid' : '__Secure-sid'
  if (typeof key !== 'string' || !token.test(key)) {
    throw wrong('key', key, "a cookie's name has letters, digits and !#$%&'*+-.^_`|~")
  }
  const prefix = /^__(?:host|secure)-/i.exec(key)?.[0]
  if (prefix && secure !== true)
    throw new ConfigurationError(`key: a name with ${prefix} needs cookie.secure: true`)
  if (prefix?.toLowerCase() === '__host-' && !bound) {
    throw new ConfigurationError(`key: a name with ${prefix} needs cookie.path '/' and no cookie.domain`)
  }
  return key
}

function wrong(option: string, value: unknown, way: string): ConfigurationError {
  return new ConfigurationError(`${option} is wrong: ${shown(value)}; ${way}`)
}
