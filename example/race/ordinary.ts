import { tracingChannel } from 'node:diagnostics_channel'
import { setTimeout } from 'node:timers/promises'
import Router from '@koa/router'
import Koa from 'koa'
import { createSession } from 'koa-session'
// In your app: import type { StoreCall } from 'koa-atomic-session'
import type { StoreCall } from '../../src/index.ts'
import { type Fields, filled } from './fields.ts'
import { isFresh, refresh } from './provider.ts'

/** A store as koa-session takes it: whole sessions, read and written. */
export interface OrdinaryStore {
  get(id: string): Promise<object | undefined>
  set(id: string, session: object): Promise<void>
  destroy(id: string): Promise<void>
}

type State = Koa.DefaultState

interface OrdinaryContext {
  session: Partial<Fields> | null
}

/** The race's ordinary side. `atomic.ts` is the same, line by line, with this library. */
export function ordinaryApp(store: OrdinaryStore, keys: string[]): Koa<State, OrdinaryContext> {
  const app = new Koa<State, OrdinaryContext>()
  app.keys = keys
  app.use(createSession({ key: 'ordinary', maxAge: 10 * 60 * 1000, store: traced(store) }, app))
  const router = new Router<State, OrdinaryContext>()

  router.post('/sign-in', async ctx => {
    ctx.session = filled()
    ctx.status = 204
  })

  router.post('/add/:number', async ctx => {
    await setTimeout(Number(ctx.query.work))
    ctx.session?.lines?.push(Number(ctx.params.number))
    ctx.status = 204
  })

  router.post('/token', async ctx => {
    const { session } = ctx
    if (session?.tokens && !isFresh(session.tokens)) {
      session.tokens = await refresh(session.tokens)
    }
    ctx.status = 204
  })

  router.post('/sign-out', async ctx => {
    ctx.session = null
    ctx.status = 204
  })

  router.get('/session', async ctx => {
    const { visitor, lines } = ctx.session ?? {}
    ctx.body = { visitor, lines }
  })

  app.use(router.routes())
  return app
}

/** A call to its store, told as this library tells its own. */
export interface OrdinaryCall extends Omit<StoreCall, 'method' | 'result'> {
  readonly method: keyof OrdinaryStore
  /** What the store answered. */
  readonly result?: unknown
}

const calls = tracingChannel<'ordinary-session:store', OrdinaryCall>('ordinary-session:store')

function traced(store: OrdinaryStore): OrdinaryStore {
  const trace = <T>(method: keyof OrdinaryStore, id: string, ask: () => Promise<T>): Promise<T> => {
    const call: OrdinaryCall = { method, id, operators: [] }
    const begun = performance.now()
    const timed = () =>
      ask().finally(() => {
        call.milliseconds = performance.now() - begun
      })
    return calls.tracePromise(timed, call)
  }
  return {
    get: id => trace('get', id, () => store.get(id)),
    set: (id, session) => trace('set', id, () => store.set(id, session)),
    destroy: id => trace('destroy', id, () => store.destroy(id)),
  }
}
