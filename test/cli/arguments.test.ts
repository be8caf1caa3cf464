import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { driverOf } from '../../src/cli/drivers.ts'
import { targetOf } from '../../src/cli/target.ts'
import { idOf, newSecret } from '../../src/ids.ts'
import { aSession } from '../contract/records.ts'
import { aPath, aStore } from '../support/sqlite/files.ts'
import { given } from './terminal.ts'

suite('a command line that cannot be followed does nothing and says why:', () => {
  const id = idOf(newSecret())
  const cases: readonly [args: string[], message: RegExp][] = [
    [[], /COMMAND \[STORE\]/],
    [['cuont', 'x'], /There is no command cuont; did you mean "count"\?/],
    [['count'], /Give the store/],
    [['count', 'a', 'b'], /more on the command line/],
    [['count', '--values', 'a'], /Unknown option '--values'/],
    [['count', 'mysql://localhost/x'], /mysql:\/\/ is the address of no store/],
    [['show', 'a'], /no session's id/],
    [['show', `${newSecret()}.a.b`, 'a'], /what a cookie holds/],
    [['end', '--user', 'ada', 'a'], /give --yes/],
    [['end', '--user'], /argument missing/],
    [['keys', 'x'], /more on the command line/],
    [['schema', 'mongoose'], /no schema for "mongoose"/],
    [['show', id], /Give the store/],
    [['count', 'a', '--table', 'b'], /--table would be ignored here: it is for PostgreSQL/],
    [['count', 'a', '--schema', 'b'], /--schema would be ignored here: it is for PostgreSQL/],
    [['sweep', 'postgres://a/b', '--collection', 'c'], /--collection .* it is for MongoDB/],
    [['doctor', 'mongodb://a/b', '--prefix', 'c'], /--prefix .* it is for Redis and Valkey/],
    [['show', id, 'redis://a', '--table', 'b'], /--table .* it is for PostgreSQL/],
    [['doctor', 'a', '--cookie', 'sid'], /--cookie would be ignored here: it is for doctor --app/],
    [['doctor', 'a', '--timeout', '5s'], /--timeout .* it is for MongoDB and PostgreSQL/],
    [['doctor', '--app', 'http://127.0.0.1:1', '--prefix', 'a'], /--prefix .* it is for a store, and none/],
    [['doctor', '--app', 'http://127.0.0.1:1', '--field', 'a'], /--field .* it is for a store, and none/],
    [['end', id, 'a', '--field', 'b'], /--field would be ignored here: it is for end --user/],
    [['schema', 'prisma', '--unlogged'], /--unlogged would be ignored here: it is for schema sql/],
    [['end', '--user', 'ada', '--user', 'ben', '--yes', 'a'], /--user is given twice/],
  ]
  for (const [args, message] of cases) {
    test(args.map(arg => arg.slice(0, 20)).join(' ') || 'nothing', async () => {
      const { code, told, printed } = await given(args)
      assert.match(told, message)
      assert.deepEqual([code, printed], [64, ''])
    })
  }
})

test('the variable SESSION_STORE names the store where the command line does not', async t => {
  const path = aPath(t)
  await aSession(aStore(t, path))
  const { printed } = await given(['count'], { env: { SESSION_STORE: path } })
  assert.equal(printed, 'Sessions: 1')
})

test('help and version are printed, and nothing else is done', async () => {
  assert.match((await given(['--help'])).printed, /^ {2}sweep/m)
  assert.match((await given(['end', '--help'])).printed, /^ {2}sweep/m)
  assert.match((await given(['--version'])).printed, /^\d+\.\d+\.\d+/)
})

test('help, the version and what is missing are JSON documents too', async () => {
  const help = await given(['--help', '--json'])
  assert.deepEqual([Object.keys(help.json), help.code, help.told], [['help'], 0, ''])
  assert.match(String(help.json.help), /^ {2}sweep/m)
  const version = await given(['end', '--version', '--json'])
  assert.deepEqual([Object.keys(version.json), version.code], [['command', 'version'], 0])
  assert.match(String(version.json.version), /^\d+\.\d+\.\d+/)
  const nothing = await given(['--json'])
  assert.deepEqual(
    [nothing.json, nothing.code, nothing.told],
    [{ error: 'Give a command, such as count' }, 64, ''],
  )
})

test('a failure is told, with the code 2, to machines too', async t => {
  const path = aPath(t)
  const { told, code } = await given(['count', path])
  assert.deepEqual([told, code], [`There is no file ${path}`, 2])
  const { json } = await given(['count', path, '--json'])
  assert.deepEqual(json, { command: 'count', store: path, error: `There is no file ${path}` })
})

test('a driver that is not installed is named, with how to install it', async () => {
  const missing = Object.assign(new Error(), { code: 'ERR_MODULE_NOT_FOUND' })
  await assert.rejects(
    driverOf('postgres://', ['pg', 'postgres'], () => Promise.reject(missing)),
    {
      message: 'postgres:// needs the package pg (or postgres), which is not installed: npm install pg',
    },
  )
  await assert.rejects(
    driverOf('mongodb://', ['mongodb'], () => Promise.reject(new Error('it is broken'))),
    {
      message: 'mongodb:// needs the package mongodb, which cannot be loaded',
    },
  )
})

test('the second driver is taken where only that one is installed', async () => {
  const missing = Object.assign(new Error(), { code: 'ERR_MODULE_NOT_FOUND' })
  const { name } = await driverOf('redis://', ['redis', 'ioredis'], async name => {
    if (name === 'redis') throw missing
    return {}
  })
  assert.equal(name, 'ioredis')
})

suite('of an address nothing is shown that may be secret:', () => {
  const cases: readonly [address: string, shown: string, secret?: string][] = [
    ['mongodb://ada:hush@a:1,b:2/shop?authSource=admin', 'mongodb://a:1,b:2/shop', 'hush'],
    ['mongodb+srv://ada:h%2Fsh@shop.example/shop', 'mongodb+srv://shop.example/shop', 'h/sh'],
    ['redis://:hush@localhost:6379/2', 'redis://localhost:6379/2', 'hush'],
    ['valkeys://localhost', 'valkeys://localhost'],
    ['postgres://ada:hu/sh@localhost/shop', 'postgres://***', 'hu/sh'],
    ['postgres://ada:hu?sh@localhost/shop', 'postgres://***', 'hu?sh'],
    ['postgres://ada:hu@sh@localhost/shop', 'postgres://localhost/shop', 'hu@sh'],
    ['postgres://localhost/shop?password=hush', 'postgres://localhost/shop', 'hush'],
    ['postgres://localhost/shop?password=hu@sh', 'postgres://***', 'hu@sh'],
  ]
  for (const [address, shown, secret] of cases) {
    test(address, () => {
      const target = targetOf(address)
      assert.equal(target.shown, shown)
      if (secret === undefined) return
      const told = target.censor(`${address} cannot be reached with ${secret}, or as ada:${secret}`)
      assert.ok(!told.includes(secret), told)
    })
  }
})

test('a user without a password is no secret', () => {
  assert.equal(targetOf('postgres://a@localhost/shop').censor('a that'), 'a that')
})

test('keys gives a new key of 32 random bytes each time', async () => {
  const { printed } = await given(['keys'])
  assert.equal(Buffer.from(printed, 'base64url').length, 32)
  assert.notEqual(printed, (await given(['keys'])).printed)
  assert.equal(typeof (await given(['keys', '--json'])).json.key, 'string')
})
