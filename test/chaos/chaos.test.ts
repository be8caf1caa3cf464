import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { theClient, withoutMongoDB } from '../support/mongodb/collection.ts'
import { aStore, aTable, thePostgreSQL, withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { breakages } from './broken.ts'
import { chaos, type Report } from './chaos.ts'
import { aPlace } from './place.ts'

// CHAOS_SEED=42 tsx test/run.ts test/chaos/chaos.test.ts; longer runs: npm run chaos

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000)

function run(t: TestContext, seconds: number, breakage?: string, seed = SEED): Promise<Report> {
  const collection = `chaos_${randomUUID()}`
  t.after(() => theClient().db('chaos').collection(collection).drop())
  const place = { store: 'mongodb', uri: process.env.MONGODB_URI ?? '', collection } as const
  return chaos({ place, seconds, seed, breakage })
}

test('whatever befalls app and store, what was acknowledged is there, and nothing else', {
  skip: withoutMongoDB,
}, async t => {
  const { violations, counts } = await run(t, 15)
  assert.deepEqual(violations, [], `CHAOS_SEED=${SEED}`)
  assert.ok((counts.get('acknowledged') ?? 0) > 0)
})

for (const store of ['pg', 'postgres'] as const) {
  test(`the same holds for PostgreSQL by ${store}`, { skip: withoutPostgreSQL }, async t => {
    const table = aTable()
    await aStore(t, { table })
    const { uri } = await thePostgreSQL()
    const { violations, counts } = await chaos({ place: { store, uri, table }, seconds: 10, seed: SEED })
    assert.deepEqual(violations, [], `CHAOS_SEED=${SEED}`)
    assert.ok((counts.get('acknowledged') ?? 0) > 0)
  })
}

test('the same holds for SQLite, on disks that are full at times, and with processes that are stopped', async t => {
  const { place, disk, remove } = await aPlace('sqlite')
  t.after(remove)
  const { violations, counts } = await chaos({ place, disk, seconds: 15, seed: SEED })
  assert.deepEqual(violations, [], `CHAOS_SEED=${SEED}`)
  assert.ok((counts.get('acknowledged') ?? 0) > 0)
})

test('the same holds for Redis', { skip: withoutRedis }, async t => {
  const server = await RedisServer.start({ appendonly: 'yes' })
  t.after(() => server.stop())
  const uri = `redis://${server.host}:${server.port}`
  for (const store of ['redis', 'ioredis'] as const) {
    const place = { store, uri, prefix: `${store}:` }
    const { violations, counts } = await chaos({ place, seconds: 10, seed: SEED })
    assert.deepEqual(violations, [], `CHAOS_SEED=${SEED}`)
    assert.ok((counts.get('acknowledged') ?? 0) > 0)
  }
})

/** The faults of one minute may all miss what is broken; those of several do not. */
const MAX_MINUTES = 4

for (const breakage of Object.keys(breakages)) {
  test(`within minutes a library that is broken is found out: ${breakage}`, {
    skip: withoutMongoDB,
  }, async t => {
    for (let minute = 0; minute < MAX_MINUTES; minute++) {
      const { violations } = await run(t, 60, breakage, SEED + minute)
      if (violations.length > 0) return
    }
    assert.fail(`CHAOS_SEED=${SEED}: nobody noticed`)
  })
}
