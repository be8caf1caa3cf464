import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RedisStore as ConnectRedis } from 'connect-redis'
import { createClient } from 'redis'
import { aSession, fieldsOf } from '../../contract/records.ts'
import { openAt } from '../../support/redis/openat.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'

const counter = fileURLToPath(new URL('../../support/redis/counter.ts', import.meta.url))

/** Each process by another client. */
const processes = [
  ['redis 6', 67],
  ['ioredis 6', 67],
  ['iovalkey', 66],
] as const

/** What it says next, unless it ends before. */
function messageOf(child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`A process that counts has ended (exit code ${code})`)
  })
  ended.catch(() => {})
  return Promise.race([once(child, 'message'), ended])
}

test('of 200 increments at once by three processes all are kept, of which a store of whole sessions keeps few', {
  skip: withoutRedis,
}, async t => {
  const server = await RedisServer.start()
  const { store, close } = await openAt('redis 6', server.port)
  const { id } = await aSession(store, { n: 0 })
  const client = await createClient({ socket: { host: server.host, port: server.port } }).connect()
  t.after(async () => {
    client.destroy()
    await close()
    await server.stop()
  })
  const ordinary = new ConnectRedis({ client, prefix: 'ordinary:' })
  await ordinary.set(id, { n: 0, cookie: { originalMaxAge: null } } as never)
  const children = processes.map(([name, times]) =>
    fork(counter, [name, String(server.port), id, String(times)], { execArgv: ['--import', 'tsx'] }),
  )
  t.after(() => {
    for (const child of children) child.kill()
  })
  await Promise.all(children.map(messageOf))
  const done = children.map(messageOf)
  for (const child of children) child.send('count')
  await Promise.all(done)
  for (const child of children) child.disconnect()
  const kept = ((await ordinary.get(id)) as unknown as { n: number }).n
  t.diagnostic(`connect-redis kept ${kept} of 200`)
  assert.equal((await fieldsOf(store, id)).n, 200)
  assert.ok(kept < 200)
})
