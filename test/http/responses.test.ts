import assert from 'node:assert/strict'
import { SessionEndedError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, type Handler, onEachStore, test } from '../support/frameworks.ts'
import { altered } from '../support/watchedstore.ts'

onEachStore('two changes of one request are both there, whatever they are', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/fill': ctx => ctx.session.set({ a: 1, b: 2 }),
      '/add-modify': ctx => void ctx.session.set('c', 3).set('a', 10),
      '/add-remove': ctx => {
        ctx.session.set('d', 4)
        ctx.session.unset('b')
      },
      '/modify-remove': ctx => {
        ctx.session.set('a', 11)
        ctx.session.unset('c')
      },
      '/remove-add': ctx => {
        ctx.session.unset('a')
        ctx.session.set('a', 'anew')
      },
      '/read': async ctx => ({ ...(await ctx.session()) }),
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  const after: [path: string, fields: object][] = [
    ['/add-modify', { a: 10, b: 2, c: 3 }],
    ['/add-remove', { a: 10, c: 3, d: 4 }],
    ['/modify-remove', { a: 11, d: 4 }],
    ['/remove-add', { a: 'anew', d: 4 }],
  ]
  for (const [path, fields] of after) {
    await ada.get(path)
    assert.deepEqual((await ada.get('/read')).json, fields, path)
  }
})

onEachStore('names of members are plain data inside a field, and break nothing', async (t, { store }) => {
  const names = ['id', 'destroy', 'then', 'toJSON', 'expires', 'rev', 'data', 'length', 'valueOf', 'cookie']
  const held = Object.fromEntries(names.map(name => [name, name]))
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/fill': ctx => ctx.session.set({ held }),
      '/read': async ctx => {
        const session = await ctx.session()
        await session.set('held.then', 'changed')
        return [session.held, await ctx.session.get('held.destroy'), typeof session.destroy]
      },
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  const changed = Object.fromEntries(names.map(name => [name, name === 'then' ? 'changed' : name]))
  assert.deepEqual((await ada.get('/read')).json, [changed, 'destroy', 'function'])
})

test('signing out who has no session sends no cookie and asks nothing', async t => {
  const calls: string[] = []
  const store = altered(memoryStore(), name => void calls.push(name))
  const { visitor } = await anApp(t, { store }, ctx => ctx.session.destroy())
  const { status, setCookies } = await visitor().get('/')
  assert.equal(status, 200)
  assert.deepEqual(setCookies, [])
  assert.deepEqual(calls, [])
})

onEachStore('reading again what has ended meanwhile is an error, each time', async (t, { store }) => {
  const { visitor } = await anApp(
    t,
    { store },
    {
      '/fill': ctx => ctx.session.set('n', 1),
      '/again': async (ctx, next) => {
        const session = await ctx.session()
        await store.delete(session.id as string)
        const said = new Set<unknown>()
        for (let times = 0; times < 20; times++) {
          said.add(await session.update().then(next, (error: unknown) => error instanceof SessionEndedError))
        }
        return [...said]
      },
    },
  )
  const ada = visitor()
  await ada.get('/fill')
  assert.deepEqual((await ada.get('/again')).json, [true])
})

test('whatever the session does it resolves or rejects as a promise does', async t => {
  let failing = true
  const store = altered(memoryStore(), () => {
    if (failing) throw new Error('a store’s own error')
  })
  const acts: Record<string, Handler> = {
    load: ctx => ctx.session(),
    get: ctx => ctx.session.get('n'),
    set: ctx => ctx.session.set('n', 1),
    take: ctx => ctx.session.take('n'),
    touch: ctx => ctx.session.touch(),
    destroy: ctx => ctx.session.destroy(),
    regenerate: ctx => ctx.session.regenerate(),
  }
  const { visitor } = await anApp(t, { store }, async (ctx, next) => {
    if (ctx.path === '/fill') return ctx.session.set('n', 1)
    const act = acts[ctx.path.slice(1)] as Handler
    const settled: string[] = []
    const promise = act(ctx, next) as Promise<unknown>
    await promise.then(
      () => settled.push('resolved'),
      error => settled.push(String(error.message)),
    )
    await promise.catch(() => settled.push('caught'))
    await promise.finally(() => settled.push('finally')).catch(() => {})
    return settled
  })
  failing = false
  const ada = visitor()
  await ada.get('/fill')
  for (const act of Object.keys(acts)) {
    failing = true
    const rejected = (await ada.get(`/${act}`)).json
    assert.deepEqual(rejected, ['a store’s own error', 'caught', 'finally'], act)
    failing = false
    const eve = visitor()
    await eve.get('/fill')
    assert.deepEqual((await eve.get(`/${act}`)).json, ['resolved', 'finally'], act)
  }
})
