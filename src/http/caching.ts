import type { Exchange } from './exchange.ts'

/** Tells caches which of the request's headers the response depends on. */
export function varyBy(exchange: Exchange, ...names: string[]): void {
  const lines = exchange.responseHeader('Vary')
  const known = lines.flatMap(line => line.toLowerCase().split(',')).map(name => name.trim())
  if (known.includes('*')) return
  const added = names.filter(name => !known.includes(name.toLowerCase()))
  if (added.length > 0) exchange.setResponseHeader('Vary', [...lines, ...added].join(', '))
}

/** `Cache-Control`, its forms for certain caches (RFC 9213), and `Surrogate-Control` ("Edge Architecture Specification"). */
const cacheField = /(?:^|-)cache-control$|^surrogate-control$/

/** Headers that override `Cache-Control` in nginx and in Akamai's caches, with the value that forbids storing. */
const overriding = new Map([
  ['x-accel-expires', '0'],
  ['edge-control', 'no-store'],
])

/**
 * Makes sure that no cache gives the response to another visitor: each header that allows a shared cache to store it is replaced
 * by one that forbids it, such as `no-store` (RFC 9111, 7.3). `Expires` and `Pragma` can stay, since `Cache-Control` overrides them.
 */
export function keepFromSharedCaches(exchange: Exchange): void {
  const names = exchange.responseHeaderNames()
  if (!names.includes('cache-control')) exchange.setResponseHeader('Cache-Control', 'no-store')
  for (const name of names) {
    const forbidding = overriding.get(name)
    if (forbidding !== undefined) exchange.setResponseHeader(name, forbidding)
    else if (cacheField.test(name) && !isUnshared(exchange.responseHeader(name))) {
      exchange.setResponseHeader(name, 'no-store')
    }
  }
}

/** `private="set-cookie"` does not count as `private`: with it, a cache may share the rest of the response. */
function isUnshared(lines: readonly string[]): boolean {
  const directives = lines
    .join(',')
    .replace(quoted, '""')
    .toLowerCase()
    .split(',')
    .map(directive => directive.replace(/^[ \t]+|[ \t]+$/g, ''))
  if (directives.includes('public')) return false
  if (directives.includes('private')) return true
  // A cache that implements `must-understand` ignores `no-store` beside it (RFC 9111, 5.2.2.3).
  return directives.includes('no-store') && !directives.includes('must-understand')
}

/** A quoted string; without a closing quote it extends to the end. */
const quoted = /"(?:\\.|[^"\\])*(?:"|\\?$)/g
