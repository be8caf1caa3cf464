import { milliseconds } from '../duration.ts'
import { IdTakenError, SessionTooLargeError } from '../errors.ts'
import { publish } from '../events.ts'
import type { NewId, Secret, SessionId } from '../ids.ts'
import { idOf, newSecret } from '../ids.ts'
import { callOptions } from '../language/calloptions.ts'
import { setting } from '../language/fold.ts'
import { applied } from '../language/operators.ts'
import { sizeOf } from '../language/size.ts'
import { comesBackAlike, type Fields } from '../language/values.ts'
import type { Store } from '../store/store.ts'
import type { Carrier } from './carrier.ts'
import { CurrentSession, type SessionSettings } from './current.ts'
import type { Picture } from './picture.ts'

/** Stores a new session. With `fixed` under that secret's id and no other: rejects with `IdTakenError` if it is taken. */
export async function create(session: CurrentSession, fields: Fields, fixed?: Secret): Promise<SessionId> {
  const { tokens } = session
  const planned = fixed ?? session.secret ?? newSecret()
  // A token that is asked for meanwhile is made for it.
  session.on({ type: 'planned', secret: planned })
  const picture = session.pictureOf(fields)
  session.outbox.offer(planned, picture, tokens)
  try {
    const stored = await insertNew(session.settings.store, picture, planned, fixed !== undefined)
    // Others know one under a fixed secret too, and may have ended it by the time its visitor is told.
    session.on({
      type: 'stored',
      ...stored,
      picture,
      isAlike: comesBackAlike(fields),
      isShared: fixed !== undefined,
    })
    publish({ type: 'created', id: stored.id })
    return stored.id
  } catch (error) {
    session.outbox.withdraw()
    throw error
  }
}

/** That one id is taken is a wonder; that three are is a broken generator. */
const MAX_IDS = 3

/**
 * Stores a session under `secret`'s id or, should that be taken, under another's; never over another session. One that
 * `isFixed` is stored under no other: rejects with `IdTakenError`.
 */
export async function insertNew(
  store: Store,
  picture: Picture,
  secret: Secret,
  isFixed: boolean,
): Promise<NewId> {
  for (let tries = 1; ; tries++) {
    const id = idOf(secret)
    try {
      await store.insert({ id, ...picture })
      return { secret, id }
    } catch (error) {
      if (isFixed || !(error instanceof IdTakenError) || tries === MAX_IDS) throw error
      secret = newSecret()
    }
  }
}

export interface CreateOptions {
  /**
   * The session's own lifetime, as `touch(maxAge)` gives it: milliseconds, or words such as `'30 days'`.
   * @default the option `maxAge` of `Session`
   */
  readonly maxAge?: number | string
}

/** Stores a session outside of any request, even one without fields. */
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
