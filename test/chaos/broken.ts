import { type SessionId, type SessionRecord, type Store, StoreUnavailableError } from '../../src/index.ts'
import { applied } from '../../src/language/operators.ts'
import { isEnded } from '../../src/store/record.ts'
import { passingOn } from '../../src/store/wrapping.ts'

/** Stores that break a promise, which a run has to find out. */
export const breakages: Readonly<Record<string, (store: Store) => Store>> = {
  /** A late change stores anew what was ended, as `upsert: true` does. */
  upsert(store) {
    const last = new Map<SessionId, SessionRecord>()
    return forwarding(store, {
      async update(id, change, answer) {
        const outcome = await store.update(id, change, answer)
        const record = last.get(id)
        if (outcome !== 'ended' || !record) return outcome
        await store.delete(id)
        const fields = applied(record.fields, change.operations)
        await store.insert({ ...record, rev: record.rev + 1, fields })
        return { rev: record.rev + 1, fields }
      },
      async end(id, ...rest) {
        const found = await store.load(id)
        if (found && !isEnded(found)) last.set(id, found)
        return store.end(id, ...rest)
      },
    })
  },

  /** A change is sent again when it is not known whether it was made. */
  retry: store =>
    forwarding(store, {
      update: (id, change, answer) =>
        store.update(id, change, answer).catch(error => {
          if (!(error instanceof StoreUnavailableError)) throw error
          return store.update(id, change, answer)
        }),
    }),

  /** A change is acknowledged before the store has. */
  'early-ack': store =>
    forwarding(store, {
      async update(id, change) {
        store.update(id, change).catch(() => {})
        return {}
      },
    }),
}

function forwarding(store: Store, altered: Partial<Store>): Store {
  return { ...passingOn(store), ...altered }
}
