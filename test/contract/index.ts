import { type TestContext, test } from 'node:test'
import type { Store } from '../../src/store/store.ts'
import { storeContract as contract } from '../../src/testing/index.ts'

export interface Excuses {
  /** Why the server that the store is tested with cannot measure a session, if it cannot. */
  readonly size?: string | false
}

/** What every store promises. `open` gives a fresh, empty store that closes itself when the test ends. */
export function storeContract(open: (t: TestContext) => Promise<Store>, excuses: Excuses = {}): void {
  for (const { promise, title, run } of contract()) {
    test(title, { skip: promise === 'size' && (excuses.size ?? false) }, async t => {
      const reason = await run(() => open(t))
      if (reason) t.skip(reason)
    })
  }
}
