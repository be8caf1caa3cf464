import { channel } from 'node:diagnostics_channel'
import type { InvalidCSRFTokenError } from './errors.ts'
import type { SessionId } from './record.ts'

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
  readonly method: 'insert' | 'load' | 'read' | 'update' | 'end' | 'delete'
  readonly id: SessionId
  /** The operators of an update, such as `['$set', '$inc']`. */
  readonly operators: readonly string[]
  /** How long the call took, milliseconds; once it has ended. */
  milliseconds?: number
  /**
   * What became of it: `load` and `read` have `found` a session, the rest of an `ended` one, or none (`absent`); others
   * were `applied`, `refused` because a guard or the revision did not hold, or came to an `ended` or `absent` session.
   */
  readonly result?: 'found' | 'applied' | 'refused' | 'ended' | 'absent'
  /** Instead of a result. */
  readonly error?: unknown
}

const lifecycle = channel('koa-atomic-session:lifecycle')

export function tell(event: LifecycleEvent): void {
  if (lifecycle.hasSubscribers) lifecycle.publish(event)
}
