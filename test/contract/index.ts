import { type TestContext, test } from 'node:test'
import type { Store } from '../../src/store/store.ts'
import { storeContract as contract, type StoreTest } from '../../src/testing/index.ts'

export interface Excuse {
  /** Why the server that the store is tested with does not keep some of the promises, if it does not. */
  readonly reason: string | false
  readonly isExcused: (test: StoreTest) => boolean
}

/** What every store promises. `open` gives a fresh, empty store that closes itself when the test ends. */
export function storeContract(open: (t: TestContext) => Promise<Store>, excuse?: Excuse): void {
  for (const one of contract()) {
    const skip = excuse?.isExcused(one) ? excuse.reason : false
    test(one.title, { skip }, async t => {
      const reason = await one.run(() => open(t))
      if (reason) t.skip(reason)
    })
  }
}
