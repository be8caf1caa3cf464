import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { StoreUnavailableError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, test } from '../support/frameworks.ts'

const request = { headers: {} } as IncomingMessage
const id = '0'.repeat(64)

/** Sessions with one session of a user. */
async function someSessions(t: TestContext) {
  const { sessions } = await anApp(t, { store: memoryStore(), user: 'user' }, {})
  await sessions.create({ user: 'ada' })
  return sessions
}

test('callbacks are refused at the call, by all that returns a promise outside of requests', async t => {
  const sessions = await someSessions(t)
  const callback = () => assert.fail('it was called')
  const calls: [name: string, ...args: unknown[]][] = [
    ['ensureIndex'],
    ['count'],
    ['sweep'],
    ['close'],
    ['end', id],
    ['endAll', 'ada'],
    ['endAll', 'ada', {}],
    ['create', { user: 'ada' }],
    ['create', { user: 'ada' }, {}],
    ['load', request],
    ['load', request, {}],
  ]
  for (const [name, ...args] of calls) {
    assert.throws(() => Reflect.apply(Reflect.get(sessions, name), sessions, [...args, callback]), {
      name: 'ConfigurationError',
      message: `${name}() returns a promise and takes no callback: await it`,
    })
  }
  assert.equal(await sessions.count(), 1)
})

test('arguments that would be ignored are refused at the call', async t => {
  const sessions = await someSessions(t)
  const calls: [message: string, name: string, ...args: unknown[]][] = [
    ['no arguments, and got 1', 'ensureIndex', { user: 'name' }],
    ['no arguments, and got 1', 'count', { user: 'ada' }],
    ['at most 1 argument, and got 2', 'end', id, { except: id }],
    ['at most 1 argument, and got 2', 'end', id, id],
    ['at most 1 argument, and got 2', 'open', id, { extend: true }],
    ['at most 1 argument, and got 2', 'open', id, () => {}],
    ['at most 1 argument, and got 2', 'find', 'ada', { limit: 1 }],
    ['at most 1 argument, and got 2', 'find', 'ada', () => {}],
    ['at most 2 arguments, and got 3', 'endAll', 'ada', {}, { except: id }],
    ['at most 2 arguments, and got 3', 'create', {}, {}, { maxAge: '1h' }],
    ['at most 2 arguments, and got 3', 'load', request, {}, { origins: [] }],
  ]
  for (const [message, name, ...args] of calls) {
    assert.throws(() => Reflect.apply(Reflect.get(sessions, name), sessions, args), {
      name: 'ConfigurationError',
      message: `${name}() takes ${message}`,
    })
  }
  assert.equal(await sessions.count(), 1)
})

test('methods work when they are taken off what Session() returned', async t => {
  const { ensureIndex, count, sweep, find, endAll, end, open, create, load, close } = await someSessions(t)
  await ensureIndex()
  const { id } = await create({ user: 'eve' })
  assert.equal(await open(id).get('user'), 'eve')
  assert.equal((await find('eve').next()).value?.id, id)
  assert.equal((await load(request)).isNew, true)
  assert.equal(await count(), 2)
  await end(id)
  assert.equal(await endAll('ada'), 1)
  // As a job that gets its time.
  assert.equal(await Reflect.apply(sweep, undefined, [new Date()]), 0)
  await close()
  await assert.rejects(count(), StoreUnavailableError)
})

test('close may be the listener of a signal', async t => {
  const sessions = await someSessions(t)
  process.once('SIGUSR2', sessions.close)
  t.after(() => process.off('SIGUSR2', sessions.close))
  const received = once(process, 'SIGUSR2')
  process.kill(process.pid, 'SIGUSR2')
  assert.equal((await received)[0], 'SIGUSR2')
  await sessions.close()
  await assert.rejects(sessions.count(), StoreUnavailableError)
})
