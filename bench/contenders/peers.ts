import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import fastifyCookie from '@fastify/cookie'
import fastifySessions from '@fastify/session'
import express from 'express'
import session from 'express-session'
import fastify from 'fastify'
import type Koa from 'koa'
import { createSession } from 'koa-session'
import { bytesAskedFor, type Fields, isAct, onObject, seeded } from '../acts.ts'
import { DAY, type Handlers, KEY, koaOf, untouched } from './contender.ts'

// Other libraries' apps, each on a store that reads and writes whole sessions.

const require = createRequire(import.meta.url)

/** The package has no types. */
const genericSession = require('koa-generic-session') as (options: object) => Koa.Middleware

/** As both Koa libraries ask for whole sessions. */
export interface WholeStore {
  get(id: string): Promise<unknown>
  set(id: string, session: object): Promise<void>
  destroy(id: string): Promise<void>
}

export function koaSession(store: WholeStore): RequestListener {
  return koaOf(
    onSession(ctx => ctx.session as unknown as Fields),
    app => {
      app.use(createSession({ store }, app))
    },
  )
}

/** Deferred, so that a request which does not use its session does not read it. */
export function koaGenericSession(store: WholeStore): RequestListener {
  return koaOf(
    onSession(ctx => ctx.session as unknown as Promise<Fields>),
    app => {
      app.use(genericSession({ store, defer: true }))
    },
  )
}

export function expressSession(store: session.Store): RequestListener {
  const app = express()
  app.use(session({ secret: KEY, resave: false, saveUninitialized: false, store, cookie: { maxAge: DAY } }))
  app.get('/:act', ({ params, session, url }, response) => {
    response.send(answer(params.act, url, session as unknown as Fields))
  })
  return app
}

export async function fastifySession(store: session.Store): Promise<RequestListener> {
  const app = fastify()
  await app.register(fastifyCookie)
  await app.register(fastifySessions, {
    secret: KEY,
    saveUninitialized: false,
    store: store as unknown as fastifySessions.SessionStore,
    cookie: { secure: false, maxAge: DAY },
  })
  app.get<{ Params: { act: string } }>('/:act', async ({ params, session, url }) =>
    answer(params.act, url, session as unknown as Fields),
  )
  await app.ready()
  return (request: IncomingMessage, response: ServerResponse) => app.routing(request, response)
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
