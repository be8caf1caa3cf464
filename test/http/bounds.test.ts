import assert from 'node:assert/strict'
import { FieldError } from '../../src/index.ts'
import { anApp, onEachStore } from '../support/frameworks.ts'

type Names = [string, string, ...string[]]

const names = (count: number) => Array.from({ length: count }, (_, index) => `name${index}`) as Names
const fields = (count: number) => Object.fromEntries(names(count).map((name, index) => [name, index]))
const values = Object.values(fields(1000))

onEachStore(
  'a get names at most 1000 paths, and a set as many fields, loaded or not',
  async (t, { store, calls }) => {
    const { visitor, errors } = await anApp(
      t,
      { store },
      {
        '/': async ctx => {
          await ctx.session.set(fields(1000))
          assert.deepEqual(await ctx.session.get(...names(1000)), values)
          const session = await ctx.session()
          await session.set(fields(1000))
          assert.deepEqual(await session.get(...names(1000)), values)
          assert.deepEqual({ ...session }, fields(1000))
        },
        '/more': async ctx => {
          const { length } = calls
          await assert.rejects(ctx.session.get(...names(1001)), FieldError)
          await assert.rejects(ctx.session.regenerate({ keep: names(1001) }), FieldError)
          assert.throws(() => ctx.session.set(fields(1001)), FieldError)
          assert.throws(() => ctx.session.unset(...names(1001)), FieldError)
          assert.equal(calls.length, length)
          const session = await ctx.session()
          await assert.rejects(session.get(...names(1001)), FieldError)
          assert.throws(() => session.set(fields(1001)), FieldError)
        },
      },
    )
    const ada = visitor()
    for (const path of ['/', '/more']) await ada.get(path)
    assert.deepEqual(errors, [])
  },
)

onEachStore('a large field that is named many times is read once', async (t, { store }) => {
  const { visitor, errors } = await anApp(
    t,
    { store },
    {
      '/': async ctx => {
        const cart = Array.from({ length: 5000 }, (_, index) => ({ sku: `sku ${index}` }))
        await ctx.session.set('cart', cart)
        await ctx.session()
        const copies = (await ctx.session.get(...(Array(1000).fill('cart') as Names))) as unknown[]
        assert.equal(copies.length, 1000)
        assert.equal(new Set(copies).size, 1)
        assert.deepEqual(copies[999], cart)
      },
    },
  )
  await visitor().get('/')
  assert.deepEqual(errors, [])
})
