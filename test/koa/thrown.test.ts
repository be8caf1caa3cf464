import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp } from '../support/app.ts'

interface Thrown {
  readonly error: unknown
  readonly status: number
  /** What the visitor may read. */
  readonly text?: string
  /** Whether the app's `error` event has the very thing that was thrown. */
  readonly isItself: boolean
}

const teapot = { status: 418, expose: true }

function anError(properties: object = teapot): Error {
  return Object.assign(new Error('A teapot'), properties)
}

class ReadOnly extends Error {
  get status(): number {
    return 418
  }
}

/** A proxy of an error, one of whose traps throws. */
function aProxyThatThrows(trap: 'get' | 'set' | 'has' | 'getPrototypeOf' | 'isExtensible'): unknown {
  return new Proxy(anError(), {
    [trap]() {
      throw new Error('Nobody may touch this')
    },
  })
}

const headersOf = (error: Error, descriptor: PropertyDescriptor) =>
  Object.defineProperty(error, 'headers', descriptor)

const things: Record<string, Thrown> = {
  'a plain error': { error: anError(), status: 418, text: 'A teapot', isItself: true },
  'a sealed error': { error: Object.seal(anError()), status: 418, text: 'A teapot', isItself: true },
  'a frozen error': { error: Object.freeze(anError()), status: 418, text: 'A teapot', isItself: false },
  'a sealed error without a status': { error: Object.seal(anError({})), status: 500, isItself: false },
  'a frozen error without a status': { error: Object.freeze(anError({})), status: 500, isItself: false },
  'an error that takes no more': {
    error: Object.preventExtensions(anError({})),
    status: 500,
    isItself: false,
  },
  'an error whose status is only read': { error: new ReadOnly('x'), status: 418, isItself: false },
  'an error whose headers are fixed': {
    error: headersOf(anError(), { value: { 'X-Reason': 'because' } }),
    status: 418,
    isItself: true,
  },
  'an error whose headers are computed': {
    error: headersOf(anError(), { get: () => ({ 'X-Reason': 'because' }) }),
    status: 418,
    isItself: true,
  },
  'an error whose headers cannot be read': {
    error: headersOf(anError(), {
      get() {
        throw new Error('no headers')
      },
    }),
    status: 500,
    isItself: false,
  },
  'a text': { error: 'A teapot', status: 500, isItself: false },
  'a number': { error: 418, status: 500, isItself: false },
  'a bigint': { error: 418n, status: 500, isItself: false },
  'a symbol': { error: Symbol('teapot'), status: 500, isItself: false },
  null: { error: null, status: 500, isItself: false },
  nothing: { error: undefined, status: 500, isItself: false },
  'an object that cannot be written out': { error: { n: 1n }, status: 500, isItself: false },
  'a frozen object': { error: Object.freeze({ status: 418 }), status: 500, isItself: false },
  'a proxy': { error: new Proxy(anError(), {}), status: 418, isItself: true },
  'a proxy that cannot be read': { error: aProxyThatThrows('get'), status: 500, isItself: false },
  'a proxy that cannot be written to': { error: aProxyThatThrows('set'), status: 500, isItself: false },
  'a proxy that hides its kind': { error: aProxyThatThrows('getPrototypeOf'), status: 500, isItself: false },
  'a proxy that hides its state': { error: aProxyThatThrows('isExtensible'), status: 500, isItself: false },
  'an error of another realm': {
    error: Object.assign(runInNewContext('new Error("A teapot")'), teapot),
    status: 418,
    text: 'A teapot',
    isItself: true,
  },
  'an error that would keep the visitor waiting': {
    error: anError({ status: 101, expose: true }),
    status: 500,
    text: 'Internal Server Error',
    isItself: false,
  },
  'a type error of another realm': {
    error: runInNewContext('new TypeError("x")'),
    status: 500,
    isItself: true,
  },
  'a frozen error of another realm': {
    error: runInNewContext(
      'Object.freeze(Object.assign(new Error("A teapot"), { status: 418, expose: true }))',
    ),
    status: 418,
    text: 'A teapot',
    isItself: false,
  },
}

test('whatever is thrown, the answer has the cookie of what was stored', async t => {
  const { visitor, errors } = await anApp(
    t,
    { store: memoryStore() },
    {
      '/': async ctx => {
        await ctx.session.set('name', 'Ada')
        throw things[String(ctx.query.what)]?.error
      },
      '/read': async ctx => ({ ...(await ctx.session()) }),
    },
  )
  for (const [what, { error, status, text, isItself }] of Object.entries(things)) {
    const ada = visitor()
    const answer = await ada.get(`/?what=${encodeURIComponent(what)}`)
    assert.equal(answer.status, status, what)
    if (text) assert.equal(answer.text, text, what)
    assert.equal(answer.setCookies.length, 1, what)
    assert.equal(answer.headers['cache-control'], 'no-store', what)
    assert.deepEqual((await ada.get('/read')).json, { name: 'Ada' }, what)
    const [told, ...others] = errors.splice(0)
    assert.equal(told === error, isItself, what)
    if (!isItself && typeof error === 'object' && error && told instanceof Error && told.cause)
      assert.equal(told.cause, error, what)
    assert.deepEqual(others, [], what)
  }
})

const withHeaders = (headers: object) => anError({ status: 503, headers })

