import { randomBytes } from 'node:crypto'
import type Koa from 'koa'
import { anotherTheme, bytesAskedFor, type Fields, seeded } from '../acts.ts'
import { type Handlers, untouched } from './contender.ts'

/** The calls that are best for the acts, on sessions whose ids are in plain cookies. Each rejects where there is no such session. */
export interface Calls {
  insert(id: string, fields: Fields): Promise<unknown>
  views(id: string): Promise<unknown>
  setTheme(id: string, theme: string): Promise<unknown>
  /** Resolves to the number after it. */
  increment(id: string): Promise<unknown>
}

/** The app by hand, of which each act is one call, or two where it reads and changes. */
export function byHand({ insert, views, setTheme, increment }: Calls): Handlers {
  const idOf = (ctx: Koa.Context) => ctx.cookies.get('id') ?? ''
  async function change(ctx: Koa.Context): Promise<string> {
    const theme = anotherTheme()
    await setTheme(idOf(ctx), theme)
    return theme
  }
  return {
    untouched,
    async seed(ctx) {
      const id = randomBytes(20).toString('hex')
      await insert(id, seeded(bytesAskedFor(ctx.querystring)))
      ctx.cookies.set('id', id)
      return 'seeded'
    },
    read: async ctx => String(await views(idOf(ctx))),
    change,
    blind: change,
    'read-and-change': async ctx => `${await views(idOf(ctx))} ${await change(ctx)}`,
    increment: async ctx => String(await increment(idOf(ctx))),
  }
}

/** What a call by hand throws where its session is not there. */
export function missing(): Error {
  return new Error('There is no such session')
}
