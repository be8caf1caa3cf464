import { SessionEndedError } from '../errors.ts'
import { publish } from '../events.ts'
import { isEnded } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import { endOld } from './ending.ts'
import { follow } from './lookup.ts'
import type { Known } from './state.ts'

/** Ends the session, and any that its visitor is led on to. Throws if one that is not to be followed has taken its place. */
export async function destroy(known: Known, store: Store): Promise<void> {
  while (known.id && known.isStored()) {
    const id = known.id
    const ended = await endOld(store, id)
    const found = ended ? undefined : await store.load(id)
    const tombstone = found && isEnded(found) ? found : undefined
    if (tombstone && (await follow(known, store, tombstone))) continue
    if (ended) publish({ type: 'ended', id })
    known.leave(tombstone)
  }
  // The one that took its place lives on, and must not be taken for ended.
  if (known.replaced) throw new SessionEndedError()
}
