import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import Koa from 'koa'
import { createClient } from 'redis'
import type { Store } from '../src/index.ts'
import type { RedisStoreOptions } from '../src/stores/redis/store.ts'
import { median } from '../test/support/median.ts'
import { RedisServer } from '../test/support/redis/server.ts'
import { build, library } from './built.ts'
import type { Measured, Order } from './load.ts'

// npm run bench:redis [-- ROUNDS MILLISECONDS]: the same Koa app by hand on node-redis, and with sessions, by turns.

const acts = ['set', 'inc', 'read', 'get'] as const
type Act = (typeof acts)[number]
type Handlers = Record<Act | 'seed', (ctx: Koa.Context) => Promise<string>>

const here = fileURLToPath(import.meta.url)
const load = fileURLToPath(new URL('./load.ts', import.meta.url))
const [kind, port = '0'] = process.argv.slice(2)
if (kind === 'by hand' || kind === 'redis' || kind === 'ioredis') await app(kind, Number(port))
else await compare(Number(kind ?? 5), Number(port) || 1000)

let count = 0

async function app(kind: 'by hand' | 'redis' | 'ioredis', port: number): Promise<void> {
  const koa = new Koa()
  koa.keys = ['a long key that signs what is measured here']
  const handlers = await (kind === 'by hand' ? byHand(port) : ours(koa, kind, port))
  koa.use(async ctx => {
    ctx.body = await handlers[ctx.path.slice(1) as Act](ctx)
  })
  const server = createServer(koa.callback())
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
  process.once('disconnect', () => process.exit())
}

/** The one command that is best for the act; nothing is checked but that the session is there. */
async function byHand(port: number): Promise<Handlers> {
  const client = await createClient({ socket: { host: '127.0.0.1', port } }).connect()
  const key = (ctx: Koa.Context) => `hand:${ctx.cookies.get('id') ?? ''}`
  return {
    async seed(ctx) {
      const id = randomBytes(20).toString('hex')
      await client.hSet(`hand:${id}`, {
        views: 0,
        theme: '"dark"',
        padding: 'x'.repeat(Number(ctx.query.bytes)),
      })
      await client.pExpire(`hand:${id}`, 1e9)
      ctx.cookies.set('id', id)
      return 'seeded'
    },
    async set(ctx) {
      const theme = `theme ${++count}`
      await client.hSet(key(ctx), 'theme', JSON.stringify(theme))
      return theme
    },
    inc: async ctx => String(await client.hIncrBy(key(ctx), 'views', 1)),
    async read(ctx) {
      const { theme = '', views } = await client.hGetAll(key(ctx))
      return `${JSON.parse(theme)} ${views}`
    },
    get: async ctx => JSON.parse((await client.hGet(key(ctx), 'theme')) ?? ''),
  }
}

async function ours(koa: Koa, kind: 'redis' | 'ioredis', port: number): Promise<Handlers> {
  const { default: Session } = await library<typeof import('../src/index.ts')>('index')
  const { redisStore } = await library<{ redisStore(options: RedisStoreOptions): Store }>(
    'stores/redis/store',
  )
  const client =
    kind === 'redis'
      ? await createClient({ socket: { host: '127.0.0.1', port } }).connect()
      : new Redis(port, '127.0.0.1')
  Session(koa, { store: redisStore({ client }) })
  return {
    async seed(ctx) {
      await ctx.session.set({ views: 0, theme: 'dark', padding: 'x'.repeat(Number(ctx.query.bytes)) })
      return 'seeded'
    },
    async set(ctx) {
      const theme = `theme ${++count}`
      await ctx.session.set('theme', theme)
      return theme
    },
    inc: async ctx => String((await ctx.session.inc('views')).views),
    async read(ctx) {
      const session = await ctx.session()
      return `${session.theme} ${session.views}`
    },
    get: async ctx => String(await ctx.session.get('theme')),
  }
}