/** What Koa reports, and then fails to answer. */
const unanswered: Record<string, Error> = {
  'a message that is an object': anError({ status: 422, expose: true, message: { email: 'is missing' } }),
  'a message that is a number': anError({ ...teapot, message: 5 }),
  'a message that is null': anError({ ...teapot, message: null }),
  'no message': anError({ ...teapot, message: undefined }),
  'a header without a value': withHeaders({ 'Retry-After': undefined }),
  'a header without a value, and a status by its other name': anError({
    statusCode: 503,
    headers: { 'Retry-After': undefined },
  }),
  'a header of two lines': withHeaders({ 'X-Reason': 'be\ncause' }),
  'a header that is not Latin': withHeaders({ 'X-Reason': '✓' }),
  'a header whose name is not valid': withHeaders({ 'X Reason': 'because' }),
  'a header that is a symbol': withHeaders({ 'X-Reason': Symbol('because') }),
  'a header that is no text': withHeaders({ 'X-Reason': Object.create(null) }),
  'a header that cannot be read': withHeaders({
    get 'X-Reason'() {
      throw new Error('Nobody may read this')
    },
  }),
  'a header that announces trailers': withHeaders({ Trailer: 'X-Reason' }),
  'a proxy that refuses a status': new Proxy(anError({}), { set: () => false }),
  'a proxy whose status cannot be set': new Proxy(anError({}), {
    set() {
      throw new Error('Nobody may set this')
    },
  }),
}

/** Koa 2 makes text of any value of a header, and so answers these. */
const answeredByKoa2 = /^a header (?:without a value|that is a symbol)/
const isKoa2 = createRequire(import.meta.url)('koa/package.json').version.startsWith('2.')

test('an error that Koa fails to answer is answered with its status, and with the cookie of what was stored', async t => {
  const { visitor, errors } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session.set('name', 'Ada')
    throw unanswered[String(ctx.query.what)]
  })
  for (const [what, error] of Object.entries(unanswered)) {
    const { statusCode = 500, status = statusCode } = error as { status?: number; statusCode?: number }
    const answer = await visitor().get(`/?what=${encodeURIComponent(what)}`)
    assert.equal(answer.status, status, what)
    assert.equal(answer.text, STATUS_CODES[status], what)
    assert.equal(answer.setCookies.length, 1, what)
    assert.equal(answer.headers['cache-control'], 'no-store', what)
    const [told, other, ...more] = errors.splice(0)
    assert.equal(told, error, what)
    if (isKoa2 && answeredByKoa2.test(what)) {
      assert.equal(other, undefined, what)
      continue
    }
    assert.match((other as Error).message, /^Koa could not answer the error of this request: ./, what)
    assert.equal((other as Error).cause, error, what)
    assert.deepEqual(more, [], what)
  }
})

test('an error that Koa’s own listener cannot write down is answered with the cookie', async t => {
  const errors = t.mock.method(console, 'error', () => {})
  const { visitor, app } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session.set('name', 'Ada')
    throw anError({ status: 503, stack: {} })
  })
  app.removeAllListeners('error').on('error', app.onerror)
  const { status, setCookies } = await visitor().get('/')
  assert.equal(status, 503)
  assert.equal(setCookies.length, 1)
  assert.match(String(errors.mock.calls[0]?.arguments[0]), /Koa could not answer the error of this request/)
})

test('a listener that throws does not keep the visitor from the answer and the cookie', async t => {
  const { visitor, app, errors } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session.set('name', 'Ada')
    ctx.throw(409, 'taken')
  })
  app.once('error', () => {
    throw new Error('The log is full')
  })
  const { status, setCookies } = await visitor().get('/')
  assert.equal(status, 409)
  assert.equal(setCookies.length, 1)
  assert.deepEqual(
    errors.map(told => (told as Error).message),
    ['taken', 'Koa could not answer the error of this request: The log is full'],
  )
})

test('a call that nobody awaited may fail with any error, and the answer has the cookie', async t => {
  const error = Object.freeze(anError())
  const { visitor, errors } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session.set('name', 'Ada')
    ctx.session.once('token', () => {
      throw error
    })
  })
  const { status, text, setCookies } = await visitor().get('/')
  assert.equal(status, 418)
  assert.equal(text, 'A teapot')
  assert.equal(setCookies.length, 1)
  assert.deepEqual(
    errors.map(told => (told as Error).cause),
    [error],
  )
})

test('an error’s own headers are sent, and it is left as it was', async t => {
  const error = headersOf(anError(), { value: Object.freeze({ 'X-Reason': 'because' }) })
  const before = Object.getOwnPropertyDescriptors(error)
  const { visitor } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session.set('name', 'Ada')
    throw error
  })
  const { headers, setCookies } = await visitor().get('/')
  assert.equal(headers['x-reason'], 'because')
  assert.equal(setCookies.length, 1)
  assert.deepEqual(Object.getOwnPropertyDescriptors(error), before)
})

test('an error that takes nothing more does no harm once the response has begun', async t => {
  const thrown = [Object.seal(anError()), Object.freeze(anError())]
  const { visitor, errors } = await anApp(t, { store: memoryStore() }, async ctx => {
    await ctx.session.set('name', 'Ada')
    ctx.respond = false
    ctx.res.write('begun ')
    // Koa answers no more, so this does.
    setImmediate(() => ctx.res.end('and ended'))
    throw thrown.pop()
  })
  for (let times = thrown.length; times > 0; times--) {
    const { text, setCookies } = await visitor().get('/')
    assert.equal(text, 'begun and ended')
    assert.equal(setCookies.length, 1)
  }
  assert.deepEqual(
    errors.map(error => (error as Error).message),
    ['A teapot', 'A teapot'],
  )
})
