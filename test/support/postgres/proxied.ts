import { FaultProxy } from '../proxy.ts'

/** A way to a server that fails on demand. */
export async function proxiedPostgreSQL(
  uri: string,
): Promise<{ readonly proxy: FaultProxy; readonly uri: string }> {
  const target = new URL(uri)
  const proxy = await FaultProxy.to({ host: target.hostname, port: Number(target.port) })
  target.port = String(proxy.port)
  return { proxy, uri: target.href }
}
