import type { FaultProxy } from '../proxy.ts'
import type { RedisServer } from './server.ts'
import { until } from './topologies.ts'

/** How often each command has been called since the server began, by scripts too. */
export async function callsOf(server: RedisServer): Promise<Map<string, number>> {
  const info = await server.command('INFO commandstats')
  return new Map(
    [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
  )
}

/** Does it so that a client that sends again does: the server has run its script, and the answer is lost with the connection. */
export async function sentTwice<T>(
  proxy: FaultProxy,
  server: RedisServer,
  act: () => Promise<T>,
  meanwhile = async () => {},
): Promise<T> {
  const scripts = async () => (await callsOf(server)).get('evalsha') ?? 0
  const before = await scripts()
  proxy.mute()
  const acting = act()
  await until(async () => (await scripts()) > before)
  await meanwhile()
  await proxy.cut()
  await proxy.heal()
  return acting
}
