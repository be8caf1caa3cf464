import { once } from 'node:events'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { Pool, type PoolConfig } from 'pg'
import { median } from '../test/support/median.ts'
import { startPostgreSQL } from '../test/support/postgres/server.ts'
import { build, library } from './built.ts'
import { aWire } from './wire.ts'

// Sessions in PostgreSQL through Koa, next to what a careful app writes by hand with jsonb_set: npx tsx bench/postgres.ts [rounds]
// Each number is how many requests ours answers while the app by hand answers one: the median of rounds that take turns.

build()
const { default: Session } = await library<typeof import('../src/index.ts')>('index')
const { postgresStore } =
  await library<typeof import('../src/stores/postgres/store.ts')>('stores/postgres/store')
const ROUNDS = Number(process.argv[2] ?? 7)
/** Milliseconds. */
const ROUND = 400
const KEY = 'a long key that signs the cookies of both apps'

const server = await startPostgreSQL()
if (!server) throw new Error('PostgreSQL is not installed')
const acts = ['set', 'inc', 'get', 'load'] as const
type Act = (typeof acts)[number]

function fields(bytes: number): Record<string, unknown> {
  const line = (index: number) => ({ sku: `tea-${index}`, count: index, note: 'x'.repeat(90) })
  const lines = Array.from({ length: bytes / 128 }, (_, index) => line(index))
  return { user_id: 'ada', theme: 'dark', n: 0, ...(bytes > 0 && { lines }) }
}

interface App {
  readonly origin: string
  /** Of each client, in their turn. */
  readonly cookies: readonly string[]
}

const closings: (() => unknown)[] = []

async function listening(app: Koa): Promise<string> {
  const http = createServer(app.callback())
  await once(http.listen(0, '127.0.0.1'), 'listening')
  closings.push(() => http.close())
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}

function aPool(options: PoolConfig): Pool {
  const pool = new Pool({ connectionString: server?.uri, ...options })
  pool.on('error', () => {})
  closings.push(() => pool.end())
  return pool
}

async function ours(
  data: Record<string, unknown>,
  options: PoolConfig,
  prepare = true,
  clients = 1,
): Promise<App> {
  const app = new Koa()
  app.keys = [KEY]
  const sessions = Session(app, { store: postgresStore({ pool: aPool(options), prepare }) })
  await sessions.ensureIndex()
  const run: Record<Act, (ctx: Koa.Context) => PromiseLike<unknown>> = {
    set: ctx => ctx.session.set('theme', 'light'),
    inc: ctx => ctx.session.inc('n'),
    get: ctx => ctx.session.get('theme'),
    load: ctx => ctx.session(),
  }
  app.use(async ctx => {
    await run[ctx.path.slice(1) as Act](ctx)
    ctx.body = 'ok'
  })
  const cookies: string[] = []
  while (cookies.length < clients) cookies.push((await sessions.create(data)).cookie)
  return { origin: await listening(app), cookies }
}

/** The same, as a statement each, prepared, on a session that has not expired. */
const statements: Record<Act, string> = {
  set: `UPDATE by_hand SET data = jsonb_set(data, '{theme}', $2::jsonb) WHERE sid = $1 AND expire > now()`,
  inc:
    `UPDATE by_hand SET data = jsonb_set(data, '{n}', to_jsonb(coalesce((data->>'n')::int, 0) + 1)) ` +
    `WHERE sid = $1 AND expire > now() RETURNING data->'n' AS n`,
  get: `SELECT data->'theme' AS theme FROM by_hand WHERE sid = $1 AND expire > now()`,
  load: 'SELECT data FROM by_hand WHERE sid = $1 AND expire > now()',
}

