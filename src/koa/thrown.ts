import { format } from 'node:util'

/**
 * An error that Koa can answer. Koa sets `status` or `headerSent` on an error, formats a thrown value that is not an error, and
 * ignores a thrown `undefined`. If one of these fails, Koa sends no answer at all, and the cookie would be lost.
 */
export function answerable(thrown: unknown, isSent: boolean): unknown {
  try {
    if (!isError(thrown)) {
      const message = format('non-error thrown: %j', thrown)
      return thrown ?? new Error(message)
    }
    const { name, message, code, status = thrown.statusCode, expose, headers } = thrown
    const isOpen = Object.isExtensible(thrown)
    const takesStatus = 'status' in thrown ? Reflect.set(thrown, 'status', thrown.status) : isOpen
    if (takesStatus && (isOpen || !isSent)) return thrown
    return Object.assign(new Error(message, { cause: thrown }), { name, code, status, expose, headers })
  } catch {
    // A logger could not read it either, so it is not the cause.
    return new Error('What was thrown cannot be read')
  }
}

/** As Koa checks: an error of another realm counts too. */
function isError(
  thrown: unknown,
): thrown is Error & Record<'code' | 'status' | 'statusCode' | 'expose' | 'headers', unknown> {
  return Object.prototype.toString.call(thrown) === '[object Error]' || thrown instanceof Error
}
