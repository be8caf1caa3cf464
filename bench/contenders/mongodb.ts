import MongoStore from 'connect-mongo'
import { type Collection, MongoClient } from 'mongodb'
import type { MongoDBCollection } from '../../src/index.ts'
import { acts, anotherTheme, LINES } from '../acts.ts'
import { byHand, missing } from './by-hand.ts'
import { type Contender, DAY, type Handlers, koaOf, type Place, untouched } from './contender.ts'
import { on, Session } from './ours.ts'
import { expressSession, fastifySession, koaGenericSession, koaSession, type WholeStore } from './peers.ts'

/** Documents of any kind whose `_id` is a text. */
interface Stored {
  _id: string
}

/** Beats seldom, so that what is counted on the way to the server are the requests'. */
function collectionOf({ uri, name }: Place): Collection<Stored> {
  const client = new MongoClient(uri, { heartbeatFrequencyMS: 3_600_000, ...patience })
  return client.db('bench').collection(name)
}

/** As our sessions want it of the driver. */
const patience = { serverSelectionTimeoutMS: 5000, connectTimeoutMS: 5000, waitQueueTimeoutMS: 5000 }

export const koaWithDriver: Contender = {
  lacks: acts.filter(act => act !== 'untouched'),
  async start(place) {
    await collectionOf(place).findOne({})
    return koaOf({ untouched, seed: untouched })
  },
}

export const mongodb: Readonly<Record<string, Contender>> = {
  'by hand': { start: async place => koaOf(handlersOf(collectionOf(place))) },
  ours: {
    start: place =>
      on(Session.mongoStore({ collection: collectionOf(place) as unknown as MongoDBCollection })),
  },
  'koa-session': { start: async place => koaSession(storeOf(collectionOf(place))) },
  'koa-generic-session': { start: async place => koaGenericSession(storeOf(collectionOf(place))) },
  'express-session': { start: async place => expressSession(connectMongo(collectionOf(place))) },
  '@fastify/session': { start: place => fastifySession(connectMongo(collectionOf(place))) },
}

function handlersOf(collection: Collection<Stored>): Handlers {
  const alive = (_id: string) => ({ _id, expires: { $gt: new Date() } })
  const change = async (id: string, update: object, ...fields: string[]) => {
    const projection = Object.fromEntries(fields.map(field => [`data.${field}`, 1]))
    const found = await collection.findOneAndUpdate(alive(id), update, {
      projection: { _id: 0, ...projection },
      returnDocument: 'after',
    })
    return dataOf(found)
  }
  const setTheme = (id: string, theme: string) => change(id, { $set: { 'data.theme': theme } }, 'theme')
  return {
    ...byHand({
      insert: (_id, data) =>
        collection.insertOne({ _id, expires: new Date(Date.now() + DAY), data } as Stored),
      views: async id => dataOf(await collection.findOne(alive(id))).views,
      setTheme,
      increment: async id => (await change(id, { $inc: { 'data.views': 1 } }, 'views')).views,
    }),
    async blind(ctx) {
      const theme = anotherTheme()
      const id = ctx.cookies.get('id') ?? ''
      const { matchedCount } = await collection.updateOne(alive(id), { $set: { 'data.theme': theme } })
      if (matchedCount !== 1) throw missing()
      return theme
    },
    async chain(ctx) {
      const theme = anotherTheme()
      const update = {
        $set: { 'data.theme': theme },
        $inc: { 'data.views': 1 },
        $push: { 'data.log': { $each: [theme], $slice: -LINES } },
      }
      const { views } = await change(ctx.cookies.get('id') ?? '', update, 'views', 'theme', 'log')
      return `${views} ${theme}`
    },
  }
}

function dataOf(found: object | null): Record<string, unknown> {
  if (!found || !('data' in found)) throw missing()
  return found.data as Record<string, unknown>
}

/** As its documentation recommends: not written again within a day if it has not changed. */
function connectMongo(collection: Collection<Stored>): MongoStore {
  return MongoStore.create({
    client: collection.db.client,
    dbName: collection.dbName,
    collectionName: collection.collectionName,
    touchAfter: DAY / 1000,
  })
}

/** Whole sessions in a collection. */
function storeOf(collection: Collection<Stored>): WholeStore {
  return {
    async get(id) {
      const found = await collection.findOne<{ session: unknown }>({ _id: id, expires: { $gt: new Date() } })
      return found?.session
    },
    async set(id, session) {
      const document = { session: { ...session }, expires: new Date(Date.now() + DAY) }
      await collection.updateOne({ _id: id }, { $set: document }, { upsert: true })
    },
    async destroy(id) {
      await collection.deleteOne({ _id: id })
    },
  }
}
