import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { change } from '../../../src/stores/redis/change.ts'
import { commandsOf } from '../../../src/stores/redis/client.ts'
import { Program } from '../../../src/stores/redis/program.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aSession, inAnHour } from '../../contract/records.ts'
import { ioredis6 } from '../../support/redis/clients.ts'
import { type RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { aServer } from '../../support/redis/topologies.ts'

/** Ten times as many may cost a good deal more than ten times as much; a hundred times is the square. */
const PROPORTIONATE = 40

/** Microseconds that the server has spent in scripts. */
async function timeOf(server: RedisServer): Promise<number> {
  const [, usec] =
    /cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(await server.command('INFO commandstats')) ?? []
  return Number(usec)
}

/** What a change costs the server, and one that comes when its session has ended, where so many processes have written. */
async function costs(t: TestContext, server: RedisServer, processes: number): Promise<[number, number]> {
  const { client, close } = await ioredis6.single(server.port)
  t.after(close)
  const store = redisStore({ client })
  const commands = commandsOf(client)
  const { id } = await aSession(store)
  let number = 0
  const sent = (process: Buffer) => {
    const argument = new Program().argument({ process, number: ++number, until: Date.now() + 300_000 }, 1, {})
    return commands.run(change, `session:${id}`, [argument])
  }
  const all = Array.from({ length: processes }, () => randomBytes(8))
  for (const process of all) await sent(process)
  // The least of several, since the machine may be busy with other things.
  const least = async () => {
    const times: number[] = []
    for (let round = 0; round < 5; round++) {
      const before = await timeOf(server)
      for (const process of all.slice(0, 20)) await sent(process)
      times.push((await timeOf(server)) - before)
    }
    return Math.min(...times)
  }
  const living = await least()
  assert.ok(await store.end(id, { ended: new Date() }, inAnHour()))
  return [living, await least()]
}

test('what a change costs grows in proportion to the number of processes that write to its session', {
  skip: withoutRedis,
}, async t => {
  const server = await aServer(t)
  const few = await costs(t, server, 90)
  const many = await costs(t, server, 900)
  t.diagnostic(`${few} us, ${many} us`)
  for (const [index, time] of many.entries()) {
    const growth = time / (few[index] as number)
    assert.ok(growth < PROPORTIONATE, `ten times as many cost ${growth.toFixed(1)} times as much`)
  }
})
