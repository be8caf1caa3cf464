import { AsyncLocalStorage } from 'node:async_hooks'
import { type Store, StoreUnavailableError } from '../../../src/index.ts'
import type { Random } from './random.ts'

/** Of each request, whether it has lost an answer. */
export const losses = new AsyncLocalStorage<{ hasLost: boolean }>()

const lost = new WeakSet<object>()

/** Whether it is the error of a lost answer: the call was made, and nothing of it comes later. */
export function isLost(error: unknown): boolean {
  return lost.has(error as object)
}

/** A store over a bad line: now and then a call is made, and its answer is lost. */
export function forgetful(store: Store, random: Random, probability: number): Store {
  const lossy = async <T>(answer: Promise<T>): Promise<T> => {
    const found = await answer
    if (!random.chance(probability)) return found
    const loss = losses.getStore()
    if (loss) loss.hasLost = true
    const error = new StoreUnavailableError('The answer was lost', 'unknown')
    lost.add(error)
    throw error
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
