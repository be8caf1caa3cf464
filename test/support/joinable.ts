import type { JoinableStore } from '../../src/store/joining.ts'
import type { Store } from '../../src/store/store.ts'
import { passingOn } from '../../src/store/wrapping.ts'
import { slowly } from './slowly.ts'

/** A store, and several calls of it as one, each of which takes a while. */
export function joinable(store: Store): JoinableStore {
  return {
    ...passingOn(store),
    load: id => slowly(() => store.load(id)),
    read: (id, paths) => slowly(() => store.read(id, paths)),
    update: (id, change, answer) => slowly(() => store.update(id, change, answer)),
    loadMany: ids => slowly(() => Promise.allSettled(ids.map(id => store.load(id)))),
    readMany: (ids, paths) => slowly(() => Promise.allSettled(ids.map(id => store.read(id, paths)))),
    updateMany: updates =>
      slowly(() =>
        Promise.allSettled(updates.map(({ id, change, answer }) => store.update(id, change, answer))),
      ),
    isJoinable: ({ answer }) => !answer,
  }
}
