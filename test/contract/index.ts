import { type TestContext, test } from 'node:test'
import type { Store } from '../../src/store/store.ts'
import { storeContract as contract, type StoreTest } from '../../src/testing/index.ts'

export type Open = () => Store | Promise<Store>

export interface Excuse {
  /** Why the server that the store is tested with does not keep some of the promises, if it does not. */
  readonly reason: string | false
  readonly isExcused: (test: StoreTest) => boolean
}

/**
 * What every store promises. `prepare` makes data that is new and empty, and gives what opens a store over it, which closes itself
 * when the test ends. It is called a second time for what two processes do.
 */
export function storeContract(prepare: (t: TestContext) => Promise<Open>, excuse?: Excuse): void {
  for (const one of contract()) {
    const skip = excuse?.isExcused(one) ? excuse.reason : false
    test(one.title, { skip }, async t => {
      const open = await prepare(t)
      const reason = await one.run(open, open)
      if (reason) t.skip(reason)
    })
  }
}
