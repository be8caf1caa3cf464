import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import Koa from 'koa'
import Session, { type SessionContext, SessionError } from '../../../src/index.ts'
import { openedAt, placeIn } from '../places.ts'
import { unhurried } from '../unhurried.ts'

// One process of an app whose provider is as its query says: says where it answers, and ends with the process that started it.

interface Signed {
  token: string
}

const app = new Koa<Koa.DefaultState, SessionContext<Signed>>()
app.keys = ['the same long key for every process of the app']
app.silent = true
Session<Signed>(app, { store: await openedAt(placeIn(process.argv.slice(2))), timeout: '1m' })
/** How often the provider was asked, by visitor. */
const asked = new Map<string, number>()

app.use(async ctx => {
  const {
    visitor = '',
    provider = 'answers',
    lease = '10s',
    wait = '30s',
  } = ctx.query as Record<string, string>
  if (ctx.path === '/runs') {
    ctx.body = { runs: asked.get(visitor) ?? 0 }
    return
  }
  if (ctx.path === '/in') {
    await ctx.session.set('token', 'expired')
    return
  }
  const produce = async (_: unknown, { signal }: { readonly signal: AbortSignal }) => {
    const run = (asked.get(visitor) ?? 0) + 1
    asked.set(visitor, run)
    await pause(20)
    if (provider === 'dies') process.exit(1)
    if (provider === 'never') await once(signal, 'never')
    if (provider === 'throws' || (provider === 'recovers' && run % 3 !== 0))
      throw new Error('The provider is down')
    return `${process.pid}.${run}`
  }
  try {
    const token = await ctx.session.once('token', produce, {
      unless: value => value !== 'expired',
      lease,
      wait,
    })
    ctx.body = { token }
  } catch (error) {
    ctx.body = { error: error instanceof SessionError ? error.code : (error as Error).message }
  }
})

const server = createServer(unhurried, app.callback()).listen(0, '127.0.0.1')
await once(server, 'listening')
process.once('disconnect', () => process.exit())
process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
