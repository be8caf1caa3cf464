import { format } from 'node:util'

/**
 * What Koa can answer: it sets `status` on an error, or `headerSent`, writes out what is none, and does nothing where nothing
 * is thrown. What it fails at it never answers, and the cookie of what was stored would be lost.
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
    // Nor by who logs it, so it is not even the cause.
    return new Error('What was thrown cannot be read')
  }
}

/** As Koa asks, since an error of another realm is one too. */
function isError(
  thrown: unknown,
): thrown is Error & Record<'code' | 'status' | 'statusCode' | 'expose' | 'headers', unknown> {
  return Object.prototype.toString.call(thrown) === '[object Error]' || thrown instanceof Error
}
