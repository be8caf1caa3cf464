import { type Store, StoreUnavailableError } from '../../../src/index.ts'
import type { Random } from './random.ts'

/** A store over a bad line: now and then a call is made, and its answer is lost. */
export function forgetful(store: Store, random: Random, probability: number): Store {
  const lossy = async <T>(answer: Promise<T>): Promise<T> => {
    const found = await answer
    if (random.chance(probability)) throw new StoreUnavailableError('The answer was lost', 'unknown')
    return found
  }
  return {
    insert: record => lossy(store.insert(record)),
    load: id => lossy(store.load(id)),
    read: (id, paths) => lossy(store.read(id, paths)),
    update: (id, change, answer) => lossy(store.update(id, change, answer)),
    end: (id, tombstone, until, rev) => lossy(store.end(id, tombstone, until, rev)),
    delete: id => lossy(store.delete(id)),
  }
}
