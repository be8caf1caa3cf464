import type { TestContext } from 'node:test'
import { FaultProxy } from '../proxy.ts'
import { thePostgreSQL } from './database.ts'

/** A way to the server of the tests that fails on demand, closed when the test ends. */
export async function aProxy(t: TestContext): Promise<{ readonly proxy: FaultProxy; readonly uri: string }> {
  const proxied = await proxiedPostgreSQL((await thePostgreSQL()).uri)
  t.after(() => proxied.proxy.close())
  return proxied
}

/** The same to any server. */
export async function proxiedPostgreSQL(
  uri: string,
): Promise<{ readonly proxy: FaultProxy; readonly uri: string }> {
  const target = new URL(uri)
  const proxy = await FaultProxy.to({ host: target.hostname, port: Number(target.port) })
  target.port = String(proxy.port)
  return { proxy, uri: target.href }
}
