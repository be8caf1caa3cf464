import { bodyParser } from '@koa/bodyparser'
import Koa from 'koa'
// In your app: import Session, { type Sessions } from 'koa-atomic-session'
import Session, { type Sessions } from '../src/index.ts'
import { account } from './account.ts'
import { assets } from './assets.ts'
import { cart } from './cart.ts'
import { devices } from './devices.ts'
import { answerErrors, report, securityHeaders } from './errors.ts'
import { home } from './home.ts'
import { atomicApp } from './race/atomic.ts'
import { ordinaryApp } from './race/ordinary.ts'
import { race } from './race/race.ts'
import { measured } from './race/recording.ts'
import { Runner } from './race/runner.ts'
import type { Shop, ShopContext, State } from './session.ts'
import type { Database } from './store.ts'

export interface ShopApp {
  readonly app: Koa<State, ShopContext>
  readonly sessions: Sessions<Shop>
  readonly runner: Runner
}

/** The shop, until `closing`. */
export function shopApp(database: Database, keys: string[], closing: AbortSignal): ShopApp {
  const store = measured(database.store)
  const app = new Koa<State, ShopContext>()
  app.keys = keys
  // The cookie ends with the browser's own session, unless the visitor asks to be remembered: see account.ts.
  const sessions = Session<Shop>(app, {
    store,
    user: 'user',
    maxAge: '2 hours',
    cookie: { persistent: false },
  })
  const runner = new Runner(
    atomicApp(store, keys).callback(),
    ordinaryApp(measured(database.ordinary), keys).callback(),
  )

  app.on('error', report)
  app.use(securityHeaders)
  app.use(assets)
  app.use(answerErrors)
  app.use(bodyParser({ enableTypes: ['form'] }))
  // Refuses what another site made a browser send; a browser that does not tell needs the form's token.
  app.use(sessions.csrf())
  for (const part of [home(runner), cart, account, devices(sessions, closing), race(runner)]) {
    app.use(part.routes())
  }
  return { app, sessions, runner }
}
