import assert from 'node:assert/strict'
import { once as event } from 'node:events'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import Koa from 'koa'
import Session, {
  FieldError,
  LeaseLostError,
  type SessionContext,
  SessionEndedError,
  type SessionHandle,
  type Sessions,
  type Store,
} from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { hold, signedIn } from '../../src/testing/index.ts'
import { gate } from '../support/gate.ts'
import { altered } from '../support/watchedstore.ts'

interface Signed {
  user: string
  token: { value: string; expires: number }
  order: string
  hits: number
  'a/b~c': string
}

type Handle = SessionHandle<Signed>

/** One process's sessions. What it shares with others is the store. */
function aProcess(store: Store = memoryStore()): Sessions<Signed> {
  const app = new Koa()
  app.keys = ['a key of at least thirty-two letters']
  return Session<Signed>(app, { store, timeout: '1m' })
}

function anApp(timeout = '1m') {
  const store = memoryStore()
  const app = new Koa<Koa.DefaultState, SessionContext<Signed>>()
  app.keys = ['a key of at least thirty-two letters']
  return { store, app, sessions: Session<Signed>(app, { store, timeout }) }
}

async function answerOf(
  t: TestContext,
  app: Koa<Koa.DefaultState, SessionContext<Signed>>,
  cookie = '',
  path = '/',
): Promise<unknown> {
  const server = app.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await event(server, 'listening')
  const { port } = server.address() as AddressInfo
  return (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { cookie } })).json()
}

/** A session, as requests of several processes see it. */
async function seenFrom(processes: number): Promise<{
  readonly sessions: Sessions<Signed>[]
  readonly id: string
  request(process?: number): Handle
}> {
  const store = memoryStore()
  const sessions = Array.from({ length: processes }, () => aProcess(store))
  const { id } = await (sessions[0] as Sessions<Signed>).create({ user: 'ada' })
  return { sessions, id, request: (process = 0) => (sessions[process] as Sessions<Signed>).open(id) }
}

test('of overlapping requests one produces the value, and all get it', async () => {
  const { request } = await seenFrom(3)
  let runs = 0
  const produce = async () => {
    await new Promise(setImmediate)
    return `order ${++runs}`
  }
  const orders = await Promise.all(
    Array.from({ length: 60 }, (_, index) => request(index % 3).once('order', produce)),
  )
  assert.deepEqual(new Set(orders), new Set(['order 1']))
  assert.equal(runs, 1)
  assert.equal(await request().get('order'), 'order 1')
})

test('a value that is fresh is the result, and nothing runs', async () => {
  const { request } = await seenFrom(1)
  await request().set('token', { value: 'a', expires: 2 })
  const never = () => assert.fail('it ran')
  assert.deepEqual(await request().once('token', never), { value: 'a', expires: 2 })
  assert.deepEqual(await request().once('token', never, { unless: ({ expires }) => expires > 1 }), {
    value: 'a',
    expires: 2,
  })
})

test('who runs is given the value as it is stored then', async () => {
  const { request } = await seenFrom(1)
  await request().set('token', { value: 'a', expires: 1 })
  const session = await request()()
  await request().set('token.value', 'b')
  const token = await session.once('token', current => ({ value: `${current?.value}!`, expires: 9 }), {
    unless: ({ expires }) => expires > 5,
  })
  assert.deepEqual(token, { value: 'b!', expires: 9 })
  assert.deepEqual(session.token, token)
})

test('the lease is seen by nobody', async () => {
  const { request, sessions } = await seenFrom(1)
  const held = gate()
  const begun = gate()
  const running = request().once('order', async () => {
    begun.open()
    await held.opened
    return 'tea'
  })
  await begun.opened
  const session = await request()()
  assert.deepEqual({ ...session }, { user: 'ada' })
  assert.deepEqual(session.toJSON(), { user: 'ada' })
  assert.doesNotMatch(inspect(session) + JSON.stringify(session), /_once/)
  assert.throws(() => session.set('_once/order' as never, 'x' as never), FieldError)
  held.open()
  await running
  assert.deepEqual({ ...(await request()()) }, { user: 'ada', order: 'tea' })
  await sessions[0]?.close()
})

