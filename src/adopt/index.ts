export { type ConnectMongoCollection, connectMongo } from './connect-mongo.ts'
export {
  type ConnectPgSimpleOptions,
  type ConnectPgSimplePool,
  connectPgSimple,
} from './connect-pg-simple.ts'
export { type ConnectRedisOptions, connectRedis } from './connect-redis.ts'
export { type ExpressSessionOptions, expressSession } from './express-session.ts'
export { type FastifySessionOptions, type FastifySigner, fastifySession } from './fastify-session.ts'
export {
  type KoaGenericSessionOptions,
  type KoaGenericSessionStore,
  koaGenericSession,
} from './koa-generic-session.ts'
export { type KoaRedisOptions, koaRedis } from './koa-redis.ts'
export { type KoaSessionOptions, type KoaSessionStore, koaSession } from './koa-session.ts'
export type { Adopter, OtherCookie } from './other-session.ts'
export type { AdoptingRedisClient } from './redis.ts'
export type { ExpressSessionStore } from './stored-session.ts'
