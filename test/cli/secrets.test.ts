import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idOf, newSecret } from '../../src/ids.ts'
import { aSession } from '../contract/records.ts'
import { withoutMongoDB } from '../support/mongodb/collection.ts'
import { aPgPool, withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { onEachKind, redisAt } from './places.ts'
import { given } from './terminal.ts'

const PASSWORD = 'p4ssw0rd-that-is-secret'
const VALUE = 'v4lue-that-is-secret'

/** All that the tool prints for these commands, in both forms. */
async function printedFor(
  commands: readonly (readonly string[])[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const all: string[] = []
  for (const args of commands) {
    for (const form of [[], ['--json']]) {
      const { printed, told } = await given([...args, ...form], {
        env,
        ...(form.length === 0 && { answer: true }),
      })
      assert.ok(printed + told !== '', args[0])
      all.push(printed, told)
    }
  }
  return all.join('\n')
}

/** Every command that asks a store. */
function everyCommand(id: string, named: readonly string[]): string[][] {
  return [
    ['count', ...named],
    ['show', id, ...named],
    ['doctor', ...named],
    ['doctor', ...named, '--field', 'user'],
    ['sweep', ...named],
    ['end', '--user', VALUE, '--field', 'user', ...named, '--yes'],
    ['end', id, ...named],
  ]
}

function assertNone(text: string, ...secrets: string[]): void {
  for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} was printed`)
}

onEachKind('nothing that is printed has an id, or a value of a session', async (_t, { store, named }) => {
  const fields = { user: VALUE, list: [VALUE], deep: { er: VALUE } }
  const { id } = await aSession(store, fields)
  const other = await aSession(store, { ...fields, user: 'ben' })
  assertNone(await printedFor(everyCommand(id, named)), id, other.id, VALUE)
})

onEachKind('a cookie given for an id is not printed', async (_t, { named }) => {
  const secret = newSecret()
  const cookie = `${secret}.lx0.a1.${'s'.repeat(43)}`
  const printed = await printedFor([
    ['show', cookie, ...named],
    ['end', secret, ...named],
  ])
  assertNone(printed, secret, idOf(secret), 's'.repeat(43))
})

/** Passwords that are right or wrong, at servers that are up or down; on the command line, or in the variable. */
async function assertNoPassword(address: string): Promise<void> {
  const id = idOf(newSecret())
  assertNone(await printedFor(everyCommand(id, [address])), PASSWORD)
  assertNone(await printedFor(everyCommand(id, []), { SESSION_STORE: address }), PASSWORD)
}

test('MongoDB: no password is printed', { skip: withoutMongoDB }, async () => {
  const address = (process.env.MONGODB_URI ?? '').replace(
    /^(\w+(?:\+srv)?:\/\/)(?:[^@/]*@)?/,
    `$1ada:${PASSWORD}@`,
  )
  await assertNoPassword(`${address.replace(/\?.*/, '')}/shop`)
})

test('Redis: no password is printed', { skip: withoutRedis }, async t => {
  const server = await RedisServer.start()
  t.after(() => server.stop())
  await redisAt(t, server)
  const at = `127.0.0.1:${server.port}`
  await server.command('CONFIG', 'SET', 'requirepass', PASSWORD)
  await assertNoPassword(`redis://:${PASSWORD}@${at}`)
  await assertNoPassword(`redis://ada:${PASSWORD}@${at}`)
  await assertNoPassword(`redis://:${PASSWORD}@127.0.0.1:1`)
})

test('PostgreSQL: no password is printed', { skip: withoutPostgreSQL }, async t => {
  const { options } = await aPgPool(t)
  const address = new URL(String(options.connectionString))
  address.password = PASSWORD
  await assertNoPassword(address.href)
  address.port = '1'
  await assertNoPassword(address.href)
  await assertNoPassword(`postgres://ada:${PASSWORD}@not a host/shop`)
})

test('what an address of the app holds is not printed', async () => {
  const address = `http://ada:${PASSWORD}@127.0.0.1:1/page?token=${VALUE}`
  assertNone(await printedFor([['doctor', '--app', address]]), PASSWORD, VALUE)
})

test('what cannot be followed is not repeated where it may be secret', async () => {
  const address = `postgres://ada:${PASSWORD}@localhost/shop`
  const printed = await printedFor([
    [address],
    [address, 'count'],
    ['count', address, address],
    ['count', address.replace('postgres', 'mysql')],
    ['doctor', address, '--app', `ftp://ada:${PASSWORD}@localhost`],
    ['show', address],
  ])
  assertNone(printed, PASSWORD)
})