test('a failure is shared by those who wait in this process, and then another may run', async () => {
  const { request } = await seenFrom(1)
  let runs = 0
  const produce = async () => {
    await new Promise(setImmediate)
    if (++runs === 1) throw new Error('the provider is down')
    return 'tea'
  }
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => request().once('order', produce)))
  for (const result of results)
    assert.match(String((result as PromiseRejectedResult).reason), /provider is down/)
  assert.equal(runs, 1)
  assert.equal(await request().once('order', produce), 'tea')
})

test('after a failure another process runs its own', async () => {
  const { request } = await seenFrom(2)
  const begun = gate()
  const fail = gate()
  const first = request(0).once('order', async () => {
    begun.open()
    await fail.opened
    throw new Error('the provider is down')
  })
  await begun.opened
  const second = request(1).once('order', () => 'tea')
  fail.open()
  await assert.rejects(first, /provider is down/)
  assert.equal(await second, 'tea')
})

test('after the lease another runs, and the result that comes too late is lost with an error', async () => {
  const { request } = await seenFrom(2)
  const late = gate()
  let signal: AbortSignal | undefined
  const first = request(0).once(
    'order',
    async (_, context) => {
      signal = context.signal
      await late.opened
      return 'late'
    },
    { lease: 50, wait: '1m' },
  )
  assert.equal(await request(1).once('order', () => 'tea', { wait: '1m' }), 'tea')
  if (!signal?.aborted) await event(signal as AbortSignal, 'abort')
  late.open()
  await assert.rejects(first, (error: LeaseLostError) => {
    assert.ok(error instanceof LeaseLostError)
    assert.equal(error.status, 409)
    assert.equal(error.value, 'tea')
    assert.doesNotMatch(inspect(error), /tea/)
    return true
  })
  assert.equal(await request().get('order'), 'tea')
})

test('a late result is stored if nobody else has taken the lease', async () => {
  const { request } = await seenFrom(1)
  const value = await request().once(
    'order',
    (_, { signal }) =>
      new Promise<string>(resolve => signal.addEventListener('abort', () => resolve('late'))),
    { lease: 20, wait: '1m' },
  )
  assert.equal(value, 'late')
  assert.equal(await request().get('order'), 'late')
})

test('who waits too long is told that nothing was written, but who produces is not: the value is stored later', async () => {
  const { request, sessions } = await seenFrom(2)
  const begun = gate()
  const held = gate()
  const produce = async () => {
    begun.open()
    await held.opened
    return 'tea'
  }
  const tooLong = { name: 'StoreUnavailableError', status: 503 }
  const first = request(0).once('order', produce, { lease: '1m', wait: 300 })
  const isTold = assert.rejects(first, { ...tooLong, outcome: 'unknown' })
  await begun.opened
  const others = [
    request(0).once('order', produce, { wait: 20 }),
    request(1).once('order', produce, { wait: 100 }),
  ]
  for (const call of others) await assert.rejects(call, { ...tooLong, outcome: 'none' })
  await isTold
  held.open()
  assert.equal(await request(1).once('order', () => 'coffee'), 'tea')
  await sessions[0]?.close()
})

test('when the session ends meanwhile, all are told', async () => {
  const { request, sessions, id } = await seenFrom(2)
  const begun = gate()
  const ended = gate()
  const calls = [0, 0, 1].map(process =>
    request(process).once('order', async () => {
      begun.open()
      await ended.opened
      return 'tea'
    }),
  )
  await begun.opened
  await sessions[1]?.end(id)
  ended.open()
  for (const call of calls) await assert.rejects(call, SessionEndedError)
})

