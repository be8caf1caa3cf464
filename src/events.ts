import { channel } from 'node:diagnostics_channel'
import { IdTakenError, type InvalidCSRFTokenError, SessionError } from './errors.ts'
import type { SessionId } from './ids.ts'

/**
 * What happened to a session. Published on the channel `koa-atomic-session:lifecycle` of `node:diagnostics_channel`;
 * nobody pays who does not listen. Ids are hashes, and no event holds a value of a session.
 */
export type LifecycleEvent =
  | { readonly type: 'created' | 'ended' | 'expired' | 'unknown id'; readonly id: SessionId }
  | { readonly type: 'regenerated'; readonly id: SessionId; readonly former: SessionId | undefined }
  | { readonly type: 'bad signature' | 'ambiguous cookie' }
  | { readonly type: 'CSRF failed'; readonly reason: InvalidCSRFTokenError['reason'] }
  | { readonly type: 'store error' | 'not adopted'; readonly error: unknown }
  /** This process makes no calls but now and then, until one is answered; `error` is what the last one failed with. */
  | { readonly type: 'store down'; readonly error: unknown }
  | { readonly type: 'store back' }

/** One call to the store. Published on the tracing channel `koa-atomic-session:store`, whose `asyncEnd` has all of it. */
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
  /** Not of `find`, `count`, `sweep` and `ensureIndex`, which are about no session in particular. */
  readonly id?: SessionId
  /** The operators of an update, such as `['$set', '$inc']`. */
  readonly operators: readonly string[]
  /**
   * How many changes of the session went to the store together with this one, as one step, itself among them. Each is a call of
   * its own here. Absent where it went alone.
   */
  changes?: number
  /** How long the call took, milliseconds, once it has ended; `find`, without what was done with each session meanwhile. */
  milliseconds?: number
  /**
   * What became of it: `load`, `read`, `find` and `count` have `found` a session, the rest of an `ended` one, or none
   * (`absent`); others were `applied`, `refused` because a guard or the revision did not hold, or came to an `ended` or `absent` session.
   */
  readonly result?: 'found' | 'applied' | 'refused' | 'ended' | 'absent'
  /** Instead of a result, without what the store's driver said. */
  readonly error?: unknown
}

const lifecycle = channel('koa-atomic-session:lifecycle')

export function publish(event: LifecycleEvent): void {
  if (lifecycle.hasSubscribers) {
    lifecycle.publish('error' in event ? { ...event, error: errorOfEvent(event.error) } : event)
  }
}

/**
 * An error as events have it. What a driver says may quote what is stored: so of a cause, or of an error that is none of ours,
 * nothing is told but its name and code.
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

/** Words, as kinds of errors are named by; whatever else somebody may have put there is not told. */
const word = /^[\w.-]{1,50}$/

function kindOf(error: unknown): { readonly name?: string; readonly code?: string | number } {
  if (typeof error !== 'object' || error === null) return {}
  const { name, code } = error as { name?: unknown; code?: unknown }
  return {
    ...(typeof name === 'string' && word.test(name) && { name }),
    ...((typeof code === 'number' || (typeof code === 'string' && word.test(code))) && { code }),
  }
}
