import { tell } from './events.ts'
import { newSecret, type Secret } from './ids.ts'
import type { Known } from './known.ts'
import type { SessionId } from './record.ts'
import type { Store } from './store.ts'
import { insertNew } from './succession.ts'
import type { Fields } from './values.ts'

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
  tell({ type: 'created', id: known.id as SessionId })
}
