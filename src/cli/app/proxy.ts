import { type Fault, orFine } from '../doctor/finding.ts'
import type { Answer, SetCookie } from './asking.ts'

type Asked = (headers: Record<string, string>) => Promise<[Answer, SetCookie | undefined]>

/** A host that nobody has (RFC 6761). */
const NOBODY = 'doctor.invalid'

/** Over HTTP the app is asked as its proxy asks; over HTTPS as a visitor who pretends to be the proxy. */
export async function proxyFound(
  isSecure: boolean,
  cookie: SetCookie,
  asked: Asked,
): Promise<readonly Fault[] | string> {
  return isSecure ? pretended(cookie, asked) : proxied(asked)
}

async function proxied(asked: Asked): Promise<readonly Fault[] | string> {
  const [, cookie] = await asked({ 'X-Forwarded-Proto': 'https' })
  if (!cookie || cookie.attributes.has('secure'))
    return 'Asked as a proxy that ends TLS asks, it gives a Secure cookie'
  return [
    {
      severity: 'warning',
      message: `Asked as a proxy that ends TLS asks, the app gives the cookie ${cookie.name} without Secure, so it also travels in the clear`,
      advice:
        'Give Session cookie: { secure: true }, and set app.proxy = true if all requests come through the proxy',
    },
  ]
}

async function pretended(cookie: SetCookie, asked: Asked): Promise<readonly Fault[] | string> {
  const [answer, second] = await asked({ 'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': NOBODY })
  const faults: Fault[] = []
  const advice =
    'Let the proxy set X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-For itself, whatever it is sent'
  if (cookie.attributes.has('secure') && second && !second.attributes.has('secure')) {
    faults.push({
      severity: 'error',
      message:
        'A visitor who sends X-Forwarded-Proto: http gets the cookie without Secure: the proxy hands on what it is sent',
      advice,
    })
  }
  if (JSON.stringify(answer.headers).includes(NOBODY)) {
    faults.push({
      severity: 'error',
      message:
        'The app believes the X-Forwarded-Host that a visitor sends: the proxy hands on what it is sent, and redirections lead to other hosts',
      advice,
    })
  }
  return orFine(faults, 'Headers that a visitor sends in the name of a proxy count for nothing')
}

/** Whether only machines of one's own reach a host, as a proxy its app. */
function isInside(hostname: string): boolean {
  if (!hostname.includes('.')) return true
  return /^(?:127|10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.|\.(?:local|localhost|internal|test)$/.test(
    hostname,
  )
}

/** Seconds: half a year. */
const LONG = 180 * 24 * 60 * 60

export function hstsFound(
  { protocol, hostname }: URL,
  { status, headers }: Answer,
): readonly Fault[] | string {
  if (protocol === 'http:') {
    if (isInside(hostname)) return 'Only what visitors reach over HTTPS has it'
    const isRedirected = status >= 300 && status < 400 && headers.location?.startsWith('https://')
    if (isRedirected) return 'The page leads to HTTPS: give that address, to have the cookie looked at'
    return [
      {
        severity: 'warning',
        message: 'The page is given over plain HTTP, so that anybody on the way can read the cookie',
        advice: 'Let the proxy redirect to HTTPS, and give that address here',
      },
    ]
  }
  const header = headers['strict-transport-security']
  const maxAge = Number(/max-age="?(\d+)/i.exec(header ?? '')?.[1])
  if (maxAge >= LONG) return 'Browsers ask over HTTPS only'
  return [
    {
      severity: 'warning',
      message:
        header === undefined
          ? 'There is no Strict-Transport-Security, so browsers also ask over HTTP'
          : `Strict-Transport-Security is for ${maxAge || 0} seconds only, so browsers soon ask over HTTP again`,
      advice: 'Let the proxy send Strict-Transport-Security: max-age=31536000',
    },
  ]
}
