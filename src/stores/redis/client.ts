import { ConfigurationError } from '../../errors.ts'
import type { Commands } from './commands.ts'
import { type IoredisClient, ioredisCommands, isIoredis } from './ioredis.ts'
import { isNodeRedis, type NodeRedisClient, nodeRedisCommands } from './node-redis.ts'

/** A connected client of `redis` 5.12.1 or newer, `ioredis` 5 or newer or `iovalkey`: of one server, a sentinel's, or a cluster. */
export type RedisClient = NodeRedisClient | IoredisClient

/**
 * By what a client can do, since a package may be bundled, renamed or patched.
 * @throws {ConfigurationError} for what is no such client.
 */
export function commandsOf(client: RedisClient): Commands {
  if (isIoredis(client)) return ioredisCommands(client)
  if (isNodeRedis(client)) return nodeRedisCommands(client)
  throw new ConfigurationError(
    'client is no client for Redis that this store knows: give one of redis 5.12.1 or newer, ioredis 5.12.1 or newer, or iovalkey',
  )
}
