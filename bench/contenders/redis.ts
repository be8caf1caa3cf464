import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import type { Store } from '../../src/index.ts'
import type { RedisStoreOptions } from '../../src/stores/redis/store.ts'
import { library } from '../built.ts'
import { byHand, missing } from './by-hand.ts'
import { type Contender, DAY, type Handlers, koaOf, type Place } from './contender.ts'
import { on } from './ours.ts'
import { expressSession, koaSession, type WholeStore } from './peers.ts'

type Client = ReturnType<typeof clientOf>

function clientOf({ uri }: Place) {
  return createClient({ url: uri })
}

async function connected(place: Place): Promise<Client> {
  const client = clientOf(place)
  await client.connect()
  return client
}

export const redis: Readonly<Record<string, Contender>> = {
  'by hand': {
    lacks: ['chain'],
    start: async place => koaOf(handlersOf(await connected(place), `${place.name}:`)),
  },
  ours: {
    async start(place) {
      const { redisStore } = await library<{ redisStore(options: RedisStoreOptions): Store }>(
        'stores/redis/store',
      )
      return on(redisStore({ client: await connected(place), prefix: `${place.name}:` }))
    },
  },
  'koa-session': { start: async place => koaSession(storeOf(await connected(place), `${place.name}:`)) },
  'express-session': {
    async start(place) {
      const client = await connected(place)
      return expressSession(new RedisStore({ client, prefix: `${place.name}:`, disableTouch: true }))
    },
  },
}

/** A hash for each session, whose fields are JSON. */
function handlersOf(client: Client, prefix: string): Handlers {
  return byHand({
    async insert(id, { views, theme, log, padding }) {
      const fields = { views, theme: JSON.stringify(theme), log: JSON.stringify(log), padding }
      await client.multi().hSet(`${prefix}${id}`, fields).pExpire(`${prefix}${id}`, DAY).exec()
    },
    async views(id) {
      const { views } = await client.hGetAll(`${prefix}${id}`)
      if (views === undefined) throw missing()
      return views
    },
    setTheme: (id, theme) => client.hSet(`${prefix}${id}`, 'theme', JSON.stringify(theme)),
    increment: id => client.hIncrBy(`${prefix}${id}`, 'views', 1),
  })
}

/** Whole sessions as JSON. */
function storeOf(client: Client, prefix: string): WholeStore {
  return {
    async get(id) {
      const found = await client.get(`${prefix}${id}`)
      return found === null ? undefined : JSON.parse(found)
    },
    async set(id, session) {
      await client.set(`${prefix}${id}`, JSON.stringify(session), {
        expiration: { type: 'PX', value: DAY },
      })
    },
    async destroy(id) {
      await client.del(`${prefix}${id}`)
    },
  }
}
