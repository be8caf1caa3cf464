import assert from 'node:assert/strict'
import { SessionEndedError } from '../../src/index.ts'
import { anApp, type Context, onEachStore } from '../support/frameworks.ts'
import { gate } from '../support/gate.ts'

type Act = (ctx: Context) => unknown

const fieldsOf = (session: object) => ({ ...session })

const acts = {
  load: async ctx => fieldsOf(await ctx.session()),
  'read again': async ctx => fieldsOf(await (await ctx.session()).update()),
  get: async ctx => [await ctx.session.get('name')].map(value => value ?? null),
  touch: ctx => ctx.session.touch(),
  'touch with a lifetime': ctx => ctx.session.touch('1 day'),
  set: ctx => ctx.session.set('late', 1),
  unset: ctx => ctx.session.unset('name'),
  take: ctx => ctx.session.take('name'),
  'a guard': ctx => ctx.session.if('name', 'exists', false).set('late', 1),
  'a CSRF token': ctx => {
    ctx.session.createCSRF()
  },
  destroy: ctx => ctx.session.destroy(),
  'regenerate plainly': async ctx => fieldsOf(await ctx.session.regenerate()),
  'regenerate with fields': async ctx => fieldsOf(await ctx.session.regenerate({ set: { user: 'eve' } })),
  'keep all': async ctx => fieldsOf(await ctx.session.regenerate({ keep: true })),
  'keep all and set': async ctx =>
    fieldsOf(await ctx.session.regenerate({ keep: true, set: { user: 'eve' } })),
  'keep a field': async ctx => fieldsOf(await ctx.session.regenerate({ keep: ['name'] })),
  'keep an empty list': async ctx => fieldsOf(await ctx.session.regenerate({ keep: [] })),
  rotate: async ctx => fieldsOf(await ctx.session.regenerate({ keep: true, grace: '30s' })),
} satisfies Record<string, Act>

type Name = keyof typeof acts

/** What an act does after which a session is there no more: an answer, or that it has ended. */
const afterAnEnd: Record<Name, unknown> = {
  load: {},
  'read again': {},
  get: [null],
  touch: SessionEndedError,
  'touch with a lifetime': SessionEndedError,
  set: SessionEndedError,
  unset: SessionEndedError,
  take: SessionEndedError,
  'a guard': SessionEndedError,
  'a CSRF token': SessionEndedError,
  destroy: undefined,
  'regenerate plainly': {},
  'regenerate with fields': { user: 'eve' },
  'keep all': SessionEndedError,
  'keep all and set': SessionEndedError,
  'keep a field': SessionEndedError,
  'keep an empty list': SessionEndedError,
  rotate: SessionEndedError,
}

async function outcomeOf(act: Act, ctx: Context): Promise<unknown> {
  try {
    return await act(ctx)
  } catch (error) {
    if (error instanceof SessionEndedError) return SessionEndedError
    throw error
  }
}

for (const isLoaded of [false, true]) {
  onEachStore(
    `after destroy() in the same request nothing of the session is read, changed or kept${isLoaded ? ', though it was loaded' : ''}`,
    async (t, watched) => {
      const app = await anApp(
        t,
        { store: watched.store },
        {
          '/begin': ctx => ctx.session.set({ name: 'Ada' }),
          '/read': async ctx => fieldsOf(await ctx.session()),
          '/': async ctx => {
            if (isLoaded) await ctx.session()
            await ctx.session.destroy()
            const act = acts[String(ctx.query.then) as Name]
            assert.deepEqual(await outcomeOf(act, ctx), afterAnEnd[String(ctx.query.then) as Name])
          },
        },
      )
      for (const [then, outcome] of Object.entries(afterAnEnd)) {
        const ada = app.visitor()
        await ada.get('/begin')
        const old = ada.twin()
        const { status, setCookies } = await ada.get(`/?then=${encodeURIComponent(then)}`)
        assert.equal(status, 200, `${then}: ${app.errors.at(-1)}`)
        assert.equal(setCookies.length, 1, then)
        const isMade = then.startsWith('regenerate')
        assert.equal(ada.jar.size, isMade ? 1 : 0, then)
        assert.deepEqual((await ada.get('/read')).json, isMade ? outcome : {}, then)
        assert.deepEqual((await old.get('/read')).json, {}, then)
      }
      const left = (await watched.records()).map(({ fields }) => fields)
      assert.deepEqual(left, [{}, { user: 'eve' }])
    },
  )
}

