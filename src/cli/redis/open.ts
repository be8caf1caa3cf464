import { bsonFor } from '../../stores/bson.ts'
import { commandsOf, type RedisClient } from '../../stores/redis/client.ts'
import { type Head, headIn } from '../../stores/redis/head.ts'
import { Indexes } from '../../stores/redis/indexes.ts'
import { HEAD } from '../../stores/redis/scripts.ts'
import { redisStore } from '../../stores/redis/store.ts'
import { type OpenedStore, orClosed } from '../opened.ts'
import type { Target } from '../target.ts'
import { connectRedis } from './connection.ts'

export async function openRedis(target: Target): Promise<OpenedStore> {
  const bson = bsonFor('redis://')
  const { client, close } = await connectRedis(target.address)
  const { prefix } = target.names
  const store = await orClosed(close, () => redisStore({ client, prefix }))
  const indexes = new Indexes(commandsOf(client), prefix)
  return {
    target,
    store,
    bson,
    async userFields() {
      await indexes.ask()
      return [...indexes.paths]
    },
    async countExpired() {
      await indexes.ask()
      let count = 0
      for await (const keys of expired(client, prefix, indexes.now())) count += keys.length
      return count
    },
    /** Redis does so by itself; this is for keys that somebody has copied without their end. */
    async sweep() {
      await indexes.ask()
      let removed = 0
      for await (const keys of expired(client, prefix, indexes.now())) {
        for (const key of keys) await store.delete(key.slice(prefix.length))
        removed += keys.length
      }
      return removed
    },
    close,
  }
}

/** The keys of sessions whose time has come, page by page. */
async function* expired(client: RedisClient, prefix: string, now: number): AsyncGenerator<string[]> {
  for await (const page of headsUnder(client, prefix)) {
    yield page.flatMap(({ key, head }) => (head && head.expires <= now ? [key] : []))
  }
}

/** A key that is named as a session's is, with what is under `_` in it; without a head it is none of ours. */
interface Found {
  readonly key: string
  readonly head: Head | undefined
  /** The mark of the form, where there is one. */
  readonly mark: number | undefined
}

const id = /^[0-9a-f]{64}$/

export async function* headsUnder(client: RedisClient, prefix: string): AsyncGenerator<Found[]> {
  const commands = commandsOf(client)
  for await (const page of commands.scan(prefix)) {
    const keys = page.filter(key => id.test(key.slice(prefix.length)))
    yield await Promise.all(
      keys.map(async key => {
        // Another kind of value may stand under the key.
        const [bytes] = (await commands.hmget(key, ['_']).catch(() => [])) as (Buffer | null)[]
        return { key, head: bytes && bytes.length >= HEAD ? headIn(bytes) : undefined, mark: bytes?.[0] }
      }),
    )
  }
}
