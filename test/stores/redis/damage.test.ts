import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import type { SessionId } from '../../../src/ids.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { damage } from '../../contract/damage.ts'
import { aChange, aSession, inAnHour, push, set } from '../../contract/records.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'

/** Where the head has its numbers. */
const numbers = { expires: 1, absolute: 9, maxAge: 17, rev: 25, size: 33, created: 41, indexed: 49 }

/** A stored field: eight bytes for the revision, then the value's type and its BSON. */
function stored(...value: number[]): Buffer {
  return Buffer.from([0, 0, 0, 0, 0, 0, 0xf0, 0x3f, ...value])
}

const values: Record<string, Buffer> = {
  'a text': Buffer.from('hello'),
  nothing: Buffer.alloc(0),
  'a longer text': Buffer.from('hello, world: this is no field'),
  'no value': stored(),
  'an unknown type': stored(0x7a, 1, 2, 3, 4),
  'a type and no value': stored(16),
  'half a number': stored(16, 1),
  'a number that goes on': stored(1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
  'half a text': stored(2, 4, 0, 0, 0, 0x74),
  'a text that is no UTF-8': stored(2, 3, 0, 0, 0, 0xff, 0xfe, 0),
  'half a list': stored(4, 12, 0, 0, 0, 16),
  'an expression that is none': stored(11, 0x28, 0, 0),
}

describe('damage in Redis', { skip: withoutRedis }, () => {
  let server: RedisServer
  let client: Redis
  let prefixes = 0
  before(async () => {
    server = await RedisServer.start()
    client = new Redis({ host: server.host, port: server.port })
  })
  after(async () => {
    client.disconnect()
    await server.stop()
  })

  for (const indexed of [false, true]) {
    describe(`a damaged record makes one visitor anonymous and harms nobody else: index ${indexed}`, () => {
      damage(async (t: TestContext) => {
        const prefix = `damage${++prefixes}:`
        // As declared long ago, and complete.
        if (indexed) await client.hset(`${prefix}indexes`, 'user', `${Date.now() - 3_600_000} 1`)
        const store = redisStore({ client, prefix })
        t.after(() => store.close?.())
        const key = (id: SessionId) => prefix + id
        const head = async (id: SessionId, change: (bytes: Buffer) => Buffer) => {
          const bytes = await client.hgetBuffer(key(id), '_')
          await client.hset(key(id), '_', change(bytes as Buffer))
        }
        const number = (at: number, value: number) => (id: SessionId) =>
          head(id, bytes => {
            bytes.writeDoubleLE(value, at)
            return bytes
          })
        const wrong = (value: number, but: readonly string[] = []) =>
          Object.entries(numbers).flatMap(([name, at]) =>
            but.includes(name) ? [] : [[`${name} is ${value}`, number(at, value)] as const],
          )
        return {
          store,
          ofSession: {
            'another type of value': async id => {
              await client.del(key(id))
              await client.set(key(id), 'text')
            },
            'no head': id => client.hdel(key(id), '_'),
            'an empty head': id => client.hset(key(id), '_', ''),
            'half a head': id => head(id, bytes => bytes.subarray(0, 30)),
            'a head of text': id => client.hset(key(id), '_', 'x'.repeat(200)),
            ...Object.fromEntries([
              ...wrong(Number.NaN),
              ...wrong(Number.POSITIVE_INFINITY, ['absolute', 'indexed']),
              ...wrong(1e300, ['indexed']),
              ...wrong(-1, ['size']),
            ]),
          },
          ofNote: Object.fromEntries(
            Object.entries(values).map(([what, value]) => [
              what,
              (id: SessionId) => client.hset(key(id), 'note', value),
            ]),
          ),
        }
      })
    })
  }

  test('an index by user is completed though the users of some sessions are damaged', async () => {
    const store = redisStore({ client, prefix: 'users:' })
    const { id } = await aSession(store, { user: 'ada' })
    const damaged = await aSession(store, { user: 'ada' })
    await client.hset(`users:${damaged.id}`, 'user', 'hello')
    await client.hset('users:indexes', 'user', `${Date.now() - 3_600_000} 0`)
    await store.ensureIndex?.('user')
    assert.match(String(await client.hget('users:indexes', 'user')), / 1$/)
    const found: string[] = []
    for await (const one of store.find?.('user', 'ada') ?? []) found.push(one.id)
    assert.deepEqual(found, [id])
    // It would have to be indexed for longer.
    const longer = { ...aChange(set('n', 1)), expires: inAnHour(), maxAge: 7_200_000 }
    assert.equal(await store.update(damaged.id, longer), 'absent')
    assert.deepEqual(await store.update(id, longer), {})
  })

  test('a field whose revision is no number fails no change', async () => {
    const store = redisStore({ client, prefix: 'stamps:' })
    const { id } = await aSession(store, { list: [1] })
    const key = `stamps:${id}`
    const list = (await client.hgetBuffer(key, 'list')) as Buffer
    await client.hset(key, 'list', Buffer.concat([Buffer.alloc(8, 0xff), list.subarray(8)]))
    assert.equal(await store.load(id), undefined)
    assert.equal(await store.update(id, aChange(push('list', 2))), 'absent')
    assert.deepEqual(await store.update(id, aChange(set('list', []))), {})
    assert.deepEqual(await store.update(id, aChange(push('list', 2))), {})
  })
})
