import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import fastifyCookie from '@fastify/cookie'
import fastifySessions from '@fastify/session'
import MongoStore from 'connect-mongo'
import express from 'express'
import session from 'express-session'
import fastify from 'fastify'
import type Koa from 'koa'
import { createSession } from 'koa-session'
import type { Collection } from 'mongodb'
import { bytesAskedFor, type Fields, isAct, onObject, seeded } from '../acts.ts'
import { type Contender, type Handlers, KEY, koaOf, type Stored, untouched } from './contender.ts'

const require = createRequire(import.meta.url)

/** The package has no types. */
const genericSession = require('koa-generic-session') as (options: object) => Koa.Middleware

const DAY = 24 * 60 * 60 * 1000

export const koaSession: Contender = {
  start: async collection => {
    const handlers = onSession(ctx => ctx.session as unknown as Fields)
    return koaOf(handlers, app => {
      app.use(createSession({ store: storeOf(collection()) }, app))
    })
  },
}

/** Deferred, so that a request which does not use its session does not read it. */
export const koaGenericSession: Contender = {
  start: async collection => {
    const handlers = onSession(ctx => ctx.session as unknown as Promise<Fields>)
    return koaOf(handlers, app => {
      app.use(genericSession({ store: storeOf(collection()), defer: true }))
    })
  },
}

export const expressWithConnectMongo: Contender = {
  async start(collection): Promise<RequestListener> {
    const app = express()
    const store = connectMongo(collection())
    app.use(session({ secret: KEY, resave: false, saveUninitialized: false, store, cookie: { maxAge: DAY } }))
    app.get('/:act', ({ params, session, url }, response) => {
      response.send(answer(params.act, url, session as unknown as Fields))
    })
    return app
  },
}

export const fastifySession: Contender = {
  async start(collection): Promise<RequestListener> {
    const app = fastify()
    const store = connectMongo(collection()) as unknown as fastifySessions.SessionStore
    await app.register(fastifyCookie)
    await app.register(fastifySessions, {
      secret: KEY,
      saveUninitialized: false,
      store,
      cookie: { secure: false, maxAge: DAY },
    })
    app.get<{ Params: { act: string } }>('/:act', async ({ params, session, url }) =>
      answer(params.act, url, session as unknown as Fields),
    )
    await app.ready()
    return (request: IncomingMessage, response: ServerResponse) => app.routing(request, response)
  },
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

function onSession(sessionOf: (ctx: Koa.Context) => Fields | Promise<Fields>): Handlers {
  const acting = Object.keys(onObject).filter(isAct)
  return {
    untouched,
    seed: async ctx => answer('seed', ctx.url, await sessionOf(ctx)),
    ...Object.fromEntries(
      acting.map(act => [act, async (ctx: Koa.Context) => onObject[act](await sessionOf(ctx))]),
    ),
  }
}

function answer(act: string, url: string, session: Fields): string {
  if (isAct(act)) return onObject[act](session)
  if (act === 'seed') Object.assign(session, seeded(bytesAskedFor(url.split('?')[1])))
  return act
}

/** Whole sessions in a collection, as both Koa libraries ask for them. */
function storeOf(collection: Collection<Stored>) {
  return {
    async get(id: string): Promise<unknown> {
      const found = await collection.findOne<{ session: unknown }>({ _id: id, expires: { $gt: new Date() } })
      return found?.session
    },
    async set(id: string, session: object): Promise<void> {
      const document = { session: { ...session }, expires: new Date(Date.now() + DAY) }
      await collection.updateOne({ _id: id }, { $set: document }, { upsert: true })
    },
    async destroy(id: string): Promise<void> {
      await collection.deleteOne({ _id: id })
    },
  }
}
