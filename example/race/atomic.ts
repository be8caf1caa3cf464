import { setTimeout } from 'node:timers/promises'
import Router from '@koa/router'
import Koa from 'koa'
// In your app: import Session, { type SessionContext, type Store } from 'koa-atomic-session'
import Session, { type SessionContext, type Store } from '../../src/index.ts'
import { type Fields, filled } from './fields.ts'
import { isFresh, refresh } from './provider.ts'

type State = Koa.DefaultState

/** The race's atomic side. `ordinary.ts` is the same, line by line, with koa-session. */
export function atomicApp(store: Store, keys: string[]): Koa<State, SessionContext<Fields>> {
  const app = new Koa<State, SessionContext<Fields>>()
  app.keys = keys
  Session<Fields>(app, { key: 'atomic', maxAge: '10 minutes', store })
  const router = new Router<State, SessionContext<Fields>>()

  router.post('/sign-in', async ctx => {
    await ctx.session.set(filled())
    ctx.status = 204
  })

  router.post('/add/:number', async ctx => {
    await setTimeout(Number(ctx.query.work))
    ctx.session.push('lines', Number(ctx.params.number))
    ctx.status = 204
  })

  router.post('/token', async ctx => {
    await ctx.session.once('tokens', refresh, { unless: isFresh })
    ctx.status = 204
  })

  router.post('/sign-out', async ctx => {
    await ctx.session.destroy()
    ctx.status = 204
  })

  router.get('/session', async ctx => {
    const { visitor, lines } = await ctx.session()
    ctx.body = { visitor, lines }
  })

  app.use(router.routes())
  return app
}
