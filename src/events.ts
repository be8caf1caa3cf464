import { channel } from 'node:diagnostics_channel'
import { IdTakenError, type InvalidCSRFTokenError, SessionError } from './errors.ts'
import type { SessionId } from './ids.ts'
import { whileReporting } from './reports.ts'

/**
 * What happened to a session. Published on the channel `koa-atomic-session:lifecycle` of `node:diagnostics_channel`. It costs
 * nothing without a subscriber. Ids are hashes, and no event contains a session's values.
 */
export type LifecycleEvent =
  | { readonly type: 'created' | 'ended' | 'expired' | 'unknown id'; readonly id: SessionId }
  | { readonly type: 'regenerated'; readonly id: SessionId; readonly former: SessionId | undefined }
  | { readonly type: 'bad signature' | 'ambiguous cookie' }
  | { readonly type: 'CSRF failed'; readonly reason: InvalidCSRFTokenError['reason'] }
  | { readonly type: 'store error' | 'not adopted'; readonly error: unknown }
  /** This process now sends only an occasional trial call, until one succeeds. `error` is the error of the last call. */
  | { readonly type: 'store down'; readonly error: unknown }
  | { readonly type: 'store back' }

/** One call to the store. Published on the tracing channel `koa-atomic-session:store`; it is complete at `asyncEnd`. */
export interface StoreCall {
  readonly method:
    | 'insert'
    | 'load'
    | 'read'
    | 'update'
    | 'end'
    | 'delete'
    | 'find'
    | 'count'
    | 'sweep'
    | 'ensureIndex'
  /** Absent for `find`, `count`, `sweep` and `ensureIndex`, which do not concern one session. */
  readonly id?: SessionId
  /** The operators of an update, such as `['$set', '$inc']`. */
  readonly operators: readonly string[]
  /**
   * The number of changes that were sent to the store together as one step, including this one. Each of them is a `StoreCall` of
   * its own. Absent if the change was sent alone.
   */
  changes?: number
  /** How long the call took, in milliseconds, once it has ended. For `find`, without the time that the caller spent on results. */
  milliseconds?: number
  /**
   * For `load`, `read`, `find` and `count`: `found`, `ended` (a tombstone was found) or `absent`. For the others: `applied`,
   * `refused` (a guard or the revision did not hold), `ended` or `absent`.
   */
  readonly result?: 'found' | 'applied' | 'refused' | 'ended' | 'absent'
  /** The error, if the call failed. It does not contain the driver's message. */
  readonly error?: unknown
}

const lifecycle = channel('koa-atomic-session:lifecycle')

export function publish(event: LifecycleEvent): void {
  if (!lifecycle.hasSubscribers) return
  if ('error' in event) {
    const shown = { ...event, error: errorOfEvent(event.error) }
    whileReporting(() => lifecycle.publish(shown))
  } else {
    lifecycle.publish(event)
  }
}

/**
 * An error as events contain it. A driver's message may quote stored values: so a cause, or an error that is not this library's, is
 * reduced to its name and code.
 */
export function errorOfEvent(error: unknown): unknown {
  if (!(error instanceof SessionError || error instanceof IdTakenError)) {
    const { name = 'Error', code } = kindOf(error)
    return Object.assign(
      new Error(`The session store failed with ${name}`),
      { name },
      code !== undefined && { code },
    )
  }
  const copy: Error = Reflect.construct(Error, [error.message], error.constructor as new () => Error)
  Object.assign(copy, error)
  const hidden = { configurable: true, writable: true, enumerable: false }
  Object.defineProperty(copy, 'stack', { ...hidden, value: error.stack })
  if (error.cause !== undefined)
    Object.defineProperty(copy, 'cause', { ...hidden, value: kindOf(error.cause) })
  return copy
}

/** A plain word, as error names and codes are. Anything else might contain data, so it is left out. */
const word = /^[\w.-]{1,50}$/

function kindOf(error: unknown): { readonly name?: string; readonly code?: string | number } {
  if (typeof error !== 'object' || error === null) return {}
  const { name, code } = error as { name?: unknown; code?: unknown }
  return {
    ...(typeof name === 'string' && word.test(name) && { name }),
    ...((typeof code === 'number' || (typeof code === 'string' && word.test(code))) && { code }),
  }
}
