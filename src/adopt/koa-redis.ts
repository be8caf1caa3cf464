import { adopterOptions, assertFunction, assertMethods } from './checks.ts'
import type { KoaGenericSessionStore } from './koa-generic-session.ts'
import { type AdoptingRedisClient, parsedAt } from './redis.ts'

export interface KoaRedisOptions {
  client: AdoptingRedisClient
  /** The `unserialize` that koa-redis was given. If it throws, there is no session. */
  unserialize?: (text: string) => unknown
}

/** For `koaGenericSession` and `koaSession`: the sessions that koa-redis stored, read without it. */
export function koaRedis(options: KoaRedisOptions): KoaGenericSessionStore {
  const given = adopterOptions('koaRedis', options, ['client', 'unserialize'])
  const { client, unserialize = JSON.parse } = given
  assertMethods('koaRedis: client', client, ['get', 'del'])
  assertFunction('koaRedis: unserialize', unserialize)
  return {
    get: key => parsedAt(client, key, text => unserialize(text)),
    destroy: key => client.del(key),
  }
}
