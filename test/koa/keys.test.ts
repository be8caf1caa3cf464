import assert from 'node:assert/strict'
import { test } from 'node:test'
import Keygrip from 'keygrip'
import { Keys } from '../../src/koa/keys.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp } from '../support/app.ts'

const FIRST = 'the first key that is known to the tests only'
const SECOND = 'the second key that is known to the tests only'

function signed(key: string, text: string): string {
  return new Keygrip([key], 'sha256').sign(text)
}

test('a signature is that of the key which made it, asked for once or again', () => {
  const keys = new Keys([FIRST, SECOND])
  for (let times = 0; times < 3; times++) {
    assert.equal(keys.signerOf('text', signed(FIRST, 'text')), 0)
    assert.equal(keys.signerOf('text', signed(SECOND, 'text')), 1)
    assert.equal(keys.signerOf('text', signed('another key', 'text')), -1)
    assert.equal(keys.signerOf('text.', signed(FIRST, 'text')), -1)
    assert.equal(keys.signerOf('text', signed(FIRST, 'text').slice(1)), -1)
  }
})

test('of many thousands of signatures, each is told from every other', () => {
  const keys = new Keys([FIRST, SECOND])
  const texts = Array.from({ length: 5000 }, (_, index) => `text ${index}`)
  for (let times = 0; times < 2; times++) {
    for (const [index, text] of texts.entries()) {
      assert.equal(keys.signerOf(text, signed(index % 2 === 0 ? FIRST : SECOND, text)), index % 2)
      assert.equal(keys.signerOf(text, signed(FIRST, `${text}0`)), -1)
    }
  }
})

test('a key that is taken off the app’s list is worth nothing from the next request on', async t => {
  const { app, visitor } = await anApp(t, { store: memoryStore(), keys: [FIRST] }, async ctx => {
    return ctx.path === '/write' ? await ctx.session.set('name', 'Ada') : { ...(await ctx.session()) }
  })
  const ada = visitor()
  await ada.get('/write')
  for (let times = 0; times < 2; times++) assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  const keys = app.keys as string[]
  keys.splice(0, 1, SECOND)
  assert.deepEqual((await ada.get('/read')).json, {})
})

test('a key that is put before the others signs from the next request on', async t => {
  const { app, visitor } = await anApp(t, { store: memoryStore(), keys: [FIRST] }, async ctx => {
    return ctx.path === '/write' ? await ctx.session.set('name', 'Ada') : { ...(await ctx.session()) }
  })
  const ada = visitor()
  await ada.get('/write')
  assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' })
  const keys = app.keys as string[]
  keys.unshift(SECOND)
  const { setCookies } = await ada.get('/read')
  assert.equal(setCookies.length, 1)
  const [name, value = ''] = (setCookies[0] ?? '').split(';')[0]?.split('=') ?? []
  const at = value.lastIndexOf('.')
  assert.equal(value.slice(at + 1), signed(SECOND, `${name}=${value.slice(0, at)}`))
})
