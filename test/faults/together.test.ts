import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Pool } from 'pg'
import type { Store } from '../../src/index.ts'
import { StoreUnavailableError } from '../../src/index.ts'
import { postgresStore } from '../../src/stores/postgres/store.ts'
import { redisStore } from '../../src/stores/redis/store.ts'
import { aChange, aRecord, inc, together } from '../contract/records.ts'
import { freePort } from '../support/ports.ts'
import { ioredis6 } from '../support/redis/clients.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'

/** Before their first change, stores ask the server what it has: all changes wait for one answer. */
const stores: Record<string, { readonly skip: string | false; open(t: TestContext): Promise<Store> }> = {
  'PostgreSQL, which is asked for its version first': {
    skip: false,
    open: async t => postgresStore({ pool: await aDeadPool(t) }),
  },
  'PostgreSQL, which is asked for its table first': {
    skip: false,
    open: async t => postgresStore({ pool: await aDeadPool(t), prepare: true }),
  },
  Redis: {
    skip: withoutRedis,
    async open(t) {
      const server = await RedisServer.start()
      const { client, close } = await ioredis6.single(server.port)
      t.after(close)
      await server.stop()
      return redisStore({ client })
    },
  },
}

async function aDeadPool(t: TestContext): Promise<Pool> {
  const pool = new Pool({ host: '127.0.0.1', port: await freePort() })
  t.after(() => pool.end())
  return pool
}

for (const [name, { skip, open }] of Object.entries(stores)) {
  test(`where the server is away, each of those that fail together has an error of its own: ${name}`, {
    skip,
  }, async t => {
    const store = await open(t)
    const errors = await together(20, () =>
      store.update(aRecord().id, aChange(inc('n'))).catch((error: unknown) => error),
    )
    for (const error of errors) assert.ok(error instanceof StoreUnavailableError)
    assert.equal(new Set(errors).size, 20)
  })
}
