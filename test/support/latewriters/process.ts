import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import Koa from 'koa'
import { MongoClient } from 'mongodb'
import Session from '../../../src/index.ts'
import { answering, type Handler } from '../app.ts'
import { clientOptions } from '../mongodb/options.ts'
import { unhurried } from '../unhurried.ts'

// One process of an app with routes that read, wait and write: says where it answers, and ends with its parent.

const [uri = '', collectionName = ''] = process.argv.slice(2)
const client = new MongoClient(uri, clientOptions)
const app = new Koa()
app.keys = ['the same long key for every process of the app']
app.silent = true
const sessions = Session(app)
sessions.collection = client.db('tests').collection(collectionName)

/** After so many milliseconds, as the request says. */
function afterwards(act: Handler): Handler {
  return async (ctx, next) => {
    await delay(Number(ctx.query.ms))
    return act(ctx, next)
  }
}

const routes: Record<string, Handler> = {
  '/begin': async ctx => {
    const session = await ctx.session()
    await session.set('name', 'Ada')
    return session.id
  },
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/write-loaded': async ctx => {
    const session = await ctx.session()
    await delay(Number(ctx.query.ms))
    await session.set('late', true)
  },
  '/write-blind': afterwards(ctx => ctx.session.set('late', true)),
  '/write-unawaited': afterwards(ctx => {
    ctx.session.set('late', true)
  }),
  '/touch-loaded': async ctx => {
    const session = await ctx.session()
    await delay(Number(ctx.query.ms))
    await session.touch()
  },
  '/destroy': afterwards(ctx => ctx.session.destroy()),
  '/sign-in': afterwards(async ctx => {
    const session = await ctx.session.regenerate()
    await session.set('user', 'ada')
    return session.id
  }),
  '/renew': afterwards(async ctx => (await ctx.session.regenerate({ keep: true })).id),
  '/rotate': afterwards(async ctx => (await ctx.session.regenerate({ keep: true, grace: '30s' })).id),
}

app.use(answering(routes))
const server = createServer(unhurried, app.callback()).listen(0, '127.0.0.1')
await once(server, 'listening')
process.once('disconnect', () => process.exit())
process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