const live = { name: 'Ada' }

/** Calls of one request, none of them awaited before the last; which of them find that the session has ended; what is left. */
const unawaited: [Name[], ('done' | 'ended')[], object | undefined][] = [
  [['regenerate plainly', 'destroy'], ['done', 'done'], undefined],
  [['keep all', 'destroy'], ['done', 'done'], undefined],
  [['rotate', 'destroy'], ['done', 'done'], undefined],
  [['destroy', 'keep all'], ['done', 'ended'], undefined],
  [['destroy', 'rotate'], ['done', 'ended'], undefined],
  [['destroy', 'destroy'], ['done', 'done'], undefined],
  [['destroy', 'regenerate with fields', 'set'], ['done', 'done', 'done'], { user: 'eve', late: 1 }],
  [['destroy', 'regenerate plainly', 'keep all'], ['done', 'done', 'done'], {}],
  [['destroy', 'set', 'regenerate plainly'], ['done', 'ended', 'done'], {}],
  [['destroy', 'keep a field', 'regenerate plainly'], ['done', 'ended', 'done'], {}],
  [['set', 'keep all', 'take'], ['done', 'done', 'done'], { late: 1 }],
  [['keep all', 'regenerate plainly', 'set'], ['done', 'done', 'done'], { late: 1 }],
  [['rotate', 'rotate', 'set'], ['done', 'done', 'done'], { ...live, late: 1 }],
  [['regenerate with fields', 'keep all and set'], ['done', 'done'], { user: 'eve' }],
]

onEachStore(
  'calls of one request are done in their order, each as if it had been awaited',
  async (t, watched) => {
    const app = await anApp(
      t,
      { store: watched.store },
      {
        '/begin': ctx => ctx.session.set(live),
        '/read': async ctx => fieldsOf(await ctx.session()),
        '/': async ctx => {
          const [names, outcomes] = unawaited[Number(ctx.query.row)] ?? [[], []]
          const answers = await Promise.all(names.map(name => outcomeOf(acts[name], ctx)))
          assert.deepEqual(
            answers.map(answer => (answer === SessionEndedError ? 'ended' : 'done')),
            outcomes,
          )
        },
      },
    )
    for (const [row, [names, , left]] of unawaited.entries()) {
      const ada = app.visitor()
      await ada.get('/begin')
      const { status, setCookies } = await ada.get(`/?row=${row}`)
      assert.equal(status, 200, `${names.join(', ')}: ${app.errors.at(-1)}`)
      assert.equal(setCookies.length, 1, names.join(', '))
      assert.equal(ada.jar.size, left ? 1 : 0, names.join(', '))
      assert.deepEqual((await ada.get('/read')).json, left ?? {}, names.join(', '))
    }
    const left = (await watched.records()).map(({ fields }) => fields)
    assert.deepEqual(
      left,
      unawaited.flatMap(([, , fields]) => fields ?? []),
    )
  },
)

onEachStore('a session that another request has replaced cannot be signed out of', async (t, watched) => {
  const [reached, go] = [gate(), gate()]
  const app = await anApp(
    t,
    { store: watched.store },
    {
      '/begin': ctx => ctx.session.set(live),
      '/read': async ctx => fieldsOf(await ctx.session()),
      '/sign-in': ctx => acts['regenerate with fields'](ctx),
      '/slow': async ctx => {
        await ctx.session()
        reached.open()
        await go.opened
        assert.equal(await outcomeOf(acts.set, ctx), SessionEndedError)
        assert.equal(await outcomeOf(acts.destroy, ctx), SessionEndedError)
      },
    },
  )
  const ada = app.visitor()
  await ada.get('/begin')
  const slow = ada.twin().get('/slow')
  await reached.opened
  await ada.get('/sign-in')
  go.open()
  assert.equal((await slow).status, 200)
  assert.deepEqual((await slow).setCookies, [])
  assert.deepEqual((await ada.get('/read')).json, { user: 'eve' })
})
