import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { bodyParser } from '@koa/bodyparser'
import Koa from 'koa'
// In your app: import Session from 'koa-atomic-session'
import Session from '../src/index.ts'
import { account } from './account.ts'
import { assets } from './assets.ts'
import { cart } from './cart.ts'
import { devices } from './devices.ts'
import { answerErrors, report, securityHeaders } from './errors.ts'
import { signingKeys } from './keys.ts'
import { atomicApp } from './race/atomic.ts'
import { ordinaryApp } from './race/ordinary.ts'
import { race } from './race/race.ts'
import { measured } from './race/recording.ts'
import { Runner } from './race/runner.ts'
import type { Shop, ShopContext, State } from './session.ts'
import { openDatabase } from './store.ts'

// HOST, PORT, DATA_FOLDER, MONGODB_URI, DATABASE_URL or REDIS_URL, and SESSION_KEYS say what is other than usual.
const folder = process.env.DATA_FOLDER || fileURLToPath(new URL('../data', import.meta.url))
const port = Number(process.env.PORT || 3000)
const closing = new AbortController()

const { MONGODB_URI, DATABASE_URL, REDIS_URL } = process.env
const database = openDatabase(MONGODB_URI || DATABASE_URL || REDIS_URL, folder)
const store = measured(database.store)

const app = new Koa<State, ShopContext>()
app.keys = signingKeys(process.env.SESSION_KEYS, folder)
// The cookie ends with the browser's own session, unless the visitor asks to be remembered: see account.ts.
const sessions = Session<Shop>(app, { store, user: 'user', maxAge: '2 hours', cookie: { persistent: false } })

const runner = new Runner(
  atomicApp(store, app.keys).callback(),
  ordinaryApp(measured(database.ordinary), app.keys).callback(),
)

app.on('error', report)
app.use(securityHeaders)
app.use(assets)
app.use(answerErrors)
app.use(bodyParser({ enableTypes: ['form'] }))
// Refuses what another site made a browser send; a browser that does not tell needs the form's token.
app.use(sessions.csrf())
for (const part of [cart, account, devices(sessions, closing.signal), race(runner)]) app.use(part.routes())

const server = createServer(app.callback())
open().catch(async error => {
  console.error(`The shop cannot open: ${reasonOf(error)}`)
  process.exitCode = 1
  await letGo()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close)

async function open(): Promise<void> {
  // Expired sessions are refused without the indexes too; finding a user's devices needs one.
  await sessions.ensureIndex()
  server.listen(port, process.env.HOST || 'localhost')
  await once(server, 'listening')
  const address = server.address() as AddressInfo
  console.log(`The shop is open at http://localhost:${address.port} (sessions in ${database.name})`)
}

function reasonOf(error: NodeJS.ErrnoException): string {
  if (error.code !== 'EADDRINUSE') return error.message
  return `port ${port} is taken. Stop what uses it, or choose another one, as in PORT=${port + 1} npm start`
}

/** Answers what is under way, then lets go of everything. */
async function close(): Promise<void> {
  closing.abort()
  const patience = setTimeout(() => server.closeAllConnections(), 5000)
  await new Promise(resolve => server.close(resolve))
  clearTimeout(patience)
  await letGo()
}

async function letGo(): Promise<void> {
  await runner.close()
  await sessions.close()
  await database.close()
}
