import type { RedisServer } from './server.ts'

/** How often each command has been called since the server began, by scripts too. */
export async function callsOf(server: RedisServer): Promise<Map<string, number>> {
  const info = await server.command('INFO commandstats')
  return new Map(
    [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [name, Number(calls)]),
  )
}
