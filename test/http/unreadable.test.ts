import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { SessionEndedError, StoreUnavailableError } from '../../src/index.ts'
import { anApp, type Context, onEachStore } from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'
import { altered } from '../support/watchedstore.ts'

/** Another request's change, and from then on nothing can be read. */
type Meanwhile = () => Promise<void>

interface Case {
  readonly what: string
  /** Does something that is done, after which the session has to be read. */
  act(ctx: Context, meanwhile: Meanwhile): Promise<unknown>
  readonly isDone: (fields: Record<string, unknown>, maxAge: number) => boolean
}

const TWO_DAYS = 2 * 24 * 3_600_000

/** A value that is read again, since no JSON has it. */
const big = { id: 5n }

const cases: Case[] = [
  {
    what: 'a change that is awaited later',
    async act(ctx, meanwhile) {
      const session = await ctx.session()
      const pushed = session.push('list', 1)
      await setImmediate()
      await meanwhile()
      return pushed
    },
    isDone: ({ list }) => Array.isArray(list),
  },
  {
    what: 'a lifetime',
    async act(ctx, meanwhile) {
      const session = await ctx.session()
      await meanwhile()
      return session.touch('2 days')
    },
    isDone: (_, maxAge) => maxAge === TWO_DAYS,
  },
]

for (const { what, act, isDone } of cases) {
  onEachStore(
    `where the session cannot be read afterwards, nobody says that nothing was done: ${what}`,
    async (t, { store, records }) => {
      let isUnreadable = false
      const failing = altered(store, name => {
        if (isUnreadable && /^(?:load|read)$/.test(name)) throw new StoreUnavailableError('away', 'none')
      })
      const { visitor, sessions } = await anApp(t, { store: failing }, async ctx => {
        if (ctx.path === '/begin') return ctx.session.set('name', 'Ada')
        const { id = '' } = await ctx.session()
        const failure: unknown = await act(ctx, async () => {
          await sessions.open(id).set('other', 1)
          isUnreadable = true
        }).catch(error => error)
        return failure instanceof StoreUnavailableError ? failure.outcome : 'done'
      })
      const ada = visitor()
      await ada.get('/begin')
      assert.equal((await ada.get('/')).json, 'unknown')
      isUnreadable = false
      const [record] = await records()
      assert.ok(record && isDone(record.fields, record.maxAge))
    },
  )
}

for (const way of ['handle', 'loaded session'] as const) {
  onEachStore(
    `where the session cannot be read afterwards, nobody says that nothing was done: signing in by a ${way}`,
    async (t, { store, records }) => {
      let isUnreadable = false
      const failing = altered(store, name => {
        if (isUnreadable && name === 'load') throw new StoreUnavailableError('away', 'none')
        if (name === 'end') isUnreadable = true
      })
      const { visitor } = await anApp(t, { store: failing }, async ctx => {
        if (ctx.path === '/begin') return ctx.session.set('name', 'Ada')
        const session = way === 'handle' ? ctx.session : await ctx.session()
        const failure: unknown = await session.regenerate({ set: { big } }).catch((error: unknown) => error)
        return failure instanceof StoreUnavailableError ? failure.outcome : 'done'
      })
      const ada = visitor()
      await ada.get('/begin')
      assert.equal((await ada.get('/')).json, 'unknown')
      isUnreadable = false
      assert.deepEqual(
        (await records()).map(({ fields }) => Object.keys(fields)),
        [['big']],
      )
    },
  )
}

type Session = Awaited<ReturnType<Context['session']>>

interface InHand {
  readonly what: string
  /** Resolves to `'secret'`, which the store has confirmed. `other`: the same session, used by another request. */
  get(session: Session, meanwhile: Meanwhile, other: Context['session']): Promise<unknown>
}

const inHand: InHand[] = [
  {
    what: 'what is taken',
    async get(session, meanwhile) {
      await meanwhile()
      return session.take('state')
    },
  },
  {
    what: 'what is done once',
    get: (session, meanwhile) =>
      session.once('token', async () => {
        await meanwhile()
        return 'secret'
      }),
  },
  {
    what: 'what another request does once',
    async get(session, meanwhile, other) {
      const [producing, joined] = [gate(), gate()]
      const first = other.once('token', async () => {
        producing.open()
        await joined.opened
        return 'secret'
      })
      await producing.opened
      const second = session.once('token', () => 'another')
      await setImmediate()
      await meanwhile()
      joined.open()
      await first
      return second
    },
  },
]

