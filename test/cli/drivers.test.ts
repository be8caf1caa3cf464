import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { connectPostgreSQL } from '../../src/cli/postgres/open.ts'
import { connectRedis } from '../../src/cli/redis/connection.ts'
import { commandsOf } from '../../src/stores/redis/client.ts'
import { thePostgreSQL, withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { startCluster } from '../support/redis/topologies.ts'

for (const name of ['redis', 'ioredis', 'iovalkey'] as const) {
  suite(`with the package ${name} the tool reaches`, { skip: withoutRedis }, () => {
    test('one server, by user and password', async t => {
      const server = await RedisServer.start()
      t.after(() => server.stop())
      await server.command('ACL SETUSER clerk on >p%3Fss ~* +@all')
      const connection = await connectRedis(`redis://clerk:p%253Fss@127.0.0.1:${server.port}/0`, [name])
      t.after(() => connection.close())
      assert.equal(String(await connection.call('ACL', 'WHOAMI')), 'clerk')
      assert.equal((await commandsOf(connection.client).info()).length, 1)
    })

    test('all of a cluster, by the password and any of its nodes', async t => {
      const { servers, stop } = await startCluster()
      t.after(stop)
      for (const server of servers) await server.command('CONFIG SET requirepass hush')
      const connection = await connectRedis(`redis://:hush@127.0.0.1:${servers[2]?.port}`, [name])
      t.after(() => connection.close())
      assert.equal((await commandsOf(connection.client).info()).length, 3)
    })

    test('nothing where nothing answers, or the password is wrong, and says why', async t => {
      await assert.rejects(connectRedis('redis://127.0.0.1:1', [name]), /ECONNREFUSED/)
      const server = await RedisServer.start()
      t.after(() => server.stop())
      await server.command('CONFIG SET requirepass hush')
      await assert.rejects(connectRedis(`redis://:wrong@127.0.0.1:${server.port}`, [name]), /WRONGPASS/)
    })
  })
}

for (const name of ['pg', 'postgres'] as const) {
  suite(`with the package ${name} the tool reaches`, { skip: withoutPostgreSQL }, () => {
    test('a server', async t => {
      const { uri } = await thePostgreSQL()
      const { connection, close } = await connectPostgreSQL({ address: uri }, [name])
      t.after(close)
      assert.deepEqual(await connection.query('SELECT $1::text', ['here'], 'none'), [['here']])
    })

    test('nothing where nothing answers, and says why', async t => {
      const { connection, close } = await connectPostgreSQL({ address: 'postgres://a@127.0.0.1:1/b' }, [name])
      t.after(close)
      await assert.rejects(connection.query('SELECT 1::text', [], 'none'), error => {
        assert.match(String((error as Error).cause), /ECONNREFUSED/)
        return true
      })
    })
  })
}
