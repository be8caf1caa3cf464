import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { type TestContext, test } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import { buildSync } from 'esbuild'
import { StoreUnavailableError } from '../../../src/errors.ts'
import { redisStore } from '../../../src/stores/redis/store.ts'
import { aChange, aSession, fieldsOf, inc } from '../../contract/records.ts'
import { type Kind, ofIoredis, ofNodeRedis } from '../../support/redis/clients.ts'
import { RedisServer, withoutRedis } from '../../support/redis/server.ts'
import { aReplica } from '../../support/redis/topologies.ts'

const require = createRequire(import.meta.url)

/** Node's globals. Those of the language are a realm's own. */
const globals = Object.fromEntries(
  [
    ...['Buffer', 'URL', 'AbortController', 'AbortSignal', 'console', 'performance', 'process'],
    ...['clearImmediate', 'clearInterval', 'clearTimeout', 'setImmediate', 'setInterval', 'setTimeout'],
    ...['queueMicrotask', 'TextDecoder', 'TextEncoder'],
  ].map(name => [name, Reflect.get(globalThis, name)]),
)

/** The package, loaded where its errors are of other classes than the library's. */
function inAnotherRealm<T>(name: string): T {
  const { outputFiles } = buildSync({
    stdin: { contents: `module.exports = require('${name}')`, resolveDir: import.meta.dirname },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    write: false,
  })
  const module = { exports: {} }
  runInContext(String(outputFiles[0]?.text), createContext({ ...globals, require, module }))
  return module.exports as T
}

const kinds: Record<string, () => Kind> = {
  redis: () => ofNodeRedis('redis', inAnotherRealm('redis')),
  ioredis: () => ofIoredis('ioredis', inAnotherRealm('ioredis')),
}

async function opened(t: TestContext, kind: Kind, options: object = {}) {
  const server = await RedisServer.start()
  t.after(() => server.stop())
  const { client, close } = await kind.single(server.port)
  t.after(close)
  return { server, store: redisStore({ client, ...options }) }
}

for (const [name, load] of Object.entries(kinds)) {
  test(`a client of another realm is sent forgotten scripts again: ${name}`, {
    skip: withoutRedis,
  }, async t => {
    const { server, store } = await opened(t, load())
    const { id } = await aSession(store, { n: 0 })
    await server.command('SCRIPT FLUSH')
    assert.deepEqual(await store.update(id, aChange(inc('n'))), {})
    assert.deepEqual(await fieldsOf(store, id), { n: 1 })
  })

  test(`a client of another realm waits for replicas as others do: ${name}`, {
    skip: withoutRedis,
  }, async t => {
    const { server, store } = await opened(t, load(), { replicas: 1 })
    await aReplica(t, server)
    const { id } = await aSession(store, { n: 0 })
    await server.command('SCRIPT FLUSH')
    assert.deepEqual(await store.update(id, aChange(inc('n'))), {})
    assert.deepEqual(await fieldsOf(store, id), { n: 1 })
  })

  test(`what Redis refused to a client of another realm is known not to be written: ${name}`, {
    skip: withoutRedis,
  }, async t => {
    const { server, store } = await opened(t, load())
    const { id } = await aSession(store, { n: 0 })
    await store.update(id, aChange(inc('n')))
    await server.command('CONFIG SET maxmemory 1')
    await assert.rejects(store.update(id, aChange(inc('n'))), (error: unknown) => {
      assert.ok(error instanceof StoreUnavailableError)
      assert.deepEqual([error.outcome, error.message], ['none', 'Redis refused a command (OOM)'])
      return true
    })
  })

  test(`a client of another realm finds no session under a key of another type: ${name}`, {
    skip: withoutRedis,
  }, async t => {
    const { server, store } = await opened(t, load())
    const { id } = await aSession(store, { n: 0 })
    await server.command('DEL', `session:${id}`)
    await server.command('LPUSH', `session:${id}`, '1')
    assert.equal(await store.update(id, aChange(inc('n'))), 'absent')
  })
}
