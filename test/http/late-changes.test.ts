import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { StoreUnavailableError } from '../../src/index.ts'
import type { Change } from '../../src/language/change.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, type Handler, test } from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import { altered } from '../support/watchedstore.ts'

const DAY = 24 * 60 * 60 * 1000

/** Milliseconds: a response that leaves later than a few after its cookie was given asks the store once more. */
const LATE = 6

/** Milliseconds in which a response would leave that does not wait. */
const ENOUGH = 50

/** What makes a response ask the store before it leaves, and its status. */
const endings: Record<string, [status: number, ending: (late: () => void) => Handler]> = {
  'extends the session': [200, () => ctx => ctx.session.get('name')],
  'asks whether its session lives': [
    200,
    late => async ctx => {
      await ctx.session.set('seen', true)
      late()
    },
  ],
  'asks so after an error': [
    404,
    late => async ctx => {
      await ctx.session.set('seen', true)
      late()
      ctx.throw(404)
    },
  ],
}

interface Meanwhile {
  /** What the handler's work that nobody awaits does while the response asks the store. */
  readonly begin: Handler
  /** Comes before each store call that it makes. */
  readonly before: (name: string) => void | Promise<void>
  /** What the store waits for before it answers the response. */
  readonly until?: () => Promise<void>
}

/** A visitor’s answer, and what the session holds when it comes. */
async function answered(t: TestContext, ending: (late: () => void) => Handler, meanwhile: Meanwhile) {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const asked = gate()
  const begun = gate()
  let isEnding = false
  const store = altered(memoryStore({ clock: () => Date.now() }), (name, args) => {
    const isLast = name === 'read' || (name === 'update' && (args[1] as Change).operations.length === 0)
    if (!isEnding) return
    if (!isLast) return meanwhile.before(name)
    asked.open()
    return begun.opened.then(meanwhile.until)
  })
  const handler = ending(() => t.mock.timers.tick(LATE))
  const { visitor, errors } = await anApp(
    t,
    { store, maxAge: '10 days' },
    {
      '/begin': ctx => ctx.session.set('name', 'Ada'),
      '/read': async ctx => ({ ...(await ctx.session({ extend: false })) }),
      '/end': async (ctx, next) => {
        asked.opened.then(() => {
          meanwhile.begin(ctx, next)
          begun.open()
        })
        try {
          await handler(ctx, next)
        } finally {
          isEnding = true
        }
      },
    },
  )
  const ada = visitor()
  await ada.get('/begin')
  t.mock.timers.tick(2 * DAY)
  const answer = await ada.get('/end')
  isEnding = false
  return { answer, errors, held: (await ada.get('/read')).json }
}

for (const [what, [status, ending]] of Object.entries(endings)) {
  test(`a change begun while the response ${what} is acknowledged before it leaves`, async t => {
    const { answer, held } = await answered(t, ending, {
      begin: ctx => void ctx.session.push('log', 1),
      before: () => delay(ENOUGH),
    })
    assert.equal(answer.status, status, answer.text)
    assert.deepEqual(Object(held).log, [1])
  })

  test(`a change that fails while the response ${what} fails it, or is reported`, async t => {
    const failure = new StoreUnavailableError('The disk is full', 'none')
    const { answer, errors } = await answered(t, ending, {
      begin: ctx => void ctx.session.push('log', 1),
      before: () => Promise.reject(failure),
    })
    assert.equal(answer.status, status === 200 ? 503 : status)
    assert.ok(errors.includes(failure))
  })

  test(`the cookie of a session rotated while the response ${what} reaches its visitor`, async t => {
    const ended = gate()
    const { answer, held } = await answered(t, ending, {
      begin: ctx => void ctx.session.regenerate({ keep: true }),
      before: name => {
        if (name === 'end') ended.open()
      },
      // The old one would be found ended, if it could be ended meanwhile.
      until: () => Promise.race([ended.opened, delay(ENOUGH)]),
    })
    assert.equal(answer.status, status)
    assert.equal(answer.setCookies.length, 1)
    assert.equal(Object(held).name, 'Ada')
  })
}
