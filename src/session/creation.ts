import { milliseconds } from '../duration.ts'
import { SessionTooLargeError } from '../errors.ts'
import { publish } from '../events.ts'
import type { SessionId } from '../ids.ts'
import { newSecret, type Secret } from '../ids.ts'
import { callOptions } from '../language/calloptions.ts'
import { setting } from '../language/fold.ts'
import { applied } from '../language/operators.ts'
import { sizeOf } from '../language/size.ts'
import type { Fields } from '../language/values.ts'
import type { Store } from '../store/store.ts'
import type { Carrier } from './carrier.ts'
import { insertNew } from './ending.ts'
import type { Lifetimes } from './picture.ts'
import { Known } from './state.ts'

/** Stores a new session. With `fixed` under that secret's id and no other: rejects with `IdTakenError` if it is taken. */
export async function create(known: Known, store: Store, fields: Fields, fixed?: Secret): Promise<void> {
  const { tokens } = known
  const planned = fixed ?? known.secret ?? newSecret()
  // A token that is asked for meanwhile is made for it.
  known.secret = planned
  const picture = known.pictureOf(fields)
  known.offer(planned, picture, tokens)
  try {
    known.adopt(await insertNew(store, picture, planned, fixed !== undefined), picture)
    // Others know it too, and may have ended it by the time its visitor is told.
    if (fixed) known.told = known.issued
  } catch (error) {
    known.withdraw()
    throw error
  }
  publish({ type: 'created', id: known.id as SessionId })
}

export interface CreateOptions {
  /**
   * The session's own lifetime, as `touch(maxAge)` gives it: milliseconds, or words such as `'30 days'`.
   * @default the option `maxAge` of `Session`
   */
  readonly maxAge?: number | string
}

interface CreationSettings extends Lifetimes {
  readonly store: Store
  /** The largest that its fields may be, bytes of BSON. */
  readonly maxSize: number
}

/** Stores a session outside of any request, be there fields or none. */
export async function createFor(
  carrier: Carrier,
  settings: CreationSettings,
  fields: unknown,
  options: unknown,
): Promise<SessionId> {
  const { maxAge } = callOptions('create', options, ['maxAge'])
  const known = new Known(carrier, settings)
  if (maxAge !== undefined) known.remember(milliseconds('maxAge', maxAge as number | string))
  const checked = applied({}, setting('create()', fields))
  if (sizeOf(checked) > settings.maxSize) throw new SessionTooLargeError()
  await create(known, settings.store, checked)
  return known.id as SessionId
}
