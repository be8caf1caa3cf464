import { milliseconds } from '../duration.ts'
import { IdTakenError, SessionTooLargeError } from '../errors.ts'
import { publish } from '../events.ts'
import type { Secret, SessionId } from '../ids.ts'
import { idOf, newSecret } from '../ids.ts'
import { callOptions } from '../language/calloptions.ts'
import { setting } from '../language/fold.ts'
import { applied } from '../language/operators.ts'
import { sizeOf } from '../language/size.ts'
import { comesBackAlike, type Fields } from '../language/values.ts'
import type { Carrier } from './carrier.ts'
import { CurrentSession, type SessionSettings } from './current.ts'

/** A random id that is already in use is next to impossible. Three in a row mean that the generator is broken. */
const MAX_IDS = 3

/**
 * Stores a new session; never over another one. With `fixed`, only under the id of that secret: rejects with `IdTakenError` if it is in
 * use.
 */
export async function create(session: CurrentSession, fields: Fields, fixed?: Secret): Promise<SessionId> {
  let secret = fixed ?? session.secret ?? newSecret()
  // A token that is made meanwhile belongs to this secret.
  session.on({ type: 'planned', secret })
  const picture = session.pictureOf(fields)
  session.outbox.offer(secret, picture, session.outbox.tokensOfPage)
  for (let tries = 1; ; tries++) {
    const id = idOf(secret)
    try {
      await session.store.insert({ id, ...picture })
      const isShared = fixed !== undefined
      // Other requests derive a fixed secret too. They may have ended the session by the time its visitor is told.
      session.on({ type: 'stored', secret, id, picture, isAlike: comesBackAlike(fields), isShared })
      publish({ type: 'created', id })
      return id
    } catch (error) {
      if (fixed !== undefined || !(error instanceof IdTakenError) || tries === MAX_IDS) {
        session.outbox.withdraw()
        throw error
      }
      secret = newSecret()
    }
  }
}

export interface CreateOptions {
  /**
   * The session's own lifetime, as with `touch(maxAge)`: milliseconds, or words such as `'30 days'`.
   * @default the option `maxAge` of `Session`
   */
  readonly maxAge?: number | string
}

/** Stores a session outside of any request, with fields or without. */
export async function createFor(
  carrier: Carrier,
  settings: SessionSettings,
  fields: unknown,
  options: unknown,
): Promise<SessionId> {
  const { maxAge } = callOptions('create', options, ['maxAge'])
  const session = new CurrentSession(carrier, settings)
  if (maxAge !== undefined)
    session.on({ type: 'given a lifetime', maxAge: milliseconds('maxAge', maxAge as number | string) })
  const checked = applied({}, setting('create()', fields))
  if (sizeOf(checked) > settings.maxSize) throw new SessionTooLargeError()
  return create(session, checked)
}
