import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import Keygrip from 'keygrip'
import { FieldError } from '../../src/errors.ts'
import { presentedIn } from '../../src/http/cookie-value.ts'
import { Keys } from '../../src/http/keys.ts'
import { idOf } from '../../src/ids.ts'
import { isFieldName, MAX_DEPTH, MAX_PART_BYTES, pathOf } from '../../src/language/paths.ts'
import { literal } from '../../src/language/values.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, KEY, type RunningApp, test } from '../support/frameworks.ts'
import { watched } from '../support/watchedstore.ts'

const RUNS = 10_000

const keys = new Keys([KEY])

/** Whatever Node takes for a header's value: all bytes but those of control, of which it takes the tab. */
const someHeaderText = fc
  .array(fc.oneof(fc.integer({ min: 32, max: 126 }), fc.integer({ min: 128, max: 255 }), fc.constant(9)), {
    maxLength: 200,
  })
  .map(codes => String.fromCharCode(...codes))

const someHex = fc.stringMatching(/^[0-9a-f]{40}$/)
const someNumber = fc.stringMatching(/^[0-9a-z]{1,11}$/)
const someSignature = fc.stringMatching(/^[\w-]{43}$/)

/** Of the very shape of ours, and not signed by us. */
const someForgery = fc.tuple(someHex, someNumber, someNumber, someSignature).map(parts => parts.join('.'))

const someOtherKey = fc.stringMatching(/^[a-z]{32,40}$/)

/** Signed, and by another key or for another name. */
const someForeign = fc
  .tuple(someHex, someNumber, someNumber, someOtherKey, fc.constantFrom('sid', 'sid2', 'SID', ''))
  .map(([secret, issued, maxAge, key, name]) => {
    const payload = `${secret}.${issued}.${maxAge}`
    return `${payload}.${new Keygrip([key], 'sha256').sign(`${name}=${payload}`)}`
  })

/** Where to cut a valid cookie, and what to put there. */
const someDamage = fc.record({
  at: fc.nat(),
  removed: fc.nat({ max: 5 }),
  put: fc.oneof(
    fc.stringMatching(/^[\w.-]{0,5}$/),
    fc.constantFrom('\t', ' ', '"', '%2e', '\u00a0', '.', '..', ',', '\\', '=', '/'),
  ),
})

type Damage = typeof someDamage extends fc.Arbitrary<infer T> ? T : never

function damaged(value: string, { at, removed, put }: Damage): string {
  const from = at % value.length
  return value.slice(0, from) + put + value.slice(from + removed)
}

const someName = fc.constantFrom(
  'sid',
  'sid',
  'sid',
  'SID',
  'sid.sig',
  '__Host-sid',
  '',
  'xsid',
  'sid\u00a0',
  '"sid"',
)
const someSeparator = fc.constantFrom('; ', ';', ' ; ', ';;', ', ', ';\t', '=')

/** Cookie headers, of which each part is anything but a valid cookie; `valid` is the one that is damaged. */
function someCookieHeader(valid: string): fc.Arbitrary<string> {
  const someValue = fc.oneof(
    someHeaderText,
    someForgery,
    someForeign,
    fc.array(someDamage, { minLength: 1, maxLength: 3 }).map(all => all.reduce(damaged, valid)),
    fc.constantFrom(
      '',
      valid.toUpperCase(),
      `"${valid}"`,
      encodeURIComponent(`${valid}=`),
      valid.slice(0, 40),
    ),
  )
  const somePair = fc.tuple(someName, someValue).map(([name, value]) => `${name}=${value}`)
  return fc
    .oneof(
      someHeaderText,
      fc
        .tuple(fc.array(somePair, { minLength: 1, maxLength: 8 }), someSeparator)
        .map(([pairs, by]) => pairs.join(by)),
    )
    .map(header => header.trim())
    .filter(header => !holdsIt(header, valid))
}

/** Whether it is, undamaged after all, one of the header's cookies: what the parser takes for it, said otherwise. */
function holdsIt(header: string, valid: string): boolean {
  return header.split(';').some(pair => pair.replace(/^[ \t]*sid[ \t]*=[ \t]*|[ \t]+$/g, '') === valid)
}

/** One connection that says HTTP by hand: what it sends is as it is, not as a client would have it. */
class RawClient {
  readonly #socket: Socket
  #text = ''
  #waiting: ((text: string) => void) | undefined

