import { STATUS_CODES } from 'node:http'
import { format, types } from 'node:util'
import type Koa from 'koa'

/**
 * An error that Koa can answer. Koa sets `status` or `headerSent` on an error, formats a thrown value that is not an error, ignores
 * a thrown `undefined`, and sends a status such as 101, after which visitors still wait. If one of these fails, Koa sends no answer at
 * all, and the cookie would be lost.
 */
export function answerable(thrown: unknown, isSent: boolean): unknown {
  try {
    if (!isError(thrown)) {
      const error = nonError(thrown)
      return thrown ?? error
    }
    const { name, message, code, expose, headers } = thrown
    const status = thrown.status || thrown.statusCode
    const isOpen = Object.isExtensible(thrown)
    const takesStatus = 'status' in thrown ? Reflect.set(thrown, 'status', thrown.status) : isOpen
    const isFinal = typeof status !== 'number' || status >= 200
    if (takesStatus && isFinal && (isOpen || !isSent)) return thrown
    const told = isFinal ? { status, expose } : {}
    return Object.assign(new Error(message, { cause: thrown }), { name, code, ...told, headers })
  } catch {
    return unreadable()
  }
}

function nonError(thrown: unknown): Error {
  return new Error(format('non-error thrown: %j', thrown))
}

/** A logger could not read it either, so it is not the cause. */
function unreadable(): Error {
  return new Error('What was thrown cannot be read')
}

/**
 * If Koa fails to answer an error, the visitor still gets its status, and the cookie. What makes Koa fail is up to the app: a header
 * that is not valid, a message that is not a string but is to be shown, or a listener that throws. `report` is told why it failed.
 */
export function answerAnyway(ctx: Koa.Context, report: (error: Error) => void): void {
  const { onerror } = ctx
  const answering = (error: Error & { status?: unknown; statusCode?: unknown }): void => {
    try {
      onerror.call(ctx, error)
    } catch (reason) {
      answerPlainly(ctx, error.status || error.statusCode)
      const why = types.isNativeError(reason) ? reason.message : typeof reason
      report(new Error(`Koa could not answer the error of this request: ${why}`, { cause: error }))
    }
  }
  ctx.onerror = answering
}

/**
 * An error that Koa's own listener can take. That listener throws for a value that is not an error, and for one of which it cannot read
 * `status` and `expose`, or write down the stack. After the response nobody would catch that: the process would end.
 */
export function reportable(thrown: unknown): Error {
  try {
    if (!isError(thrown)) return nonError(thrown)
    const { stack, message } = thrown
    const { status: _, expose: __ } = thrown as Partial<Record<'status' | 'expose', unknown>>
    return typeof (stack || thrown.toString()) === 'string' ? thrown : new Error(message, { cause: thrown })
  } catch {
    return unreadable()
  }
}

function answerPlainly(ctx: Koa.Context, status: unknown): void {
  if (ctx.headerSent || !ctx.writable) return
  for (const name of ctx.res.getHeaderNames()) ctx.remove(name)
  ctx.status = typeof status === 'number' && status in STATUS_CODES ? status : 500
  ctx.type = 'text'
  ctx.res.end(STATUS_CODES[ctx.status])
}

/** As Koa checks: an error of another realm counts too. */
function isError(
  thrown: unknown,
): thrown is Error & Record<'code' | 'status' | 'statusCode' | 'expose' | 'headers', unknown> {
  return Object.prototype.toString.call(thrown) === '[object Error]' || thrown instanceof Error
}
