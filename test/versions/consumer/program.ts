import Koa from 'koa'
import Session, {
  mongoStore,
  type SessionContext,
  SessionEndedError,
  type Sessions,
} from 'koa-atomic-session'
import { koaSession } from 'koa-atomic-session/adopt'
import { memoryStore } from 'koa-atomic-session/memory'
import { sqliteStore } from 'koa-atomic-session/sqlite'
import { MongoClient, type ObjectId } from 'mongodb'

// What users write, compiled with the types that are packed.

interface Data {
  user_id?: ObjectId
  views?: number
  cart?: { lines: { sku: string; amount: number }[]; note?: string }
}

export const app = new Koa<Koa.DefaultState, SessionContext<Data>>()
export const sessions: Sessions<Data> = Session<Data>(app, { adopt: koaSession(), store: memoryStore() })

app.use(async ctx => {
  const { views } = await ctx.session.inc('views')
  const session = await ctx.session()
  await session.if('views', '>=', 1).push('cart.lines', { sku: 'tea', amount: 1 })
  const skus: string[] | undefined = session.cart?.lines.map(({ sku }) => sku)
  ctx.body = { views, skus }
})

export function stores() {
  const collection = new MongoClient('mongodb://127.0.0.1').db().collection('sessions')
  sessions.collection = collection
  return [mongoStore({ collection }), sqliteStore({ path: 'sessions.sqlite' })]
}

export const error: Error = new SessionEndedError()

export async function refused() {
  // @ts-expect-error: there is no such field
  await sessions.open('id').set('veiws', 1)
  // @ts-expect-error: a number cannot be a string
  await sessions.open('id').set('views', 'one')
}
