import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { StoreUnavailableError } from '../../src/index.ts'
import { anApp, type Context, onEachStore } from '../support/frameworks.ts'
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
  {
    what: 'what is done once',
    async act(ctx, meanwhile) {
      const session = await ctx.session()
      return session.once('token', async () => {
        await meanwhile()
        return 'secret'
      })
    },
    isDone: ({ token }) => token === 'secret',
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