async function byHand(data: Record<string, unknown>, options: PoolConfig, clients = 1): Promise<App> {
  const pool = aPool(options)
  await pool.query(
    'CREATE TABLE IF NOT EXISTS by_hand (sid text PRIMARY KEY, data jsonb, expire timestamptz)',
  )
  await pool.query('CREATE INDEX IF NOT EXISTS by_hand_expire ON by_hand (expire)')
  const app = new Koa()
  app.keys = [KEY]
  app.use(async ctx => {
    if (ctx.path === '/begin') {
      const sid = crypto.randomUUID()
      await pool.query(`INSERT INTO by_hand VALUES ($1, $2, now() + interval '1 day')`, [
        sid,
        JSON.stringify(data),
      ])
      ctx.cookies.set('sid', sid, { signed: true })
    } else {
      const act = ctx.path.slice(1) as Act
      const values = [ctx.cookies.get('sid', { signed: true }), ...(act === 'set' ? ['"light"'] : [])]
      const { rowCount } = await pool.query({ name: act, text: statements[act], values })
      if (rowCount !== 1) ctx.throw(401)
    }
    ctx.body = 'ok'
  })
  const origin = await listening(app)
  const cookies: string[] = []
  while (cookies.length < clients) {
    const begun = await fetch(`${origin}/begin`)
    cookies.push(
      begun.headers
        .getSetCookie()
        .map(line => line.split(';')[0])
        .join('; '),
    )
  }
  return { origin, cookies }
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

function ask({ origin, cookies }: App, act: Act, client = 0): Promise<void> {
  const cookie = cookies[client % cookies.length]
  return new Promise((resolve, reject) => {
    const asked = request(`${origin}/${act}`, { agent, headers: { cookie } }, answer => {
      if (answer.statusCode !== 200) reject(new Error(`${act}: ${answer.statusCode}`))
      answer.resume().once('end', resolve)
    })
    asked.once('error', reject).end()
  })
}

/** Requests a second, and how many each client was answered. */
async function rate(app: App, act: Act, clients: number): Promise<{ rate: number; shares: number[] }> {
  const begun = performance.now()
  const end = begun + ROUND
  const shares = await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      let count = 0
      for (; performance.now() < end; count++) await ask(app, act, client)
      return count
    }),
  )
  const count = shares.reduce((sum, share) => sum + share)
  return { rate: (1000 * count) / (performance.now() - begun), shares }
}

async function beside(title: string, one: App, other: App, clients: number): Promise<void> {
  const cells: string[] = []
  for (const act of acts) {
    const ratios: number[] = []
    const rates: number[] = []
    for (let round = -1; round < ROUNDS; round++) {
      const [a, b] = [await rate(one, act, clients), await rate(other, act, clients)]
      if (round < 0) continue
      ratios.push(a.rate / b.rate)
      rates.push(a.rate)
    }
    cells.push(`${act} ${median(ratios).toFixed(2)} (${Math.round(median(rates))}/s)`)
  }
  console.log(`${title}: ${cells.join(', ')}`)
}

/** Sessions of their own, one for each client, in one app. */
for (const [size, clients] of [
  [0, 1],
  [64 * 1024, 1],
] as const) {
  const options = { max: 4 }
  const [one, unprepared, other] = [
    await ours(fields(size), options),
    await ours(fields(size), options, false),
    await byHand(fields(size), options),
  ]
  await beside(`${size / 1024} KiB, one client`, one, other, clients)
  await beside(`${size / 1024} KiB, one client, unprepared`, unprepared, other, clients)
}

for (const size of [0, 64 * 1024]) {
  const options = { max: 10 }
  const one = await ours(fields(size), options, true, 64)
  await beside(`${size / 1024} KiB, 64 clients`, one, await byHand(fields(size), options, 64), 64)
}

const [hot, hotByHand] = [await ours(fields(0), { max: 10 }), await byHand(fields(0), { max: 10 })]
for (const act of ['inc', 'set'] as const) {
  const [ratios, shares]: [number[], number[]] = [[], []]
  for (let round = -1; round < ROUNDS; round++) {
    const [a, b] = [await rate(hot, act, 64), await rate(hotByHand, act, 64)]
    if (round < 0) continue
    ratios.push(a.rate / b.rate)
    shares.push(Math.max(...a.shares) / Math.min(...a.shares))
  }
  console.log(
    `one hot session, 64 clients: ${act} ${median(ratios).toFixed(2)}, most to least ${median(shares).toFixed(2)}`,
  )
}

const wire = await aWire(server.uri)
const measured = await ours(fields(64 * 1024), { connectionString: wire.uri, max: 1 })
for (const act of ['set', 'inc'] as const) {
  for (let warm = 0; warm < 3; warm++) await ask(measured, act)
  const before = wire.traffic.bytes
  for (let count = 0; count < 100; count++) await ask(measured, act)
  console.log(`64 KiB: ${(wire.traffic.bytes - before) / 100} bytes on the wire for ${act}`)
}

agent.destroy()
for (const close of closings) await close()
wire.close()
await server.stop()
process.exit()
