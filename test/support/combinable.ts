import type { CombinableStore } from '../../src/store/combining.ts'
import type { Store } from '../../src/store/store.ts'
import { passingOn } from '../../src/store/wrapping.ts'

/** A store, and several changes of one session as one step, which tells the next one how many there have been. */
export function combinable(store: Store): CombinableStore<number> {
  return {
    ...passingOn(store),
    async updateTogether(id, updates, { told = 0 }) {
      const applied = updates.map(({ change, answer }) => store.update(id, change, answer))
      return { results: await Promise.allSettled(applied), told: told + 1 }
    },
  }
}
