import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import Koa from 'koa'
import { MongoClient } from 'mongodb'
// In your app: import Session from 'koa-atomic-session' and import { memoryStore } from 'koa-atomic-session/memory'
import Session, { type SessionContext, SessionEndedError } from '../src/index.ts'
import { memoryStore } from '../src/stores/memory.ts'
import { type Cart, errorPage, type Html, products, shopPage } from './pages.ts'

/** What a visitor's session holds. */
interface Shop {
  user: string
  visits: number
  cart: Cart
  /** The products put into the cart last. */
  recent: string[]
  /** A message for the next page, shown once. */
  flash: string
}

type State = Koa.DefaultState
type Context = Koa.ParameterizedContext<State, SessionContext<Shop>>

const MOST = 9

const app = new Koa<State, SessionContext<Shop>>()
app.keys = process.env.SESSION_KEYS?.split(',').filter(Boolean) ?? []
if (app.keys.length === 0) {
  app.keys = [randomBytes(32).toString('hex')]
  console.log('SESSION_KEYS is not set: cookies are signed with a random key, until this process ends')
}

const sessions = Session<Shop>(app, { maxAge: '1 month' })
const uri = process.env.MONGODB_URI
const client = uri
  ? new MongoClient(uri, { serverSelectionTimeoutMS: 4000, connectTimeoutMS: 4000, w: 'majority' })
  : undefined
if (client) {
  sessions.collection = client.db().collection('sessions')
  // Expired sessions are refused without the index too; it removes them from the disk.
  sessions.ensureIndex().catch((error: Error) => console.error(error.message))
} else {
  sessions.store = memoryStore()
}

const router = new Router<State, SessionContext<Shop>>()

// After a form a browser sees the shop; a program gets what it changed.
router.use(async (ctx, next) => {
  await next()
  if (ctx.method !== 'POST') return
  if (wantsJSON(ctx)) {
    const session = await ctx.session()
    ctx.body = { session, csrf: session.isNew ? undefined : ctx.session.createCSRF() }
  } else {
    ctx.status = 303
    ctx.redirect('/')
  }
})

router.get('/', async ctx => {
  // One atomic command: the counter goes up, and exactly one page gets the message.
  const flash = await ctx.session.inc('visits').take('flash').catch(unlessEnded)
  const session = await ctx.session()
  const csrf = ctx.session.createCSRF()
  show(ctx, { session, flash, csrf }, shopPage({ ...session, flash, csrf }))
})

router.post('/sign-in', async ctx => {
  const user = field(ctx, 'name').trim()
  if (user === '' || user.length > 50) ctx.throw(400, 'A name has 1 to 50 characters')
  // A new id for a new privilege; the cart comes along.
  await ctx.session.regenerate({ keep: ['cart', 'recent', 'visits'] })
  await ctx.session.set({ user, flash: `Welcome, ${user}!` })
})

router.post('/sign-out', async ctx => {
  await ctx.session.destroy()
})

router.post('/cart/:sku/add', async ctx => {
  const { sku, name } = productOf(ctx)
  const line = ['cart', 'quantities', sku] as const
  // `!=` also holds for a line that is not there yet; however many requests add at once, none passes MOST.
  const added = await ctx.session
    .if(line, '!=', MOST)
    .inc(line)
    .addToSet('cart.skus', sku)
    .push('recent', sku, { slice: -3 })
  if (!added) await ctx.session.set('flash', `${MOST} of ${name} is all we sell to one visitor`)
})

router.post('/cart/:sku/less', async ctx => {
  const line = ['cart', 'quantities', productOf(ctx).sku] as const
  await ctx.session.if(line, '>', 1).inc(line, -1)
})

router.post('/cart/:sku/remove', async ctx => {
  const { sku } = productOf(ctx)
  await ctx.session.pull('cart.skus', sku).unset(['cart', 'quantities', sku])
})

router.post('/order', async ctx => {
  // Whoever sends the form twice orders once: only one of the two requests gets the cart.
  const cart = await ctx.session
    .if('user', 'exists', true)
    .if('cart.skus.0', 'exists', true)
    .set('flash', 'Thank you for your order!')
    .take('cart')
  if (!cart) await ctx.session.set('flash', 'Sign in and put something into the cart first')
})

app.use(async (ctx, next) => {
  ctx.set('Cache-Control', 'no-store')
  ctx.set('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
  ctx.vary('Accept')
  try {
    await next()
    if (ctx.status === 404) ctx.throw(404, 'There is no such page')
  } catch (error) {
    fail(ctx, error as Failure)
  }
})
app.use(bodyParser({ enableTypes: ['form', 'json'] }))
// Refuses what another site made a browser send; a client that is no browser needs the token.
app.use(sessions.csrf())
app.use(router.routes())

const server = app.listen(Number(process.env.PORT || 3000), () => {
  const { port } = server.address() as AddressInfo
  console.log(`The shop is open at http://localhost:${port} (sessions in ${client ? 'MongoDB' : 'memory'})`)
})
server.once('error', error => {
  console.error(`The shop cannot open: ${error.message}`)
  process.exitCode = 1
  void client?.close()
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, close)

/** Answers what is under way, then lets go of everything. */
async function close(): Promise<void> {
  if (!server.listening) return
  const patience = setTimeout(() => server.closeAllConnections(), 5000)
  await new Promise(resolve => server.close(resolve))
  clearTimeout(patience)
  await sessions.close()
  await client?.close()
}

/** A cookie whose session was ended a moment ago: the page shows an empty session, and signing in begins a new one. */
function unlessEnded(error: unknown): undefined {
  if (!(error instanceof SessionEndedError)) throw error
}

/** What a visitor sends may be anything; this is a text. */
function field(ctx: Context, name: string): string {
  const body = ctx.request.body as Record<string, unknown> | null | undefined
  const value = body?.[name]
  return typeof value === 'string' ? value.toWellFormed() : ''
}

function productOf(ctx: Context & { params: Record<string, string> }) {
  return products.find(({ sku }) => sku === ctx.params.sku) ?? ctx.throw(404, 'There is no such product')
}

function wantsJSON(ctx: Context): boolean {
  return ctx.accepts('html', 'json') === 'json'
}

function show(ctx: Context, data: object, page: Html): void {
  if (wantsJSON(ctx)) ctx.body = data
  else {
    ctx.type = 'html'
    ctx.body = String(page)
  }
}

type Failure = Error & { status?: number; expose?: boolean; code?: string; headers?: Record<string, string> }

function fail(ctx: Context, error: Failure): void {
  const { status = 500, expose, code, headers = {} } = error
  const problem =
    status < 500 ? 'The shop does not understand' : 'The shop cannot answer now; please try again'
  const message = expose ? error.message : problem
  if (status >= 500) ctx.app.emit('error', error, ctx)
  ctx.status = status
  ctx.set(headers)
  show(ctx, { error: message, code }, errorPage(message))
}
