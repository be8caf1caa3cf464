import { createClient } from 'redis'
// In your app: import { redisStore } from 'koa-atomic-session/redis'
import { redisStore } from '../src/stores/redis/store.ts'
import type { Database } from './store.ts'

export async function redis(url: string): Promise<Database> {
  let isOpen = false
  const client = createClient({
    url,
    // Where it never was, it is not waited for.
    socket: { reconnectStrategy: retries => isOpen && Math.min(retries * 50, 2000) },
  })
  // Said once for each time that Redis is away: the client tries again and again.
  let isAway = false
  client.on('error', error => {
    if (isOpen && !isAway) console.error(`Redis is away: ${error.message}`)
    isAway = true
  })
  client.on('ready', () => {
    isAway = false
  })
  await client.connect()
  isOpen = true
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
      if (client.isReady) await client.close()
      else client.destroy()
    },
  }
}
