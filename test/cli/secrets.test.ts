import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { suite, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { targetOf } from '../../src/cli/target.ts'
import { idOf, newSecret } from '../../src/ids.ts'
import { aSession } from '../contract/records.ts'
import { withoutMongoDB } from '../support/mongodb/collection.ts'
import { aPgPool, withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { aPath, aStore } from '../support/sqlite/files.ts'
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
  const ambiguous = `http://127.0.0.1:1/${PASSWORD}@shop.example/`
  assertNone(await printedFor([['doctor', '--app', address]]), PASSWORD, VALUE)
  assertNone(await printedFor([['doctor', '--app', ambiguous]]), PASSWORD)
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

suite('what stands in the place of the store is not repeated where it may be secret:', () => {
  const cookie = `${newSecret()}.lx0.a1.${'s'.repeat(43)}`
  const cases: readonly [given: string, secret: string][] = [
    [`host=db.example user=shop password=${PASSWORD} dbname=shop`, PASSWORD],
    [`jdbc:postgresql://db.example/shop?user=shop&password=${PASSWORD}`, PASSWORD],
    [`redis:/:${PASSWORD}@db.example/0`, PASSWORD],
    [`redis:${PASSWORD}`, PASSWORD],
    [`shop:${PASSWORD}@db.example/shop`, PASSWORD],
    [`"mongodb://shop:${PASSWORD}@db.example/shop"`, PASSWORD],
    [`DATABASE_URL=postgres://shop:${PASSWORD}@db.example/shop`, PASSWORD],
    [`Server=db.example;Pwd=${PASSWORD}`, PASSWORD],
    [`file:///shop:${PASSWORD}@db.example/shop`, PASSWORD],
    [`file://db.example/shop?password=${PASSWORD}`, PASSWORD],
    [`sid=${cookie}`, cookie],
    [cookie, cookie],
    [idOf(newSecret()), ''],
    [Buffer.alloc(32, 7).toString('base64url'), ''],
  ]
  for (const [given, secret] of cases) {
    test(given.slice(0, 24), async () => {
      const commands = [['count'], ['sweep'], ['doctor'], ['end', '--user', 'ben', '--yes']]
      const place = commands.map(args => [...args, given])
      assertNone(await printedFor(place), secret || given)
      assertNone(await printedFor(commands, { SESSION_STORE: given }), secret || given)
    })
  }
})

test('an address with spaces around it is read as without them', async () => {
  for (const scheme of ['postgres', 'mongodb', 'redis']) {
    const { address, shown, censor } = targetOf(` \t${scheme}://ada:${PASSWORD}@localhost/shop\n`)
    assert.equal(address, `${scheme}://ada:${PASSWORD}@localhost/shop`)
    assert.equal(shown, `${scheme}://localhost/shop`)
    assert.equal(censor(PASSWORD), '***')
  }
})

test('of an address with options in the style of another program nothing is shown', () => {
  for (const options of [
    ` password=${PASSWORD} dbname=shop`,
    `;password=${PASSWORD};a=b`,
    `&password=${PASSWORD}`,
  ]) {
    const { shown, censor } = targetOf(`postgres://localhost/shop${options}`)
    assertNone(shown + censor(`that is ${PASSWORD}, no doubt`), PASSWORD)
  }
})

test('an SQLite file is used and named, whatever its name looks like', async t => {
  const path = aPath(t)
  const store = aStore(t, path)
  await aSession(store)
  await store.close?.()
  const named = join(dirname(path), `ada@shop.example=${'a'.repeat(40)}.sqlite`)
  renameSync(path, named)
  for (const address of [named, pathToFileURL(named).href]) {
    const { json } = await given(['count', address, '--json'])
    assert.deepEqual(json, { command: 'count', store: named, sessions: 1, expired: 0 })
  }
})

test('no other part of a command line is repeated unless it is a plain word', async () => {
  const address = `postgres://ada:${PASSWORD}@localhost/shop`
  const printed = await printedFor([
    ['schema', address],
    ['schema', `postgres://localhost/shop?user=ada&password=${PASSWORD}`],
    ['schema', `postgres://ada:${PASSWORD}/x@localhost/shop`],
    [`--${address}`, 'count'],
    ['count', `--${address}`],
    ['--password', PASSWORD.replaceAll(/[^a-z]/g, ''), 'count'],
    ['doctor', '--skip', address],
    ['doctor', '--timeout', address],
  ])
  assertNone(printed, PASSWORD, PASSWORD.replaceAll(/[^a-z]/g, ''))
})