test('what cannot be stored is refused, and the lease is given back', async () => {
  const { request } = await seenFrom(1)
  for (const wrong of [undefined, () => {}, Number.NaN]) {
    await assert.rejects(
      request().once('order', () => wrong as never),
      FieldError,
    )
  }
  await assert.rejects(
    request().once('user.name' as never, () => 'x' as never),
    { name: 'CommandError' },
  )
  assert.equal(await request().once('order', () => 'tea'), 'tea')
})

test('a promise, which would always be true, is no answer of unless', async () => {
  const { request } = await seenFrom(1)
  const unless = (async () => false) as never
  await request().once('order', () => 'tea')
  await assert.rejects(
    request().once('order', () => 'coffee', { unless }),
    /once\(\{ unless \}\) must give true or false, not a promise/,
  )
  assert.equal(await request().once('order', () => 'coffee'), 'tea')
})

test('what is no function or no duration is refused at the call', async () => {
  const { request } = await seenFrom(1)
  await assert.rejects(request().once('order', 'tea' as never), /takes a function/)
  await assert.rejects(
    request().once('order', () => 'tea', { unless: true as never }),
    /takes a function/,
  )
  await assert.rejects(
    request().once('order', () => 'tea', { lease: 'soon' }),
    { name: 'ConfigurationError' },
  )
  for (const name of ['lease', 'wait']) {
    await assert.rejects(
      request().once('order', () => 'tea', { [name]: '25 days' }),
      {
        name: 'ConfigurationError',
        message: `${name} is too long: '25 days'; a timer runs for at most 24 days`,
      },
    )
  }
  await assert.rejects(
    request().once('order', () => 'tea', { until: 1 } as never),
    /has no option "until"/,
  )
  await assert.rejects(
    request().once('_once/order' as never, () => 'tea' as never),
    FieldError,
  )
})

test('each path has a lease of its own', async () => {
  const { request } = await seenFrom(2)
  const held = gate()
  const first = request().once('a/b~c', () => held.opened.then(() => 'one'))
  const second = request(1).once('order', () => 'two', { wait: 1000 })
  assert.equal(await second, 'two')
  held.open()
  assert.equal(await first, 'one')
})

test('who produces may use the session meanwhile', async () => {
  const { request } = await seenFrom(1)
  const session = request()
  assert.equal(
    await session.once('order', async () => {
      const { hits } = await session.inc('hits')
      return `order ${hits}`
    }),
    'order 1',
  )
})

test('waiting asks the store rarely', async () => {
  const store = memoryStore()
  const processes = [0, 1, 2].map(() => aProcess(store))
  const [first] = processes as [Sessions<Signed>]
  const { id } = await first.create({})
  const begun = gate()
  const held = gate()
  const running = first.open(id).once('order', () => {
    begun.open()
    return held.opened.then(() => 'tea')
  })
  await begun.opened
  let calls = 0
  for (const name of ['read', 'update', 'load'] as const) {
    const { [name]: original } = store
    store[name] = (...args: never[]) => {
      calls++
      return (original as (...args: never[]) => never).apply(store, args)
    }
  }
  const waiting = Array.from({ length: 99 }, (_, index) =>
    (processes[index % 3] as Sessions<Signed>).open(id).once('order', () => 'never'),
  )
  await new Promise(resolve => setTimeout(resolve, 1000))
  assert.ok(calls > 0 && calls <= 20, `${calls} calls in a second`)
  held.open()
  assert.deepEqual(new Set(await Promise.all([running, ...waiting])), new Set(['tea']))
})

test('a session that takes the place of another waits for what is being produced', async t => {
  const { app, sessions } = anApp()
  const { id, cookie } = await signedIn(sessions, { user: 'ada', hits: 1 })
  const begun = gate()
  const held = gate()
  const running = sessions.open(id).once('order', () => {
    begun.open()
    return held.opened.then(() => 'tea')
  })
  await begun.opened
  app.use(async ctx => {
    held.open()
    const session = await ctx.session.regenerate({ keep: ['order'] })
    ctx.body = { ...session }
  })
  assert.deepEqual(await answerOf(t, app, cookie), { order: 'tea' })
  assert.equal(await running, 'tea')
})

