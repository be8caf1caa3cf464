import type { TestContext } from 'node:test'
import type { Store } from '../../src/store/store.ts'

export type OpenStore = (t: TestContext) => Promise<Store>
