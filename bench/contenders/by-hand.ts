import { randomBytes } from 'node:crypto'
import type Koa from 'koa'
import type { Collection } from 'mongodb'
import { acts, anotherTheme, bytesAskedFor, LINES, seeded } from '../acts.ts'
import { type Contender, type Handlers, koaOf, type Stored, untouched } from './contender.ts'

const allButUntouched = acts.filter(act => act !== 'untouched')

export const bareKoa: Contender = {
  lacks: allButUntouched,
  start: async () => koaOf({ untouched, seed: untouched }),
}

export const koaWithDriver: Contender = {
  lacks: allButUntouched,
  async start(collection) {
    await collection().findOne({})
    return koaOf({ untouched, seed: untouched })
  },
}

/** The physical limit: the one driver call that is best for the act, of a session whose id is in a plain cookie. */
export const handWritten: Contender = {
  start: async collection => koaOf(byHand(collection())),
}

function byHand(collection: Collection<Stored>): Handlers {
  const alive = (ctx: Koa.Context) => ({ _id: ctx.cookies.get('id') ?? '', expires: { $gt: new Date() } })
  const find = async (ctx: Koa.Context) => dataOf(await collection.findOne(alive(ctx)))
  const change = async (ctx: Koa.Context, update: object, ...fields: string[]) => {
    const projection = Object.fromEntries(fields.map(field => [`data.${field}`, 1]))
    const found = await collection.findOneAndUpdate(alive(ctx), update, {
      projection: { _id: 0, ...projection },
      returnDocument: 'after',
    })
    return dataOf(found)
  }
  return {
    untouched,
    async seed(ctx) {
      const _id = randomBytes(20).toString('hex')
      const expires = new Date(Date.now() + 1e9)
      await collection.insertOne({ _id, expires, data: seeded(bytesAskedFor(ctx.querystring)) } as Stored)
      ctx.cookies.set('id', _id)
      return 'seeded'
    },
    read: async ctx => String((await find(ctx)).views),
    change: async ctx => (await change(ctx, { $set: { 'data.theme': anotherTheme() } }, 'theme')).theme,
    async blind(ctx) {
      const theme = anotherTheme()
      const { matchedCount } = await collection.updateOne(alive(ctx), { $set: { 'data.theme': theme } })
      if (matchedCount !== 1) throw new Error('There is no such session')
      return theme
    },
    async chain(ctx) {
      const theme = anotherTheme()
      const update = {
        $set: { 'data.theme': theme },
        $inc: { 'data.views': 1 },
        $push: { 'data.log': { $each: [theme], $slice: -LINES } },
      }
      const { views } = await change(ctx, update, 'views', 'theme', 'log')
      return `${views} ${theme}`
    },
    async 'read-and-change'(ctx) {
      const { views } = await find(ctx)
      const { theme } = await change(ctx, { $set: { 'data.theme': anotherTheme() } }, 'theme')
      return `${views} ${theme}`
    },
    increment: async ctx => String((await change(ctx, { $inc: { 'data.views': 1 } }, 'views')).views),
  }
}

function dataOf(found: object | null): Record<string, unknown> {
  if (!found || !('data' in found)) throw new Error('There is no such session')
  return found.data as Record<string, unknown>
}
