import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { PassThrough } from 'node:stream'
import Koa from 'koa'
import Session, { SessionError, StoreUnavailableError } from '../../src/index.ts'
// Not through app.ts, which keeps all that is told, to search it for secrets.
import { answering, type Handler } from '../support/routes.ts'
import { unhurried } from '../support/unhurried.ts'
import { breakages } from './broken.ts'
import { opened, type Place } from './stores.ts'

// One process of the app: says where it answers, drains on SIGTERM, and ends with its parent.

export interface ProcessPlan {
  readonly place: Place
  /** Milliseconds by which this process's clock is wrong. */
  readonly clock: number
  readonly breakage: string | undefined
  /** Milliseconds that a call to the store may take. */
  readonly timeout: number
}

/** Bytes, and milliseconds. */
export interface Measurement {
  readonly rss: number
  /** After a collection of garbage. */
  readonly heapUsed: number
  /** Timers, sockets and requests that keep the process alive. */
  readonly handles: number
  /** Of the event loop, 99th percentile. */
  readonly delay: number
  readonly longestDelay: number
}

const { place, clock, breakage, timeout } = JSON.parse(process.argv[2] ?? '') as ProcessPlan

const now = Date.now
Date.now = () => now() + clock

const { store, close } = opened(place, timeout)
const app = new Koa()
app.keys = ['the same long key for every process of the app']
app.silent = true
const sessions = Session(app, {
  store: (breakage && breakages[breakage]?.(store)) || store,
  timeout,
  user: 'visitor',
})

// Around the session's own middleware, so that a visitor learns of each error what the log would have.
app.middleware.unshift(async (_, next) => {
  try {
    await next()
  } catch (error) {
    if (error instanceof SessionError) {
      const outcome = error instanceof StoreUnavailableError ? error.outcome : 'none'
      error.headers = { ...error.headers, 'x-code': error.code, 'x-outcome': outcome }
    }
    throw error
  }
})

const routes: Record<string, Handler> = {
  '/plain': () => 'plain',
  '/begin': ctx => ctx.session.set('visitor', ctx.query.label),
  '/read': async ctx => ({ ...(await ctx.session()) }),
  '/push': ctx => ctx.session.push('log', ctx.query.token),
  '/counted': ctx => ctx.session.push('log', ctx.query.token).inc('n'),
  '/count': ctx => ctx.session.inc('n'),
  '/die': async ctx => {
    await ctx.session.inc('n')
    process.kill(process.pid, 'SIGKILL')
  },
  '/unawaited': ctx => {
    ctx.session.push('log', ctx.query.token)
  },
  '/loaded': async ctx => {
    const session = await ctx.session()
    await session.push('log', ctx.query.token)
    return { ...session }
  },
  '/throwing': async ctx => {
    await ctx.session.push('log', ctx.query.token)
    ctx.throw(418)
  },
  '/streaming': ctx => {
    const body = new PassThrough()
    ctx.body = body
    body.write('begun ')
    const told = ctx.session.push('log', ctx.query.token).then(
      () => 'acknowledged',
      (error: unknown) => (error instanceof StoreUnavailableError && error.outcome) || 'none',
    )
    told.then(what => body.end(what))
  },
  '/renew': async ctx => {
    const grace = ctx.query.grace === undefined ? {} : { grace: String(ctx.query.grace) }
    await ctx.session.regenerate({ keep: true, ...grace })
  },
  '/end': ctx => ctx.session.destroy(),
}
app.use(answering(routes))

const delays = monitorEventLoopDelay({ resolution: 5 })
delays.enable()

/** What the process is made of now, and how long its event loop was held up since this was last asked. */
function measured(): Measurement {
  gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  const [delay, longestDelay] = [delays.percentile(99) / 1e6, delays.max / 1e6]
  delays.reset()
  return { rss, heapUsed, handles: process.getActiveResourcesInfo().length, delay, longestDelay }
}

const server = createServer(unhurried, app.callback()).listen(0, '127.0.0.1')
await once(server, 'listening')
process.once('disconnect', () => process.exit())
process.on('message', () => process.send?.(measured()))
process.once('SIGTERM', async () => {
  server.close()
  server.closeIdleConnections()
  await sessions.close()
  await close()
  process.exit()
})
process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
