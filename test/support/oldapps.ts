import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import fastifyCookie from '@fastify/cookie'
import fastifySessions from '@fastify/session'
import express from 'express'
import session, { type Store as ExpressStore } from 'express-session'
import fastify from 'fastify'
import { Redis } from 'ioredis'
import Koa from 'koa'
import { answering, KEY, listening } from './app.ts'
import { unhurried } from './unhurried.ts'

// Apps with sessions of other libraries: `/fill` gives a visitor a session with `held`, `/read` shows it and `/leave` ends it.

const require = createRequire(import.meta.url)

/** These packages have no types. */
export const genericSession = require('koa-generic-session') as (options: object) => Koa.Middleware
const koaRedisStore = require('koa-redis') as (options: object) => {
  get(key: string): Promise<object | undefined>
  set(key: string, data: object): Promise<void>
  destroy(key: string): Promise<void>
  removeAllListeners(event: string): void
}

export const held = { user: 'ada', cart: [{ sku: 'tea', count: 2 }] }
const expressOptions = { secret: KEY, resave: false, saveUninitialized: false } as const

/** A listener's address, until the test ends. */
async function served(t: TestContext, listener: RequestListener): Promise<string> {
  const http = createServer(unhurried, listener).listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.after(() => {
    http.closeAllConnections()
    http.close()
  })
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}

export function anExpressApp(t: TestContext, store: ExpressStore, options = {}): Promise<string> {
  const app = express()
  app.use(session({ ...expressOptions, ...options, store }))
  app.get('/fill', (request, response) => {
    Object.assign(request.session, held)
    response.end()
  })
  app.get('/read', (request, response) => {
    const { cookie: _, ...fields } = JSON.parse(JSON.stringify(request.session))
    response.json(fields)
  })
  app.get('/leave', (request, response) => request.session.destroy(() => response.end()))
  return served(t, app)
}

export async function aFastifyApp(t: TestContext, store: ExpressStore, options = {}): Promise<string> {
  const app = fastify()
  await app.register(fastifyCookie)
  await app.register(fastifySessions, {
    secret: KEY,
    saveUninitialized: false,
    cookie: { secure: false },
    store: store as fastifySessions.SessionStore,
    ...options,
  })
  app.get('/fill', async request => {
    Object.assign(request.session, held)
    return ''
  })
  app.get('/read', async request => {
    const { cookie: _, ...fields } = JSON.parse(JSON.stringify(request.session))
    return fields
  })
  app.get('/leave', async request => {
    await request.session.destroy()
    return ''
  })
  t.after(() => app.close())
  return app.listen({ host: '127.0.0.1', port: 0 })
}

export async function aKoaApp(t: TestContext, sessions: (app: Koa) => Koa.Middleware): Promise<string> {
  const app = new Koa()
  app.keys = [KEY]
  app.use(sessions(app))
  app.use(
    answering({
      '/fill': ctx => void Object.assign(ctx.session as object, held),
      '/read': ctx => {
        const { cookie: _, ...fields } = JSON.parse(JSON.stringify(ctx.session ?? {}))
        return fields
      },
      '/leave': ctx => void Object.assign(ctx, { session: null }),
    }),
  )
  return (await listening(t, app)).url
}

/** A store of koa-redis, and its client. */
export function aKoaRedisStore(t: TestContext, port: number) {
  const own = new Redis(port, '127.0.0.1')
  const store = koaRedisStore({ client: own })
  t.after(() => {
    // Once it is told of the end, koa-generic-session waits for it to come back, and fails where nobody sees it.
    store.removeAllListeners('disconnect')
    return own.quit()
  })
  return { own, store }
}
