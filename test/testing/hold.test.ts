import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StoreUnavailableError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { hold, signedIn } from '../../src/testing/index.ts'
import { anApp } from '../support/app.ts'

const routes = {
  '/count': (ctx: { session: { inc(path: string): PromiseLike<unknown> } }) => ctx.session.inc('n'),
}

async function aHeldApp(t: Parameters<typeof anApp>[0]) {
  const memory = memoryStore()
  const held = hold(memory)
  const { sessions, visitor, errors } = await anApp(t, { store: memory }, routes)
  const { id, headers } = await signedIn(sessions, { n: 0 })
  sessions.store = held.store
  const stored = async () => Object((await memory.load(id)) ?? {}).fields
  return { ...held, stored, errors, count: () => visitor().get('/count', headers) }
}

test('of two requests that overlap the one that a test answers first is answered first', async t => {
  const { next, calls, count, stored } = await aHeldApp(t)
  const [one, other] = [count(), count()]
  const [first, second] = [await next(), await next()]
  assert.deepEqual(
    calls.map(({ method }) => method),
    ['update', 'update'],
  )
  assert.deepEqual(await stored(), { n: 0 })
  await second.answer()
  assert.deepEqual((await Promise.race([one, other])).json, { n: 1 })
  await first.answer()
  assert.deepEqual((await Promise.all([one, other])).map(({ json }) => Object(json).n).sort(), [1, 2])
  assert.deepEqual(calls, [])
})

test('a change may have been made whose answer is late, or is lost', async t => {
  const { next, count, stored, errors } = await aHeldApp(t)
  const late = count()
  const call = await next()
  await call.pass()
  assert.deepEqual(await stored(), { n: 1 })
  const lost = count()
  const other = await next()
  await other.pass()
  other.fail(new StoreUnavailableError('The connection is gone', 'unknown'))
  assert.equal((await lost).status, 503)
  assert.equal(errors.length, 1)
  await call.answer()
  assert.deepEqual((await late).json, { n: 1 })
  assert.deepEqual(await stored(), { n: 2 })
})

test('what the library asks a store beside its requests is not held', async t => {
  const memory = memoryStore()
  let isAsked = false
  const isIndexed = async () => {
    isAsked = true
    return true
  }
  const { store, next, calls } = hold(Object.assign(memory, { isIndexed }))
  const { sessions } = await anApp(t, { store }, routes)
  // It looks for indexes where some sessions have been stored.
  for (let count = 0; count < 10; count++) {
    const signing = signedIn(sessions, {})
    const call = await next()
    assert.equal(call.method, 'insert')
    await call.answer()
    await signing
  }
  assert.ok(isAsked)
  assert.deepEqual(calls, [])
})

test('once a test lets go, what waits is answered, and what comes is not held', async t => {
  const { calls, next, release, count } = await aHeldApp(t)
  const waiting = [count(), count()]
  await next()
  await next()
  release()
  assert.deepEqual((await Promise.all(waiting)).map(({ json }) => Object(json).n).sort(), [1, 2])
  assert.deepEqual((await count()).json, { n: 3 })
  assert.deepEqual(calls, [])
})