test('a lease of another request does not come along, and one of the same request does', async t => {
  const { app, sessions } = anApp('1s')
  const { id, cookie } = await signedIn(sessions, { user: 'ada' })
  const begun = gate()
  const held = gate()
  const lost = sessions.open(id).once(
    'order',
    () => {
      begun.open()
      return held.opened.then(() => 'tea')
    },
    { lease: '1m', wait: '1m' },
  )
  await begun.opened
  app.use(async ctx => {
    const renewed = gate()
    const own = ctx.session.once('a/b~c', () => renewed.opened.then(() => 'one'))
    await ctx.session.get('user')
    const session = await ctx.session.regenerate({ keep: true })
    renewed.open()
    await own
    ctx.body = { ...(await session.update()) }
  })
  // It waits for the other request for no longer than the timeout.
  assert.deepEqual(await answerOf(t, app, cookie), { user: 'ada', 'a/b~c': 'one' })
  held.open()
  await assert.rejects(lost, SessionEndedError)
})

for (const keep of [true, ['order'], false] as const) {
  for (const at of [0, 1, 2]) {
    for (const isDone of [false, true]) {
      const place = `its step ${at + 1} ${isDone ? 'is done and not answered' : 'is on its way'}`
      test(`what is told is not lost where the session is renewed while ${place}: keep ${keep}`, async t => {
        const { app, sessions, store } = anApp()
        app.use(async ctx => {
          ctx.body = { ...(await ctx.session.regenerate({ keep })) }
        })
        const { id, cookie } = await signedIn(sessions, { user: 'ada' })
        const held = hold(store)
        let produced = 0
        const running = aProcess(held.store)
          .open(id)
          .once('order', () => `tea ${++produced}`)
        const told = running.then(
          value => ({ value }),
          error => ({ error }),
        )
        for (let step = 0; step < at; step++) await (await held.next()).answer()
        const call = await held.next()
        if (isDone) await call.pass()
        const renewed = answerOf(t, app, cookie) as Promise<Partial<Signed>>
        // Where somebody is at work on what is kept, it waits for them.
        await Promise.race([renewed, new Promise(resolve => setTimeout(resolve, 100))])
        held.release()
        const [result, session] = await Promise.all([told, renewed])
        if ('value' in result) {
          assert.equal(result.value, 'tea 1')
          assert.equal(session.order, keep ? 'tea 1' : undefined)
        } else {
          assert.ok(result.error instanceof SessionEndedError, String(result.error))
          assert.equal(session.order, undefined)
        }
        assert.ok(produced <= 1)
      })
    }
  }
}

test('for a visitor without a session the value is produced and stored with the first change', async t => {
  const { app, store } = anApp()
  const inserted = t.mock.method(store, 'insert')
  const updated = t.mock.method(store, 'update')
  app.use(async ctx => {
    ctx.body = { order: await ctx.session.once('order', current => `${current} tea`) }
  })
  assert.deepEqual(await answerOf(t, app), { order: 'undefined tea' })
  assert.equal(inserted.mock.callCount(), 1)
  assert.equal(updated.mock.callCount(), 0)
})

test('who has the cookie of before a sign-in is not told what is produced in the session after it', async t => {
  const { app, sessions } = anApp()
  const { id, cookie } = await signedIn(sessions, { hits: 1 })
  const signed = gate()
  const held = gate()
  app.use(async ctx => {
    const own = ctx.session.once('order', () => held.opened.then(() => 'tea for ada'))
    await ctx.session.get('hits')
    await ctx.session.regenerate({ keep: ['order'], set: { user: 'ada' } })
    signed.open()
    ctx.body = { order: await own, ...(await ctx.session()) }
  })
  const answer = answerOf(t, app, cookie)
  await signed.opened
  const other = assert.rejects(
    sessions.open(id).once('order', () => 'nothing'),
    SessionEndedError,
  )
  held.open()
  assert.deepEqual(await answer, { order: 'tea for ada', user: 'ada' })
  await other
})

