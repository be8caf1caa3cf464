import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStore } from '../../src/cli/opening.ts'
import { bar, sweep } from '../../src/cli/sweep.ts'
import { targetOf } from '../../src/cli/target.ts'
import { aSession } from '../contract/records.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { aTimelessSession, onEachKind, redisAt } from './places.ts'
import { given } from './terminal.ts'

onEachKind('expired sessions are swept, and no others', async (_t, { store, named }) => {
  const living = await aSession(store)
  for (let n = 0; n < 5; n++) await aSession(store, { n }, { expires: new Date(Date.now() - 1000) })
  // Redis has removed them by itself.
  const isRedis = named[0]?.startsWith('redis')
  const { json } = await given(['count', ...named, '--json'])
  assert.deepEqual([json.sessions, json.expired], [1, isRedis ? 0 : 5])
  const swept = await given(['sweep', ...named, '--json'])
  assert.deepEqual([swept.json.removed, swept.code], [isRedis ? 0 : 5, 0])
  assert.equal((await given(['count', ...named, '--json'])).json.expired, 0)
  assert.ok(await store.load(living.id))
})

test('Redis: sessions that were copied without their end are swept', { skip: withoutRedis }, async t => {
  const server = await RedisServer.start()
  t.after(() => server.stop())
  const { store, url } = await redisAt(t, server)
  const { id } = await aTimelessSession(server, store)
  const opened = await openStore(targetOf(url))
  t.after(() => opened.close())
  while ((await opened.countExpired()) === 0) await new Promise(setImmediate)
  assert.deepEqual(await sweep(opened), { removed: 1 })
  assert.equal(await server.command('EXISTS', `session:${id}`), ':0\r\n')
})

onEachKind('whoever watches a sweep sees how far it has come', async (_t, { store, named }) => {
  if (named[0]?.startsWith('redis')) return
  for (let n = 0; n < 3; n++) await aSession(store, { n }, { expires: new Date(Date.now() - 1000) })
  const { told, printed } = await given(['sweep', ...named], { answer: true })
  assert.match(told, /0 %, 0 of 3/)
  assert.match(told, /100 %, 3 of 3/)
  assert.equal(printed, 'Expired sessions removed: 3')
})

test('a bar is as long as its share', () => {
  assert.equal(bar(1, 4), `[${'#'.repeat(10)}${' '.repeat(30)}] 25 %, 1 of 4`)
  assert.match(bar(0, 0), /100 %/)
})
