import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MongoDBCollection, Store } from '../../src/index.ts'
import { anotherTheme, bytesAskedFor, type Fields, LINES, seeded } from '../acts.ts'
import { library } from '../built.ts'
import { type Contender, type Handlers, koaOf, untouched } from './contender.ts'

const { default: Session } = await library<typeof import('../../src/index.ts')>('index')

export const mongodb: Contender = {
  async start(collection) {
    const store = Session.mongoStore({ collection: collection() as unknown as MongoDBCollection })
    await store.ensureIndex?.()
    return on(store)
  },
}

export const memory: Contender = {
  async start() {
    const { memoryStore } = await library<typeof import('../../src/stores/memory.ts')>('stores/memory')
    return on(memoryStore())
  },
}

export const sqlite: Contender = {
  async start() {
    const { sqliteStore } = await library<{ sqliteStore(options: { path: string }): Store }>(
      'stores/sqlite/store',
    )
    const path = await mkdtemp(join(tmpdir(), 'bench-'))
    process.once('disconnect', () => rm(path, { recursive: true, force: true }))
    return on(sqliteStore({ path: join(path, 'sessions') }))
  },
}

interface Loaded extends Fields {
  set(path: string, value: unknown): PromiseLike<unknown>
}

const handlers: Handlers = {
  untouched,
  async seed(ctx) {
    await ctx.session.set({ ...seeded(bytesAskedFor(ctx.querystring)) })
    return 'seeded'
  },
  read: async ctx => String((await ctx.session()).views),
  change: async ctx => (await ctx.session.set('theme', anotherTheme())).theme,
  blind(ctx) {
    const theme = anotherTheme()
    ctx.session.set('theme', theme)
    return theme
  },
  async chain(ctx) {
    const theme = anotherTheme()
    const { views } = await ctx.session.set('theme', theme).inc('views').push('log', theme, { slice: -LINES })
    return `${views} ${theme}`
  },
  async 'read-and-change'(ctx) {
    const session = (await ctx.session()) as unknown as Loaded
    const { views } = session
    await session.set('theme', anotherTheme())
    return `${views} ${session.theme}`
  },
  increment: async ctx => String((await ctx.session.inc('views')).views),
}

function on(store: Store) {
  return koaOf(handlers, app => {
    Session(app, { store })
  })
}