test('a job whose session is gone is not told what a visitor of before produces in a new one', async t => {
  const { app, sessions } = anApp()
  const { id, cookie } = await signedIn(sessions, { user: 'ada' })
  await sessions.end(id)
  const begun = gate()
  const held = gate()
  app.use(async ctx => {
    const produce = () => {
      begun.open()
      return held.opened.then(() => 'tea')
    }
    ctx.body = { order: await ctx.session.once('order', produce) }
  })
  const answer = answerOf(t, app, cookie)
  await begun.opened
  const other = assert.rejects(
    sessions.open(id).once('order', () => 'nothing'),
    SessionEndedError,
  )
  held.open()
  assert.deepEqual(await answer, { order: 'tea' })
  await other
})

test('a visitor who may follow to the session of after is not told that a job could not', async t => {
  const { app, sessions, store } = anApp()
  const { id, cookie } = await signedIn(sessions, { user: 'ada' })
  const asked = gate()
  app.use(async ctx => {
    if (ctx.path === '/renew') ctx.body = { ...(await ctx.session.regenerate({ keep: true, grace: '10s' })) }
    else {
      const order = ctx.session.once('order', () => 'tea')
      asked.open()
      ctx.body = { order: await order }
    }
  })
  await answerOf(t, app, cookie, '/renew')
  const held = hold(store)
  sessions.store = held.store
  const job = assert.rejects(
    sessions.open(id).once('order', () => 'nothing'),
    SessionEndedError,
  )
  const looked = await held.next()
  const answer = answerOf(t, app, cookie)
  await asked.opened
  await looked.answer()
  held.release()
  await job
  assert.deepEqual(await answer, { order: 'tea' })
})

/** One caller: which process serves it, how many turns it comes late, how long its provider takes, and whether that fails. */
const someCaller = fc.record({
  process: fc.nat(2),
  late: fc.nat(12),
  takes: fc.nat(8),
  fails: fc.boolean(),
})

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
}

test('however requests interleave, no two produce at once, and what is stored is what one of them produced', async () => {
  const interleaving = fc.asyncProperty(
    fc.array(someCaller, { minLength: 2, maxLength: 12 }),
    fc.array(fc.nat(5), { minLength: 1, maxLength: 20 }),
    fc.nat(20),
    async (callers, delays, ended) => {
      let call = 0
      const slow = altered(memoryStore(), () => turns(delays[call++ % delays.length] ?? 0))
      const processes = [0, 1, 2].map(() => aProcess(slow))
      const [first] = processes as [Sessions<Signed>]
      const { id } = await first.create({ user: 'ada' })
      let producing = 0
      const produced = new Set<string>()
      const calls = callers.map(async ({ process, late, takes, fails }, index) => {
        await turns(late)
        return (processes[process] as Sessions<Signed>).open(id).once('order', async () => {
          assert.equal(++producing, 1)
          await turns(takes)
          producing--
          if (fails) throw new Error('the provider is down')
          produced.add(`order ${index}`)
          return `order ${index}`
        })
      })
      const end = turns(ended).then(() => (ended === 0 ? first.end(id) : undefined))
      const results = await Promise.allSettled(calls)
      await end
      for (const result of results) {
        if (result.status === 'fulfilled') assert.ok(produced.has(result.value))
        else assert.match(String(result.reason), /the provider is down|The session has ended/)
      }
      if (ended === 0) return
      const stored = await first.open(id).get('order')
      assert.ok(stored === undefined ? produced.size === 0 : produced.has(stored))
      assert.ok(produced.size <= 1)
    },
  )
  await fc.assert(interleaving, { numRuns: 200 })
})
