export { type ConnectMongoCollection, connectMongo } from './connect-mongo.ts'
export { type ExpressSessionOptions, type ExpressSessionStore, expressSession } from './express-session.ts'
export {
  type KoaGenericSessionOptions,
  type KoaGenericSessionStore,
  koaGenericSession,
} from './koa-generic-session.ts'
export { type KoaSessionOptions, type KoaSessionStore, koaSession } from './koa-session.ts'
export type { Adopter, OtherCookie } from './other-session.ts'
