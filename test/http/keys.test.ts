import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import Keygrip from 'keygrip'
import { Keys } from '../../src/http/keys.ts'
import { ConfigurationError } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, test } from '../support/frameworks.ts'

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

test('bytes that take the place of others in a key are another key', async t => {
  const key = randomBytes(32)
  const { app, visitor } = await anApp(t, { store: memoryStore(), keys: [key] as never }, ctx =>
    ctx.session.inc('n'),
  )
  const ada = visitor()
  for (const n of [1, 2]) assert.deepEqual((await ada.get('/')).json, { n })
  app.keys = [Buffer.from(key)] as never
  assert.deepEqual((await ada.get('/')).json, { n: 3 })
  key.set(randomBytes(32))
  assert.deepEqual((await ada.get('/')).json, { n: 4 })
  app.keys = [key] as never
  assert.deepEqual((await ada.get('/')).json, { n: 1 })
  // Wiped, as programs do with secrets: everybody knows a key of zeros.
  key.fill(0)
  assert.equal((await ada.get('/')).status, 500)
})

test('keys that are none are named, without the others', () => {
  const given: [unknown, RegExp][] = [
    [undefined, /^app\.keys is missing: set it to a list/],
    [null, /^app\.keys is null and no list/],
    [FIRST, /^app\.keys is string and no list/],
    [Buffer.from(FIRST), /^app\.keys is Buffer and no list/],
    [[], /^app\.keys is empty/],
    [
      [FIRST, undefined],
      /^app\.keys has no key at \[1\] but undefined; is an environment variable not set\?/,
    ],
    [[''], /at \[0\] but an empty string/],
    [[new Uint8Array(0)], /at \[0\] but 0 bytes of zeros/],
    [[Buffer.alloc(32)], /at \[0\] but 32 bytes of zeros/],
    [[new ArrayBuffer(32)], /at \[0\] but ArrayBuffer/],
    [[FIRST, 42], /at \[1\] but number/],
    [[[FIRST]], /at \[0\] but Array/],
    [{ sign() {} }, /is Object and no list/],
  ]
  for (const [keys, message] of given) {
    assert.throws(
      () => new Keys(keys),
      (error: Error) => {
        assert.ok(error instanceof ConfigurationError)
        assert.match(error.message, message)
        assert.ok(!error.message.includes(FIRST))
        return true
      },
    )
  }
})

test('how long a key is counts in bytes', async t => {
  const warnings: Error[] = []
  t.mock.method(process, 'emitWarning', (warning: string | Error) =>
    warnings.push(new Error(String(warning))),
  )
  for (const key of [randomBytes(32), 'ü'.repeat(16)]) new Keys([key])
  assert.deepEqual(warnings, [])
  for (const key of [randomBytes(31), 'x'.repeat(31)]) new Keys([key])
  assert.equal(warnings.length, 2)
})
