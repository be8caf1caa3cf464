import type { TestContext } from 'node:test'
import type { Store } from '../../src/core/store.ts'

export type OpenStore = (t: TestContext) => Promise<Store>
