import type { MongoClientOptions } from 'mongodb'

/** A server that is gone has to fail a test within seconds, not after the driver's half minute. */
export const failFast = {
  serverSelectionTimeoutMS: 3_000,
  connectTimeoutMS: 3_000,
  waitQueueTimeoutMS: 5_000,
  socketTimeoutMS: 10_000,
} satisfies MongoClientOptions
