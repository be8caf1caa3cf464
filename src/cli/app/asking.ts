import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request as requestPlain } from 'node:http'
import { request as requestSecure } from 'node:https'
import { PATIENCE } from '../opened.ts'

/** An answer of the app, without its body. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly cookies: readonly SetCookie[]
}

/** A line `Set-Cookie`. Names of attributes are in lower case. */
export interface SetCookie {
  readonly name: string
  readonly value: string
  readonly attributes: ReadonlyMap<string, string>
}

/** Asks for a page once, as a visitor without cookies, and follows no redirection. */
export function ask(url: URL, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
  const request = url.protocol === 'https:' ? requestSecure : requestPlain
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        headers: { 'User-Agent': 'koa-atomic-session doctor', Accept: 'text/html, */*', ...headers },
      },
      response => {
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          cookies: (response.headers['set-cookie'] ?? []).map(cookieIn),
        })
        // It may be an endless stream.
        response.destroy()
      },
    )
    sent.setTimeout(PATIENCE, () => sent.destroy(new Error(`it does not answer within ${PATIENCE} ms`)))
    sent.once('error', reject)
    sent.end()
  })
}

function cookieIn(line: string): SetCookie {
  const [pair = '', ...rest] = line.split(';')
  const [name, value] = halves(pair)
  const attributes = rest.map(attribute => {
    const [key, set] = halves(attribute)
    return [key.toLowerCase(), set] as const
  })
  return { name, value, attributes: new Map(attributes) }
}

function halves(text: string): [string, string] {
  const at = text.indexOf('=')
  return at < 0 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}
