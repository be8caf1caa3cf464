import { ConfigurationError } from '../../errors.ts'
import type { Commands } from './commands.ts'
import { type IoredisClient, ioredisCommands, isIoredis } from './ioredis.ts'
import { isNodeRedis, type NodeRedisClient, nodeRedisCommands } from './node-redis.ts'

/** A connected client of `redis` 5.12.1 or newer, `ioredis` 5.3 or newer, or `iovalkey`: for one server, sentinels or a cluster. */
export type RedisClient = NodeRedisClient | IoredisClient

/**
 * Recognises a client by its methods, since its package may be bundled, renamed or patched.
 * @throws {ConfigurationError} if it is not such a client.
 */
export function commandsOf(client: RedisClient): Commands {
  if (isIoredis(client)) return ioredisCommands(client)
  if (isNodeRedis(client)) return nodeRedisCommands(client)
  throw new ConfigurationError(
    'client is no client for Redis that this store knows: give one of redis 5.12.1 or newer, ioredis 5.3 or newer, or iovalkey',
  )
}
