import type { JoinableStore } from '../../src/store/joining.ts'
import type { Store } from '../../src/store/store.ts'
import { slowly } from './slowly.ts'

/** A store, and several calls of it as one, each of which takes a while. */
export function joinable(store: Store): JoinableStore {
  return {
    insert: record => store.insert(record),
    load: id => slowly(() => store.load(id)),
    read: (id, paths) => slowly(() => store.read(id, paths)),
    update: (id, change, answer) => slowly(() => store.update(id, change, answer)),
    end: (id, tombstone, until, rev) => store.end(id, tombstone, until, rev),
    delete: id => store.delete(id),
    ...(store.find && { find: store.find.bind(store) }),
    ...(store.count && { count: store.count.bind(store) }),
    ...(store.sweep && { sweep: store.sweep.bind(store) }),
    loadMany: ids => slowly(() => Promise.allSettled(ids.map(id => store.load(id)))),
    readMany: (ids, paths) => slowly(() => Promise.allSettled(ids.map(id => store.read(id, paths)))),
    updateMany: updates =>
      slowly(() =>
        Promise.allSettled(updates.map(({ id, change, answer }) => store.update(id, change, answer))),
      ),
    isJoinable: ({ answer }) => !answer,
  }
}