for (const { what, get } of inHand) {
  onEachStore(
    `where the session cannot be read afterwards, a value in hand is given, and no old one is read: ${what}`,
    async (t, { store }) => {
      let isUnreadable = false
      const failing = altered(store, name => {
        if (isUnreadable && /^(?:load|read)$/.test(name)) throw new StoreUnavailableError('away', 'none')
      })
      const { visitor, sessions } = await anApp(t, { store: failing }, async ctx => {
        if (ctx.path === '/begin') return ctx.session.set({ name: 'Ada', state: 'secret' })
        const session = await ctx.session()
        const { id = '' } = session
        const value = await get(
          session,
          async () => {
            await sessions.open(id).set('name', 'Eve')
            isUnreadable = true
          },
          sessions.open(id),
        )
        for (const read of [() => session.get('name'), () => ctx.session()]) {
          await assert.rejects(read, StoreUnavailableError)
        }
        isUnreadable = false
        const name = await session.get('name')
        await ctx.session()
        return [value, name, session.name]
      })
      const ada = visitor()
      await ada.get('/begin')
      assert.deepEqual((await ada.get('/')).json, ['secret', 'Eve', 'Eve'])
    },
  )
}

/** What is done, after which the session has to be read. */
const beforeTheEnd: Record<string, (ctx: Context, meanwhile: Meanwhile) => Promise<unknown>> = {
  'a change': async (ctx, meanwhile) => {
    const session = await ctx.session()
    await meanwhile()
    return session.set('order', 42)
  },
  'a lifetime': async (ctx, meanwhile) => {
    const session = await ctx.session()
    await meanwhile()
    return session.touch('2 days')
  },
  'what is done once': async (ctx, meanwhile) => {
    const session = await ctx.session()
    return session.once('order', async () => {
      await meanwhile()
      return 42
    })
  },
  'signing in by a handle': (ctx, meanwhile) =>
    meanwhile().then(() => ctx.session.regenerate({ set: { big } })),
  'signing in by a loaded session': async (ctx, meanwhile) => {
    const session = await ctx.session()
    await meanwhile()
    return session.regenerate({ set: { big } })
  },
}

for (const [what, act] of Object.entries(beforeTheEnd)) {
  onEachStore(
    `that the session ends right after what was asked for does not make that fail: ${what}`,
    async (t, { store }) => {
      let isMoved = false
      let isAsked = false
      let ends = 0
      const ending = altered(store, async (name, [id]) => {
        if (isMoved && /^(?:update|end)$/.test(name)) isAsked = true
        if (!isAsked || name !== 'load') return
        ends++
        await store.delete(id as string)
      })
      const { visitor, sessions } = await anApp(t, { store: ending }, async ctx => {
        if (ctx.path === '/begin') return ctx.session.set('name', 'Ada')
        const { id = '' } = await ctx.session()
        const result = await act(ctx, async () => {
          await sessions.open(id).set('other', 1)
          isMoved = true
        })
        assert.ok(ends > 0)
        if (what === 'what is done once') assert.equal(result, 42)
        else assert.equal(typeof (result as Session).set, 'function')
        // Only what is asked for afterwards is not done.
        await assert.rejects(async () => ctx.session.set('later', 1), SessionEndedError)
        return 'done'
      })
      const ada = visitor()
      await ada.get('/begin')
      assert.equal((await ada.get('/')).json, 'done')
    },
  )
}

onEachStore(
  'where update() fails, the next read does not show what was read before',
  async (t, { store }) => {
    let isUnreadable = false
    const failing = altered(store, name => {
      if (isUnreadable && /^(?:load|read)$/.test(name)) throw new StoreUnavailableError('away', 'none')
    })
    const { visitor, sessions } = await anApp(t, { store: failing }, async ctx => {
      if (ctx.path === '/begin') return ctx.session.set('name', 'Ada')
      const session = await ctx.session()
      await sessions.open(session.id as string).set('name', 'Eve')
      isUnreadable = true
      await assert.rejects(session.update(), StoreUnavailableError)
      await assert.rejects(session.get('name'), StoreUnavailableError)
      isUnreadable = false
      return session.get('name')
    })
    const ada = visitor()
    await ada.get('/begin')
    assert.equal((await ada.get('/')).json, 'Eve')
  },
)
