import type { TestContext } from 'node:test'
import type { FaultProxy } from '../proxy.ts'
import { thePostgreSQL } from './database.ts'
import { proxiedPostgreSQL } from './proxied.ts'

/** A way to the server of the tests that fails on demand, closed when the test ends. */
export async function aProxy(t: TestContext): Promise<{ readonly proxy: FaultProxy; readonly uri: string }> {
  const proxied = await proxiedPostgreSQL((await thePostgreSQL()).uri)
  t.after(() => proxied.proxy.close())
  return proxied
}
