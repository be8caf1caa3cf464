import { adopterOptions, assertMethods } from './checks.ts'
import { type AdoptingRedisClient, parsedAt } from './redis.ts'
import type { ExpressSessionStore } from './stored-session.ts'

export interface ConnectRedisOptions {
  client: AdoptingRedisClient
  /** @default 'sess:' */
  prefix?: string
  /** The `serializer` that connect-redis was given. If it throws, there is no session. */
  serializer?: { parse(text: string): unknown }
}

/** For `expressSession` and `fastifySession`: the sessions that connect-redis stored. */
export function connectRedis(options: ConnectRedisOptions): ExpressSessionStore {
  const given = adopterOptions('connectRedis', options, ['client', 'prefix', 'serializer'])
  const { client, prefix = 'sess:', serializer = JSON } = given
  assertMethods('connectRedis: client', client, ['get', 'del'])
  assertMethods('connectRedis: serializer', serializer, ['parse'])
  return {
    load: id => parsedAt(client, prefix + id, text => serializer.parse(text)),
    destroy: id => client.del(prefix + id),
  }
}
