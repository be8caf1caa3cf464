import { describe, test } from 'node:test'
import { joined } from '../../../src/store/joining.ts'
import { memoryStore } from '../../../src/stores/memory.ts'
import { storeContract as contract } from '../../../src/testing/index.ts'
import { joinable } from '../../support/joinable.ts'
import { storeContract } from '../index.ts'
import { over } from './breaking.ts'
import { brokenStores } from './stores.ts'

// The contract with a sound store, and what each of the broken ones does not keep of it: a process of its own, because
// its tests have to fail.

describe('sound', () => storeContract(async () => over(memoryStore())))
describe('sound and joined', () => storeContract(async () => over(joined(joinable(memoryStore())))))

for (const { fault, promise, prepare } of brokenStores) {
  describe(fault, () => {
    for (const one of contract()) {
      if (one.promise !== promise) continue
      test(one.title, async () => {
        const open = prepare()
        await one.run(open, open)
      })
    }
  })
}
