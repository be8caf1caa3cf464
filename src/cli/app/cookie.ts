import { type Fault, orFine } from '../doctor/finding.ts'
import type { Answer, SetCookie } from './asking.ts'

/** As the library writes it: the secret comes first. */
const shape = /^([0-9a-f]{40})\.[0-9a-z]{1,11}\.[0-9a-z]{1,11}\./

/** The cookie of a session. */
export interface SessionCookie extends SetCookie {
  readonly secret: string
}

/** Of all kinds of session that the page has. */
export function sessionCookiesIn({ cookies }: Answer): SessionCookie[] {
  return cookies.flatMap(cookie => {
    const secret = shape.exec(cookie.value)?.[1]
    return secret === undefined ? [] : [{ ...cookie, secret }]
  })
}

/** Whether its attributes are as they should be where visitors come over TLS, or a proxy does. */
export function cookieFound({ name, attributes }: SetCookie, isSecure: boolean): readonly Fault[] | string {
  const faults: Fault[] = []
  const sameSite = attributes.get('samesite')?.toLowerCase()
  const has = (attribute: string) => attributes.has(attribute)
  if (!has('httponly')) {
    faults.push({
      severity: 'error',
      message: `The cookie ${name} has no HttpOnly, so any script on the page can read it and send it elsewhere`,
      advice: 'Leave out cookie.httpOnly, and let no proxy alter Set-Cookie',
    })
  }
  if (isSecure && !has('secure')) {
    faults.push({
      severity: 'error',
      message: `The cookie ${name} came over HTTPS and has no Secure, so it also travels in the clear`,
      advice: 'Give Session cookie: { secure: true }, and set app.proxy = true if a proxy ends TLS',
    })
  }
  if (sameSite === undefined) {
    faults.push({
      severity: 'warning',
      message: `The cookie ${name} has no SameSite, so some browsers send it with requests of other sites`,
      advice: "Leave out cookie.sameSite: 'lax' is the default. Let no proxy alter Set-Cookie",
    })
  }
  if (sameSite === 'none') {
    faults.push({
      severity: has('secure') ? 'warning' : 'error',
      message: has('secure')
        ? `The cookie ${name} has SameSite=None, so browsers send it with requests of all sites`
        : `The cookie ${name} has SameSite=None and no Secure, so browsers drop it`,
      advice: "Use 'lax', unless other sites show the app in a frame; then app.use(sessions.csrf())",
    })
  }
  faults.push(...prefixFaults(name, attributes))
  if (has('domain') && !name.startsWith('__Host-')) {
    faults.push({
      severity: 'warning',
      message: `The cookie ${name} has a Domain, so every subdomain gets it and can replace it`,
      advice: 'Leave out cookie.domain if one host is enough',
    })
  } else if (isSecure && !/^__(?:Host|Secure)-/.test(name)) {
    faults.push({
      severity: 'note',
      message: `The name ${name} does not begin with __Host-, so other subdomains can set a cookie of this name`,
      advice: 'Give Session cookie: { secure: true } and no key: the name is __Host-sid then',
    })
  }
  return orFine(faults, `${name} has the attributes that it should have`)
}

function prefixFaults(name: string, attributes: SetCookie['attributes']): Fault[] {
  const wrong = [
    !attributes.has('secure') && 'no Secure',
    name.startsWith('__Host-') && attributes.has('domain') && 'a Domain',
    name.startsWith('__Host-') && attributes.get('path') !== '/' && 'another Path than /',
  ].filter(part => part !== false)
  if (!/^__(?:Host|Secure)-/.test(name) || wrong.length === 0) return []
  return [
    {
      severity: 'error',
      message: `The cookie ${name} has ${wrong.join(' and ')}, so browsers drop it`,
      advice: 'Let no proxy alter Set-Cookie',
    },
  ]
}
