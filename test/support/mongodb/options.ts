import type { MongoClientOptions } from 'mongodb'

/** A server that is gone has to fail a test within seconds, not after the driver's half minute. */
export const failFast = {
  serverSelectionTimeoutMS: 3_000,
  connectTimeoutMS: 3_000,
  waitQueueTimeoutMS: 5_000,
  socketTimeoutMS: 10_000,
} satisfies MongoClientOptions

/** For clients of the tests. With `MONGODB_API_STRICT=1` the server refuses what the Stable API's version 1 does not have. */
export const clientOptions: MongoClientOptions = {
  ...failFast,
  ...(process.env.MONGODB_API_STRICT === '1' && {
    serverApi: { version: '1', strict: true, deprecationErrors: true },
  }),
}
