import { idOf, type SessionId } from '../../ids.ts'
import { type Censor, censorOf } from '../censor.ts'
import { type CheckName, type Fault, type Finding, findingsOf } from '../doctor/finding.ts'
import { toldOf } from '../failure.ts'
import { UsageError } from '../usage.ts'
import { type Answer, ask } from './asking.ts'
import { cacheFound, isFromCache } from './cache.ts'
import { cookieFound, type SessionCookie, sessionCookiesIn } from './cookie.ts'
import { hstsFound, proxyFound } from './proxy.ts'

export interface AppOptions {
  /** The cookie's name; by default it is told by its form. */
  readonly cookie?: string | undefined
  readonly skip?: ReadonlySet<CheckName>
}

/** A session whose cookie the app gave to the doctor. */
export interface GivenSession {
  readonly id: SessionId
  /** Whether its cookie has the name that is meant. */
  readonly isMeant: boolean
}

/** What was found, and the sessions that were begun for it. */
export interface Examined {
  readonly findings: Finding[]
  /** Without those of answers that came from a cache: they are other visitors'. */
  readonly sessions: readonly GivenSession[]
  /** When the app was first asked: a session that was created before is another visitor's. */
  readonly began: Date
}

/** An address of an app as it may be printed: a name and a password, or what stands after `?`, may be secret. */
export interface App {
  readonly url: URL
  readonly shown: string
  readonly censor: Censor
}

export function appOf(given: string): App {
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol)) {
    throw new UsageError('--app takes the address of a page: https://…')
  }
  const url = new URL(given)
  // A password with a slash ends the host, and the rest of it is in the path.
  const isAmbiguous = url.pathname.includes('@')
  const path = isAmbiguous ? '/***' : url.pathname
  const secrets = [url.username, url.password, url.search.slice(1), ...url.searchParams.values()]
  if (isAmbiguous) secrets.push(url.pathname)
  return { url, shown: url.origin + path, censor: censorOf(secrets) }
}

/** Asks the app as visitors and proxies do: at most three requests for one page. */
export async function examineApp(
  { url, censor }: App,
  { cookie: name, skip = new Set() }: AppOptions = {},
): Promise<Examined> {
  const isSecure = url.protocol === 'https:'
  const began = new Date()
  const sessions: GivenSession[] = []
  const asked = async (headers?: Record<string, string>): Promise<[Answer, SessionCookie | undefined]> => {
    const answer = await ask(url, headers)
    const cookies = sessionCookiesIn(answer)
    const isMeant = (cookie: SessionCookie) => name === undefined || cookie.name === name
    if (!isFromCache(answer)) {
      sessions.push(...cookies.map(cookie => ({ id: idOf(cookie.secret), isMeant: isMeant(cookie) })))
    }
    return [answer, cookies.find(isMeant)]
  }
  let first: [Answer, SessionCookie | undefined]
  try {
    first = await asked()
  } catch (error) {
    return { findings: [unreachable(toldOf(error, censor))], sessions, began }
  }
  const [answer, cookie] = first
  const findings = await findingsOf(
    [
      { name: 'app', look: async () => appFound(answer) },
      { name: 'cookie', look: async () => (cookie ? cookieFound(cookie, isSecure) : [noCookie(name)]) },
      {
        name: 'proxy',
        look: async () => (cookie ? proxyFound(isSecure, cookie, asked) : 'Nothing to look at'),
      },
      { name: 'hsts', look: async () => hstsFound(url, answer) },
      {
        name: 'cache',
        look: async () => (cookie ? cacheFound(answer, cookie, asked) : 'Nothing to look at'),
      },
    ],
    skip,
    censor,
  )
  return { findings, sessions, began }
}

function unreachable(message: string): Finding {
  return {
    check: 'app',
    severity: 'error',
    message: `The app does not answer: ${message}`,
    advice: 'See whether the address is right, the app up, and its certificate valid for this name',
  }
}

function appFound({ status }: Answer): readonly Fault[] | string {
  if (status < 500) return `It answers with ${status}`
  return [
    {
      severity: 'error',
      message: `The app answers with ${status}`,
      advice: status === 503 ? 'See whether its store is up' : "See the app's log",
    },
  ]
}

function noCookie(name: string | undefined): Fault {
  const which = name === undefined ? 'no cookie of a session' : `no cookie ${name} of a session`
  return {
    severity: 'note',
    message: `The page gave ${which}, so there was nothing to look at`,
    advice: 'Give the address of a page that writes to the session of a new visitor',
  }
}
