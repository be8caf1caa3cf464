import { createClient } from 'redis'
// In your app: import { redisStore } from 'koa-atomic-session/redis'
import { redisStore } from '../src/stores/redis/store.ts'
import type { Database } from './store.ts'

export function redis(url: string): Database {
  const client = createClient({ url })
  client.on('error', error => console.error(`Redis is away: ${error.message}`))
  // What is asked before it is connected waits, and no longer than its request does.
  const connected = client.connect().catch(() => {})
  const key = (id: string) => `ordinary:${id}`
  return {
    name: 'Redis',
    store: redisStore({ client }),
    ordinary: {
      async get(id) {
        const session = await client.get(key(id))
        return session === null ? undefined : JSON.parse(session)
      },
      set: async (id, session) => void (await client.set(key(id), JSON.stringify(session), { EX: 86_400 })),
      destroy: async id => void (await client.del(key(id))),
    },
    async close() {
      await connected
      if (client.isReady) await client.close()
      else client.destroy()
    },
  }
}
