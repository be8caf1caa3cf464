import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { aSession } from '../contract/records.ts'
import { withoutMongoDB } from '../support/mongodb/collection.ts'
import { withoutPostgreSQL } from '../support/postgres/database.ts'
import { RedisServer, withoutRedis } from '../support/redis/server.ts'
import { aCluster, onEachKind } from './places.ts'

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

interface Ended {
  readonly code: number
  readonly out: string
  readonly told: string
}

/** Runs the program to its end; it fails if that does not come by itself. */
function ran(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...env }, timeout: 60_000 }
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', program, ...args],
      options,
      (error, out, told) => {
        if (child.signalCode) reject(new Error(`It goes on: ${args[0]}\n${out}${told}`))
        else resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, told })
      },
    )
  })
}

onEachKind('a command ends by itself', async (_t, { store, named }) => {
  await aSession(store)
  assert.deepEqual(await ran(['count', ...named]), { code: 0, out: 'Sessions: 1\n', told: '' })
  assert.equal((await ran(['doctor', ...named, '--json'])).told, '')
})

const down: readonly [title: string, address: string, skip: string | false][] = [
  ['MongoDB', 'mongodb://127.0.0.1:1/shop', withoutMongoDB],
  ['Redis', 'redis://127.0.0.1:1', withoutRedis],
  ['PostgreSQL', 'postgres://a@127.0.0.1:1/shop', withoutPostgreSQL],
]
for (const [title, address, skip] of down) {
  test(`${title}: a command ends by itself where nothing answers`, { skip }, async () => {
    const { code, out, told } = await ran(['count'], { SESSION_STORE: address })
    assert.match(told, /ECONNREFUSED/)
    assert.deepEqual([code, out], [2, ''])
  })
}

test('Redis: a command ends by itself where it is not let in', { skip: withoutRedis }, async t => {
  const server = await RedisServer.start()
  t.after(() => server.stop())
  await server.command('CONFIG SET requirepass hush')
  const { code, told } = await ran(['count', `redis://127.0.0.1:${server.port}`])
  assert.match(told, /NOAUTH/)
  assert.equal(code, 2)
  const { code: worse } = await ran(['doctor', `redis://127.0.0.1:${server.port}`])
  assert.equal(worse, 2)
})

test('Redis: a command on a cluster ends by itself', { skip: withoutRedis }, async t => {
  const { code, out } = await ran(['count', await aCluster(t)])
  assert.deepEqual([code, out], [0, 'Sessions: 0\n'])
})

test('nobody is asked where nobody could answer', async () => {
  const { code, told } = await ran(['end', '--user', 'ada', 'sessions.sqlite'])
  assert.match(told, /Nobody can be asked here/)
  assert.equal(code, 64)
})

test('a warning has no password, and cannot control the terminal', async () => {
  const address = 'redis://ada:hush@localhost:6379a'
  // The first is Node.js's, where a driver reads an address whose port is none; it comes before the command. Node.js 26 throws.
  const warned = `import { parse } from 'node:url'
    const on = process.on
    process.on = function (name, listener) {
      on.call(process, name, listener)
      if (name === 'warning' && String(listener).includes('stderr')) {
        try {
          parse('${address}')
        } catch {}
        process.emitWarning('${address} is \\x1b[2J\\x9b31m odd')
      }
      return process
    }`
  const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(warned)}`
  const { code, told } = await ran(['keys'], { NODE_OPTIONS })
  assert.equal(told, 'Warning: redis://***@localhost:6379a is \\u001b[2J\\u009b31m odd\n')
  assert.equal(code, 0)
})
