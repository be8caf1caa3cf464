import type { KoaGenericSessionStore } from './koa-generic-session.ts'
import { type AdoptingRedisClient, parsedAt } from './redis.ts'

export interface KoaRedisOptions {
  client: AdoptingRedisClient
  /** The `unserialize` that koa-redis was given. If it throws, there is no session. */
  unserialize?: (text: string) => unknown
}

/** For `koaGenericSession` and `koaSession`: the sessions that koa-redis stored, read without it. */
export function koaRedis({ client, unserialize = JSON.parse }: KoaRedisOptions): KoaGenericSessionStore {
  return {
    get: key => parsedAt(client, key, text => unserialize(text)),
    destroy: key => client.del(key),
  }
}
