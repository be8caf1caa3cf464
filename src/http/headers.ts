import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'

/**
 * Calls `look` whenever the response's headers are about to leave, whoever sends them: Koa, an error's answer, or the app by
 * hand. What is given to `writeHead` is set before, so that it is looked at too.
 */
export function beforeHeadersLeave(res: ServerResponse, look: () => void): void {
  const { writeHead } = res
  const looking = (status: number, ...given: unknown[]): ServerResponse => {
    const headers = given.find(argument => typeof argument === 'object' && argument !== null)
    if (!res.headersSent) {
      if (headers) setAll(res, headers as OutgoingHttpHeaders | unknown[])
      look()
    }
    const message = given.filter(argument => typeof argument === 'string')
    return Reflect.apply(writeHead, res, [status, ...message])
  }
  res.writeHead = looking as typeof writeHead
}

/** As `writeHead` takes them: by name, as names and values by turns, or in pairs. */
function setAll(res: ServerResponse, headers: OutgoingHttpHeaders | unknown[]): void {
  if (!Array.isArray(headers)) {
    for (const [name, value] of Object.entries(headers)) res.setHeader(name, value as string)
    return
  }
  const flat = (Array.isArray(headers[0]) ? headers.flat() : headers) as string[]
  const names = flat.filter((_, at) => at % 2 === 0)
  for (const name of names) res.removeHeader(name)
  for (const [at, name] of names.entries()) res.appendHeader(name, flat[2 * at + 1] as string)
}

/** The lines of a header, however it was set. */
export function linesOf(res: ServerResponse, name: string): string[] {
  return [res.getHeader(name) ?? []].flat().map(String)
}

/** Tells caches that the response depends on the visitor's cookies. */
export function varyByCookie(res: ServerResponse): void {
  const lines = linesOf(res, 'Vary')
  const fields = lines.flatMap(line => line.toLowerCase().split(',')).map(field => field.trim())
  if (fields.includes('*') || fields.includes('cookie')) return
  res.setHeader('Vary', [...lines, 'Cookie'].join(', '))
}

/** `Cache-Control`, those for some caches only (RFC 9213), and what came before these ("Edge Architecture Specification"). */
const cacheField = /(?:^|-)cache-control$|^surrogate-control$/

/**
 * Makes sure that no cache gives the response to somebody else: whatever allows one to store it becomes `no-store` (RFC 9111,
 * 7.3). `Expires` and `Pragma` need nothing, since `Cache-Control` comes before them.
 */
export function keepFromSharedCaches(res: ServerResponse): void {
  if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'no-store')
  for (const name of res.getHeaderNames()) {
    if (cacheField.test(name) && !isUnshared(linesOf(res, name))) res.setHeader(name, 'no-store')
  }
}

/** `private="set-cookie"` is not `private`: with it, caches may share the rest, and some know only the word. */
function isUnshared(lines: readonly string[]): boolean {
  const directives = lines
    .join(',')
    .replace(quoted, '""')
    .toLowerCase()
    .split(',')
    .map(directive => directive.replace(/^[ \t]+|[ \t]+$/g, ''))
  if (directives.includes('public')) return false
  return directives.includes('private') || directives.includes('no-store')
}

/** What is not closed counts to the end. */
const quoted = /"(?:\\.|[^"\\])*(?:"|\\?$)/g