interface App {
  readonly name: string
  readonly port: number
  readonly child: ChildProcess
}

interface Cost {
  /** Requests a second. */
  readonly rate: number
  /** Of the app's process, and of Redis, microseconds of CPU a request: they say more than rates where others use the machine. */
  readonly app: number
  readonly server: number
}

async function cpuOf(apps: readonly App[], name: string, server: RedisServer): Promise<number[]> {
  const app = apps.find(one => one.name === name)
  app?.child.send('cpu')
  const [used] = app ? ((await once(app.child, 'message')) as [number]) : [0]
  const info = await server.command('INFO cpu')
  const seconds = [...info.matchAll(/used_cpu_(?:user|sys):([\d.]+)/g)].map(([, text]) => Number(text))
  return [used, 1e6 * seconds.reduce((sum, one) => sum + one, 0)]
}

async function compare(rounds: number, milliseconds: number): Promise<void> {
  build()
  const server = await RedisServer.start()
  const loader = fork(load, { execArgv: ['--import', 'tsx'] })
  const apps: App[] = []
  for (const name of ['by hand', 'redis', 'ioredis']) {
    const child = fork(here, [name, String(server.port)], { execArgv: ['--import', 'tsx'] })
    const [port] = (await once(child, 'message')) as [number]
    apps.push({ name, port, child })
  }
  for (const bytes of [0, 65_536]) {
    for (const [clients, isHot] of [
      [1, false],
      [64, false],
      [64, true],
    ] as const) {
      const cookies = new Map<string, string[]>()
      for (const { name, port } of apps) {
        const all = await Promise.all(Array.from({ length: clients }, () => seeded(port, bytes)))
        cookies.set(name, isHot ? all.map(() => all[0] ?? '') : all)
      }
      for (const act of isHot ? (['inc'] as const) : acts) {
        const rates = new Map<string, Cost[]>(apps.map(({ name }) => [name, []]))
        for (let round = 0; round <= rounds; round++) {
          for (const { name, port } of round % 2 ? apps : apps.toReversed()) {
            const order: Order = { port, path: `/${act}`, cookies: cookies.get(name) ?? [], milliseconds }
            const before = await cpuOf(apps, name, server)
            loader.send(order)
            const [found] = (await once(loader, 'message')) as [Measured & { error?: string }]
            if (found.error) throw new Error(`${name} ${act}: ${found.error}`)
            // The first round warms up.
            if (round === 0) continue
            const after = await cpuOf(apps, name, server)
            const [app = 0, ofServer = 0] = after.map(
              (used, index) => (used - (before[index] ?? 0)) / found.requests,
            )
            rates
              .get(name)
              ?.push({ rate: (1000 * found.requests) / found.milliseconds, app, server: ofServer })
          }
        }
        const middle = (name: string, of: (one: Cost) => number) => median((rates.get(name) ?? []).map(of))
        const shown = apps.map(({ name }) => {
          const rate = middle(name, one => one.rate) / middle('by hand', one => one.rate)
          const [app, ofServer] = [middle(name, one => one.app), middle(name, one => one.server)]
          const cpu =
            middle('by hand', one => one.app + one.server) / middle(name, one => one.app + one.server)
          return `${name}: rate ${rate.toFixed(2)}, per CPU ${cpu.toFixed(2)} (${app.toFixed(0)} + ${ofServer.toFixed(0)} µs)`
        })
        const where = `${bytes / 1024} KiB, ${clients} ${isHot ? 'of one session' : 'clients'}`
        console.log(`${where} ${act}\n  ${shown.join('\n  ')}`)
      }
    }
  }
  for (const { child } of apps) child.disconnect()
  loader.disconnect()
  await server.stop()
}

async function seeded(port: number, bytes: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/seed?bytes=${bytes}`)
  return response.headers
    .getSetCookie()
    .map(line => line.split(';')[0])
    .join('; ')
}