  constructor(url: string) {
    this.#socket = connect(Number(new URL(url).port), '127.0.0.1')
    this.#socket.setNoDelay(true)
    this.#socket.on('data', chunk => {
      this.#text += chunk.toString('latin1')
      this.#answered()
    })
    this.#socket.on('close', () => this.#waiting?.(`${this.#text} (closed)`))
  }

  /** The answer to `GET path` with these bytes as the Cookie header. */
  get(path: string, cookie: string): Promise<{ status: number; head: string; body: string }> {
    this.#socket.write(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${cookie}\r\n\r\n`, 'latin1'))
    return new Promise<string>(resolve => {
      this.#waiting = resolve
      this.#answered()
    }).then(text => {
      const [head = '', body = ''] = text.split('\r\n\r\n')
      return { status: Number(head.slice(9, 12)), head, body }
    })
  }

  leave(): void {
    this.#socket.destroy()
  }

  #answered(): void {
    const end = this.#text.indexOf('\r\n\r\n')
    const length = /content-length: (\d+)/i.exec(this.#text)?.[1]
    if (end < 0 || length === undefined || this.#text.length < end + 4 + Number(length)) return
    const text = this.#text
    this.#text = ''
    this.#waiting?.(text)
  }
}

interface Probed extends RunningApp {
  readonly calls: string[]
  /** A valid cookie of somebody's, as it stands in the header. */
  readonly valid: string
  readonly raw: RawClient
}

async function aProbedApp(t: TestContext): Promise<Probed> {
  const { store, calls } = watched(memoryStore({ clock: () => Date.now() }))
  const running = await anApp(
    t,
    { store },
    {
      '/read': async ctx => ({ ...(await ctx.session()) }),
      '/write': ctx => ctx.session.set('name', 'Ada'),
    },
  )
  const ada = running.visitor()
  await ada.get('/write')
  calls.length = 0
  const raw = new RawClient(running.url)
  t.after(() => raw.leave())
  return { ...running, calls, valid: ada.jar.get('sid') ?? '', raw }
}

test('no Cookie header but the right one is anybody’s session, an error or a question to the store', async t => {
  const { raw, calls, valid, errors } = await aProbedApp(t)
  assert.equal((await raw.get('/read', `sid=${valid}`)).body, '{"name":"Ada"}')
  calls.length = 0
  await fc.assert(
    fc.asyncProperty(someCookieHeader(valid), async header => {
      const { status, head, body } = await raw.get('/read', header)
      assert.equal(status, 200, head)
      assert.equal(body, '{}')
      assert.doesNotMatch(head, /set-cookie/i)
      assert.deepEqual(calls, [])
    }),
    { numRuns: RUNS },
  )
  assert.deepEqual(errors, [])
  assert.equal((await raw.get('/read', `sid=${valid}`)).body, '{"name":"Ada"}')
})

test('a valid cookie among whatever else is found, or nobody’s is', async t => {
  const { raw, valid, errors } = await aProbedApp(t)
  const someJunk = fc.array(
    fc
      .tuple(someName, fc.oneof(someForgery, fc.stringMatching(/^[\w.=-]{0,60}$/)))
      .map(pair => pair.join('=')),
    { maxLength: 4 },
  )
  await fc.assert(
    fc.asyncProperty(someJunk, someJunk, async (before, after) => {
      const header = [...before, `sid=${valid}`, ...after].join('; ')
      // Four of the name are looked at, so that a thousand cost no more.
      const isReached = before.filter(pair => pair.startsWith('sid=')).length < 4
      const { status, body } = await raw.get('/read', header)
      assert.equal(status, 200)
      assert.equal(body, isReached ? '{"name":"Ada"}' : '{}')
    }),
    { numRuns: 1000 },
  )
  assert.deepEqual(errors, [])
})

test('the parser finds what was signed, and nothing else, in any header', () => {
  const secret = 'ab'.repeat(20)
  const pendingSuccessor = `0.${'cd'.repeat(16)}`
  const payload = `${secret}.${(1e12).toString(36)}.${(1e9).toString(36)}`
  const absent = { absolute: undefined, pendingSuccessor: undefined, tokens: undefined }
  const found = { secret, id: idOf(secret), issued: 1e12, maxAge: 1e9, ...absent, outdated: false }
  const [valid = '', forked = ''] = [payload, `${payload}.h-${pendingSuccessor}`].map(
    signed => `${signed}.${keys.sign(`sid=${signed}`)}`,
  )
  assert.deepEqual(presentedIn(`sid=${valid}`, 'sid', keys), found)
  assert.deepEqual(presentedIn(`sid=${forked}`, 'sid', keys), { ...found, pendingSuccessor })
  assert.equal(presentedIn(`sid=${forked.replace('cd', 'dc')}`, 'sid', keys), undefined)
  const someAnything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    someHeaderText,
    someCookieHeader(valid),
    fc
      .array(fc.constantFrom('sid', '=', ';', ' ', '.', valid.slice(0, 60), '"'), { maxLength: 60 })
      .map(all => all.join('')),
  )
  fc.assert(
    fc.property(someAnything, header => {
      if (!holdsIt(header, valid)) assert.equal(presentedIn(header, 'sid', keys), undefined)
    }),
    { numRuns: RUNS },
  )
})

