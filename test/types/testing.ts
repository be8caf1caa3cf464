import type { SessionId, Sessions, Store } from '../../src/index.ts'
import {
  type Held,
  hold,
  memoryStore,
  type SignedIn,
  signedIn,
  storeContract,
} from '../../src/testing/index.ts'
import { is, type Shop } from './shop.ts'

declare const sessions: Sessions<Shop>
declare const untyped: Sessions
declare const store: Store & { readonly own: number }

export async function signing() {
  is<SignedIn>()(await signedIn(sessions, { views: 1, 'cart.total': 2 }))
  is<SessionId>()((await signedIn(untyped, { anything: 1 }, { maxAge: '30 days' })).id)
  // @ts-expect-error: no number
  signedIn(sessions, { views: '1' })
  // @ts-expect-error: no such field
  signedIn(sessions, { view: 1 })
  // @ts-expect-error: no such option
  signedIn(sessions, {}, { maxage: 1 })
}

export function holding() {
  is<Held<typeof store>>()(hold(store))
  is<number>()(hold(store).store.own)
  memoryStore().advance('1 hour')
  // @ts-expect-error: no such option
  memoryStore({ clok: Date.now })
}

export function contract() {
  for (const { promise, run } of storeContract()) {
    if (promise === 'expiry') is<Promise<string | undefined>>()(run(() => store))
    is<Promise<string | undefined>>()(
      run(
        () => store,
        async () => store,
      ),
    )
    // @ts-expect-error: no store
    run(() => store, store)
    // @ts-expect-error: no such part
    if (promise === 'expiring') run(async () => store)
  }
}
