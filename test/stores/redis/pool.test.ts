import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createClientPool } from 'redis'
import { IdTakenError } from '../../../src/errors.ts'
import type { Store } from '../../../src/store/store.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aChange, aRecord, aSession, fieldsOf, inAnHour, inc } from '../../contract/records.ts'
import { type RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { aServer, until } from '../../support/redis/topologies.ts'

// A pool sends by several connections, so what was sent later may arrive first, without any fault.

interface Pooled {
  readonly store: Store
  /** Begins both in this order; the first arrives when the second is done. */
  overtaken<T>(first: () => Promise<T>, second: () => Promise<unknown>): Promise<T>
}

async function aPool(t: TestContext, server: RedisServer): Promise<Pooled> {
  const pool = createClientPool({ socket: { port: server.port } }, { minimum: 2, maximum: 2 })
  pool.on('error', () => {})
  await pool.connect()
  t.after(() => pool.destroy())
  const store = redisStore({ client: pool })
  return {
    store,
    async overtaken(first, second) {
      // Each connection goes back to the pool, and what is sent by it waits for its gate.
      for (const gate of ['first', 'second']) {
        await pool.execute(async client => void client.blPop(gate, 0).catch(() => {}))
      }
      await until(async () => /^blocked_clients:2/m.test(await server.command('INFO clients')))
      const [early, late] = [first(), second()]
      early.catch(() => {})
      await server.command('LPUSH second open')
      await late
      await server.command('LPUSH first open')
      return early
    },
  }
}

test('of sessions that are stored at once under one id all but one are told that it is taken', {
  skip: withoutRedis,
}, async t => {
  const server = await aServer(t)
  const { store, overtaken } = await aPool(t, server)
  await aSession(store)
  const record = aRecord({ is: 'second' })
  await assert.rejects(
    overtaken(
      () => store.insert({ ...record, fields: { is: 'first' } }),
      () => store.insert(record),
    ),
    IdTakenError,
  )
  assert.deepEqual(await store.load(record.id), record)
})

test('a session ends though a change that was made after that arrives first', {
  skip: withoutRedis,
}, async t => {
  const server = await aServer(t)
  const { store, overtaken } = await aPool(t, server)
  const [ended, deleted] = [await aSession(store, { n: 0 }), await aSession(store, { n: 0 })]
  const increment = async (id: string) => {
    assert.deepEqual(await store.update(id, aChange(inc('n'))), {})
    assert.deepEqual(await fieldsOf(store, id), { n: 1 })
  }
  const end = () => store.end(ended.id, { ended: new Date() }, inAnHour())
  assert.equal(await overtaken(end, () => increment(ended.id)), true)
  await overtaken(
    () => store.delete(deleted.id),
    () => increment(deleted.id),
  )
  assert.ok('ended' in ((await store.load(ended.id)) ?? {}))
  assert.equal(await store.load(deleted.id), undefined)
})
