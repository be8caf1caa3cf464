import type { RequestListener } from 'node:http'
import type { Store } from '../../src/index.ts'
import { anotherTheme, bytesAskedFor, type Fields, LINES, seeded } from '../acts.ts'
import { library } from '../built.ts'
import { type Handlers, koaOf, untouched } from './contender.ts'

export const { default: Session } = await library<typeof import('../../src/index.ts')>('index')

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

/** The app with this library's sessions in a store. */
export async function on(store: Store): Promise<RequestListener> {
  await store.ensureIndex?.()
  return koaOf(handlers, app => {
    Session(app, { store })
  })
}