/** Names and operators that attacks are made of, among any text. */
const somePart = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 150 }),
  fc.string({
    unit: fc.integer({ min: 0xd7f0, max: 0xe010 }).map(code => String.fromCharCode(code)),
    maxLength: 5,
  }),
  fc.constantFrom(
    '',
    '$set',
    '$',
    '$$NOW',
    '__proto__',
    'constructor',
    'prototype',
    '_bsontype',
    'a\0b',
    '_id',
    'then',
  ),
  fc.constantFrom(
    'toString',
    'destroy',
    'id',
    '0',
    '-1',
    '1e9',
    '01',
    'a',
    'ä',
    'a\u0308',
    '\u202e',
    ' ',
    'length',
  ),
  fc.stringMatching(/^[a-z]{1,10}$/),
)

const somePath = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.array(somePart, { maxLength: 20 }).map(parts => parts.join('.')),
  fc.array(fc.oneof(somePart, fc.nat(), fc.constantFrom(-1, 0.5, Number.NaN, 2 ** 53)), { maxLength: 20 }),
  fc.anything(),
)

test('a path is refused as a field’s error, or it names a field of ours and nothing else', () => {
  let taken = 0
  fc.assert(
    fc.property(somePath, given => {
      let path: string
      try {
        path = pathOf(given as string)
      } catch (error) {
        assert.ok(error instanceof FieldError, String(error))
        // It may be logged: no control character reaches a log by it.
        assert.ok(Array.from(error.message).every(letter => letter >= ' '))
        return
      }
      taken++
      const parts = path.split('.')
      assert.ok(parts.length <= MAX_DEPTH)
      assert.ok(isFieldName(parts[0] ?? ''))
      for (const part of parts) {
        assert.ok(part !== '' && !part.startsWith('$') && !part.includes('\0') && part.isWellFormed())
        assert.ok(!['__proto__', 'constructor', 'prototype', '_bsontype'].includes(part))
        assert.ok(Buffer.byteLength(part) <= MAX_PART_BYTES)
      }
      // The same again, since paths that were checked are remembered.
      assert.equal(pathOf(given as string), path)
      if (Array.isArray(given)) assert.deepEqual(parts, given.map(String))
      else assert.equal(given, path)
    }),
    { numRuns: RUNS },
  )
  assert.ok(taken > RUNS / 20, `${taken} of ${RUNS} were paths`)
})

const someValue = fc.anything({
  key: somePart,
  values: [
    somePart,
    fc.boolean(),
    fc.integer(),
    fc.double(),
    fc.bigInt(),
    fc.constantFrom(null, undefined, Symbol('a'), () => 1),
  ],
  maxDepth: 4,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  withNullPrototype: true,
  withBoxedValues: true,
  withObjectString: true,
})

/** Whether a value is made of nothing but what a session holds. */
function isHeld(value: unknown): boolean {
  if (value === null || typeof value === 'boolean') return true
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value === 'bigint') return BigInt.asIntN(64, value) === value
  if (value instanceof Date) return !Number.isNaN(value.getTime())
  if (Buffer.isBuffer(value)) return true
  if (Array.isArray(value)) return Array.from(value).every(isHeld)
  if (typeof value !== 'object') return false
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  return Object.entries(value).every(
    ([key, inner]) =>
      key !== '' &&
      !/^\$|[.\0]/.test(key) &&
      !['__proto__', 'constructor', 'prototype', '_bsontype'].includes(key) &&
      key.isWellFormed() &&
      isHeld(inner),
  )
}

test('a value is refused as a field’s error, or it is copied whole and of known kinds only', () => {
  let taken = 0
  fc.assert(
    fc.property(someValue, given => {
      let value: unknown
      try {
        value = literal(given, 'field')
      } catch (error) {
        assert.ok(error instanceof FieldError, String(error))
        assert.equal(error.path?.split('.')[0], 'field')
        return
      }
      taken++
      assert.ok(isHeld(value))
      if (typeof value === 'object' && value !== null) assert.notEqual(value, given)
      assert.deepEqual(literal(value, 'field'), value)
    }),
    { numRuns: RUNS },
  )
  assert.ok(taken > RUNS / 20, `${taken} of ${RUNS} were values`)
  assert.equal(Object.keys(Object.prototype).length, 0)
})
