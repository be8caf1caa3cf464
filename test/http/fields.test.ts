import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { inspect, types } from 'node:util'
import { receiveMessageOnPort } from 'node:worker_threads'
import { FieldError, type SessionHandle } from '../../src/index.ts'
import { anApp, type Handler, onEachStore, test } from '../support/frameworks.ts'
import { lifecycle } from '../support/lifecycle.ts'
import { aCollection, withoutMongoDB } from '../support/mongodb/collection.ts'
import type { Watched } from '../support/watchedstore.ts'

const before = {
  name: 'Ada',
  list: [1, 2, 3],
  cart: { total: 1, lines: [{ sku: 'tea', qty: 1 }] },
  when: new Date(0),
}

/** A session with the fields above; the handler must leave both it and the store alone. */
async function aVisit(t: TestContext, watched: Watched, handler: Handler) {
  const { visitor, errors } = await anApp(
    t,
    { store: watched.store },
    {
      '/before': ctx => ctx.session.set(before).then(() => undefined),
      '/': handler,
    },
  )
  const ada = visitor()
  await ada.get('/before')
  watched.calls.length = 0
  const answer = await ada.get('/')
  return { answer, errors, fields: async () => (await watched.records())[0]?.fields }
}

type AnyArguments = (...args: unknown[]) => PromiseLike<unknown>

/** Each command that takes a path, with what else it needs. */
function eachCommandOn(session: SessionHandle, path: unknown): [string, () => unknown][] {
  const call = (name: keyof SessionHandle, ...args: unknown[]) => (session[name] as AnyArguments)(...args)
  return [
    ['set', () => call('set', path, 1)],
    ['unset', () => call('unset', path)],
    ['rename', () => call('rename', path, 'other')],
    ['rename to', () => call('rename', 'name', path)],
    ['inc', () => call('inc', path)],
    ['push', () => call('push', path, 1)],
    ['pushAll', () => call('pushAll', path, [1])],
    ['pull', () => call('pull', path, 1)],
    ['pullAll', () => call('pullAll', path, [1])],
    ['addToSet', () => call('addToSet', path, 1)],
    ['pop', () => call('pop', path)],
  ]
}

const operators = ['$set', 'a.$', 'a.$[]', 'a.$[x]', '$where', 'a.$each', '$', 'cart.$inc.x']
const prototypes = [
  '__proto__',
  'constructor',
  'prototype',
  'cart.__proto__.x',
  'cart.constructor',
  'cart.prototype',
]
const malformed = [
  '',
  '.',
  'a..b',
  '.a',
  'a.',
  'a\0b',
  'cart.\ud800',
  'x'.repeat(129),
  'é'.repeat(65),
  `a${'.a'.repeat(16)}`,
]
const reserved = [
  ...[
    '_id',
    '_expires',
    '_',
    'id',
    'isNew',
    'created',
    'expires',
    'maxAge',
    'then',
    'set',
    'unset',
    'update',
  ],
  ...[
    'destroy',
    'regenerate',
    'touch',
    'createCSRF',
    'assertCSRF',
    'get',
    'push',
    'inc',
    'toString',
    'valueOf',
  ],
  ...['hasOwnProperty', 'toLocaleString', 'isPrototypeOf', 'then.a', 'id.b'],
]
const notPaths = [
  undefined,
  null,
  5,
  true,
  {},
  [],
  ['a', ''],
  ['a', 'b.c'],
  ['a', -1],
  ['a', 1.5],
  ['$a'],
  [['a']],
]

for (const [what, paths] of Object.entries({
  'an operator in a path': operators,
  'a prototype in a path': prototypes,
  'a malformed path': malformed,
  'a reserved name': reserved,
  'what is no path': notPaths,
})) {
  onEachStore(
    `${what} is refused by every command, naming it, before anything is sent`,
    async (t, watched) => {
      const { errors, fields } = await aVisit(t, watched, ctx => {
        for (const path of paths) {
          // A path as the only argument of set() may also be an object of fields; here it never is.
          for (const [command, run] of eachCommandOn(ctx.session, path)) {
            if (command === 'set' && typeof path === 'object' && path !== null && !Array.isArray(path))
              continue
            assert.throws(
              run,
              (error: unknown) => {
                assert.ok(error instanceof FieldError, `${command} ${inspect(path)}: ${inspect(error)}`)
                assert.equal(error.code, 'SESSION_FIELD')
                if (typeof path === 'string') assert.equal(error.path, path)
                assert.ok(error.message.length < 400)
                return true
              },
              `${command} ${inspect(path)}`,
            )
          }
        }
      })
      assert.deepEqual(errors, [])
      assert.deepEqual(watched.calls, [])
      assert.deepEqual(await fields(), before)
      assert.equal(Reflect.get({}, 'x'), undefined)
    },
  )
}

onEachStore('an app that does not handle a bad path answers 500 and changes nothing', async (t, watched) => {
  const { answer, fields } = await aVisit(t, watched, async ctx => {
    await ctx.session.set('ok', 1).set('$where', 1)
  })
  assert.equal(answer.status, 500)
  assert.equal(answer.text, 'Internal Server Error')
  assert.deepEqual(await fields(), before)
})

class Custom {
  a = 1
}

onEachStore('a value that would not come back as it went in is refused', async (t, watched) => {
  const circle: Record<string, unknown> = {}
  circle.self = circle
  let deep: unknown = 1
  for (let level = 0; level < 70; level++) deep = [deep]
  const values: unknown[] = [
    undefined,
    () => {},
    Symbol('s'),
    Number.NaN,
    Infinity,
    -Infinity,
    new Date(Number.NaN),
    2n ** 63n,
    2n ** 70n,
    new Map(),
    new Set([1]),
    /a/,
    new Custom(),
    new Error('e'),
    Promise.resolve(),
    'a\ud800b',
    // biome-ignore lint/suspicious/noSparseArray: a hole is the point
    [1, , 3],
    circle,
    deep,
    { $gt: 0 },
    { $ref: 'a', $id: 1 },
    { 'a.b': 1 },
    { '': 1 },
    { 'a\0': 1 },
    { _bsontype: 'ObjectId' },
    JSON.parse('{"__proto__":{"isAdmin":true}}'),
    { constructor: 1 },
    { prototype: 1 },
    { [Symbol('s')]: 1 },
    { ['x'.repeat(129)]: 1 },
    new WeakMap(),
    Object.create({ a: 1 }, {}),
  ]
  const { errors, fields } = await aVisit(t, watched, ctx => {
    const session = ctx.session as unknown as Record<string, AnyArguments>
    for (const value of values) {
      for (const nested of [value, [value], { a: value }, { a: [{ b: value }] }]) {
        const shown = inspect(nested, { depth: 3, breakLength: 200 }).slice(0, 200)
        for (const command of ['set', 'push', 'addToSet', 'pull'] as const) {
          assert.throws(
            () => session[command]?.('list', nested),
            (error: unknown) => error instanceof FieldError && String(error.path).startsWith('list'),
            `${command} ${shown}`,
          )
        }
        for (const command of ['pushAll', 'pullAll'] as const) {
          assert.throws(() => session[command]?.('list', [nested]), FieldError, `${command} ${shown}`)
        }
      }
    }
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(watched.calls, [])
  assert.deepEqual(await fields(), before)
})

onEachStore('arguments of the wrong kind are refused', async (t, watched) => {
  const { errors } = await aVisit(t, watched, ctx => {
    const session = ctx.session as unknown as Record<string, AnyArguments>
    const wrong: [string, unknown[]][] = [
      ['set', ['name']],
      ['set', []],
      ['unset', []],
      ['inc', ['name', '1']],
      ['inc', ['name', null]],
      ['inc', ['name', { $inc: 1 }]],
      ['inc', ['name', Number.NaN]],
      ['pushAll', ['list', 1]],
      ['pushAll', ['list', 'abc']],
      ['pushAll', ['list', { length: 1 }]],
      ['pullAll', ['list', new Set([1])]],
      ['pop', ['list', 2]],
      ['pop', ['list', '1']],
      ['pull', ['list']],
      ['pull', ['list', '>>', 1]],
      ['addToSet', ['list']],
      ['push', ['list', 1, { $slice: 0 }]],
      ['push', ['list', 1, { slice: '1' }]],
      ['push', ['list', 1, 5]],
    ]
    for (const [command, args] of wrong) {
      assert.throws(() => session[command]?.(...args), FieldError, `${command} ${inspect(args)}`)
    }
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(watched.calls, [])
})

onEachStore('an argument is a literal, whatever it looks like', async (t, watched) => {
  const { errors, fields } = await aVisit(t, watched, async ctx => {
    await ctx.session.pull('list', { gt: 0 })
    await ctx.session.push('list', { each: [9], slice: 0 })
    await ctx.session.pull('cart.lines', { sku: 'tea' })
    await ctx.session.addToSet('list', [7, 8])
    await ctx.session.set(['prefs', 'where'], { in: [1] })
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(await fields(), {
    ...before,
    list: [1, 2, 3, { each: [9], slice: 0 }, [7, 8]],
    prefs: { where: { in: [1] } },
  })
})

onEachStore('a dot is structure in a string and refused in a part', async (t, watched) => {
  const { errors, fields } = await aVisit(t, watched, async ctx => {
    const fromAVisitor: string = 'a.b'
    assert.throws(() => ctx.session.set(['prefs', fromAVisitor], 1), FieldError)
    await ctx.session.set('prefs.a.b', 1)
    await ctx.session.set(['prefs', 'c'], 2)
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(await fields(), { ...before, prefs: { a: { b: 1 }, c: 2 } })
})

onEachStore('an array is never filled up with nulls', async (t, watched) => {
  const { errors, fields } = await aVisit(t, watched, async ctx => {
    for (const path of ['list.3', 'list.1000000', 'cart.lines.5.sku']) {
      await assert.rejects(async () => ctx.session.set(path, 1), { code: 'SESSION_COMMAND' }, String(path))
    }
    await assert.rejects(async () => ctx.session.set(['list', 1e6], 1), { code: 'SESSION_COMMAND' })
    await ctx.session.set(['list', 0], 'first')
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(await fields(), { ...before, list: ['first', 2, 3] })
})

onEachStore('two changes of one place in a chain are refused', async (t, watched) => {
  const { errors } = await aVisit(t, watched, ctx => {
    const { session } = ctx
    const clashes = [
      () => session.set('cart', {}).set('cart.total', 1),
      () => session.set('cart.total', 1).unset('cart'),
      () => session.set('n', 1).inc('n'),
      () => session.rename('name', 'name'),
      () => session.rename('cart', 'cart.total'),
      () => session.rename('cart.total', 'cart'),
      () => session.rename('name', 'other').set('other', 1),
      () => session.push('list', 1).pull('list', 2),
      () => session.set({ cart: {}, 'cart.total': 1 }),
    ]
    for (const clash of clashes) assert.throws(clash, FieldError, String(clash))
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(watched.calls, [])
})

onEachStore('values come back as they went in', async (t, watched) => {
  const values: Record<string, unknown> = {
    zero: 0,
    minus: -1.5,
    empty: '',
    no: false,
    nothing: null,
    list: [],
    nested: [[], {}, [null]],
    object: {},
    text: 'ünï \u{1F600} \n',
    nfc: '\u00e9',
    nfd: 'e\u0301',
    large: 'x'.repeat(100_000),
    when: new Date(1_234_567_890_123),
    integer: 2 ** 53,
  }
  let read: Record<string, unknown> = {}
  const { visitor } = await anApp(
    t,
    { store: watched.store },
    {
      '/write': ctx => ctx.session.set(values).then(() => undefined),
      '/read': async ctx => {
        const session = await ctx.session()
        read = { ...session }
        assert.deepEqual(await ctx.session.get('nested.1', 'zero'), [{}, 0])
      },
    },
  )
  const ada = visitor()
  const length = (await ada.get('/write')).setCookies[0]?.length ?? 0
  assert.ok(length < 250)
  assert.equal((await ada.get('/read')).status, 200)
  assert.deepEqual(read, values)
  assert.ok(read.when instanceof Date)
})

onEachStore('assigning to a field throws an error that names the command to use', async (t, watched) => {
  const { errors, fields } = await aVisit(t, watched, async ctx => {
    const session = (await ctx.session()) as unknown as typeof before & Record<string, unknown>
    const line = session.cart.lines[0] as { qty: number }
    const attempts: [RegExp, () => unknown][] = [
      [/set\("name"/, () => (session.name = 'Eve')],
      [/set\("other"/, () => (session.other = 1)],
      [/set\("cart\.total"/, () => (session.cart.total = 2)],
      [/set\("cart\.lines\.0\.qty"/, () => (line.qty = 5)],
      [/set\("list\.0"/, () => (session.list[0] = 5)],
      [/unset\("name"/, () => Reflect.deleteProperty(session, 'name')],
      [/unset\("cart\.total"/, () => Reflect.deleteProperty(session.cart, 'total')],
      [/"name"/, () => Object.defineProperty(session, 'name', { value: 1 })],
      [/"cart\.total"/, () => Object.defineProperty(session.cart, 'total', { value: 1 })],
      [/list/, () => session.list.push(4)],
      [/list/, () => session.list.pop()],
      [/list/, () => session.list.sort((a, b) => b - a)],
      [/list/, () => session.list.splice(0, 1)],
      [/list/, () => (session.list.length = 0)],
      [/list/, () => session.list.reverse()],
      [/"name"/, () => Object.assign(session, { name: 'Eve' })],
      [/set\("destroy"|read-only/, () => (session.destroy = 1)],
      [/set\("id"|read-only/, () => (session.id = 1)],
      [/./, () => Object.setPrototypeOf(session, null)],
      [/./, () => Object.setPrototypeOf(session.cart, null)],
      [/./, () => Object.freeze(session)],
      [/./, () => Object.freeze(session.cart)],
    ]
    for (const [message, attempt] of attempts) {
      assert.throws(
        attempt,
        (error: unknown) => error instanceof FieldError && message.test(error.message),
        String(attempt),
      )
    }
    assert.equal(session.name, 'Ada')
    assert.deepEqual([...session.list], [1, 2, 3])
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(await fields(), before)
})

onEachStore('assigning throws in sloppy code too', async (t, watched) => {
  const { errors, fields } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    const sloppy = [
      "session.name = 'Eve'",
      'session.other = 1',
      'session.cart.total = 2',
      'session.cart.lines[0].qty = 2',
      'session.list[9] = 2',
      'delete session.name',
      'delete session.cart.lines[0]',
      'session.list.push(4)',
    ]
    for (const code of sloppy) {
      assert.throws(() => new Function('session', code)(session), FieldError, code)
    }
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(await fields(), before)
})

onEachStore('a date that was read may be changed without changing the session', async (t, watched) => {
  const { errors, fields } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    session.when.setFullYear(1999)
    session.created.setFullYear(1999)
    session.expires.setFullYear(1999)
    assert.ok(session.expires > new Date())
    assert.equal(session.when.getTime(), 0)
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(await fields(), before)
})

onEachStore('a loaded session’s own enumerable properties are exactly its fields', async (t, watched) => {
  const { answer, errors } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    // As MongoDB stores what one command sets.
    const names = ['cart', 'list', 'name', 'when']
    assert.deepEqual(Object.keys(session), names)
    assert.deepEqual(Reflect.ownKeys(session), names)
    assert.deepEqual({ ...session }, before)
    assert.deepEqual(Object.fromEntries(Object.entries(session)), before)
    const seen = []
    for (const name in session) seen.push(name)
    assert.deepEqual(seen, names)
    assert.deepEqual(JSON.parse(JSON.stringify(session)), JSON.parse(JSON.stringify(before)))
    assert.deepEqual(structuredClone({ name: session.name }), { name: 'Ada' })
    assert.ok('name' in session && !('other' in session))
    assert.ok(Object.hasOwn(session, 'name') && !Object.hasOwn(session, 'destroy'))
    assert.deepEqual(
      session.list.map((n: number) => n * 2),
      [2, 4, 6],
    )
    assert.ok(Array.isArray(session.list))
    assert.deepEqual([...session.list].concat(4), [1, 2, 3, 4])
    await session.unset('list').set('name', 'Eve')
    assert.deepEqual(Object.keys(session).sort(), ['cart', 'name', 'when'])
    return session
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(
    answer.json,
    JSON.parse(JSON.stringify({ name: 'Eve', cart: before.cart, when: before.when })),
  )
})

onEachStore('toJSON() gives the fields as plain data, which is the caller’s own', async (t, watched) => {
  const { errors, fields } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    assert.throws(() => structuredClone(session.cart), { name: 'DataCloneError' })
    const data = session.toJSON() as typeof before
    assert.deepEqual(data, before)
    assert.deepEqual(structuredClone(data), before)
    const { port1, port2 } = new MessageChannel()
    port1.postMessage(data)
    assert.deepEqual(receiveMessageOnPort(port2), { message: before })
    port1.close()
    const inner = [data, data.cart, data.cart.lines, data.cart.lines[0], data.list, data.when]
    for (const object of inner) assert.ok(!types.isProxy(object))
    Object.assign(data.cart.lines[0] ?? {}, { qty: 5 })
    data.list.push(4)
    data.when.setTime(1)
    data.name = 'Eve'
    assert.deepEqual({ ...session }, before)
    assert.deepEqual(session.toJSON(), before)
    const { toJSON } = session
    assert.deepEqual(toJSON(), before)
    // @ts-expect-error: the compiler refuses it too
    assert.throws(() => ctx.session.set('toJSON', 1), FieldError)
    assert.equal(JSON.stringify(session), JSON.stringify({ ...session }))
  })
  assert.deepEqual(errors, [])
  assert.deepEqual(await fields(), before)
})

onEachStore('an older picture is left alone by what comes after it', async (t, watched) => {
  const { answer } = await aVisit(t, watched, async ctx => {
    const session = await ctx.session()
    const cart = session.cart
    const copy = { ...session }
    await session.set('cart.total', 2).push('list', 4)
    return [cart.total, copy.list, session.cart.total, session.list]
  })
  assert.deepEqual(answer.json, [1, [1, 2, 3], 2, [1, 2, 3, 4]])
})

test('a __proto__ that somebody has stored does nothing', { skip: withoutMongoDB }, async t => {
  const collection = aCollection<{ _id: string }>(t)
  const { sessions, visitor } = await anApp(
    t,
    {},
    {
      '/write': ctx => ctx.session.set({ name: 'Ada', cart: { total: 1 } }).then(() => undefined),
      '/read': async ctx => {
        const session = await ctx.session()
        assert.equal(session.isAdmin, undefined)
        assert.equal(session.cart.isAdmin, undefined)
        assert.equal(({ ...session } as Record<string, unknown>).isAdmin, undefined)
        assert.equal(({ ...session.cart } as Record<string, unknown>).isAdmin, undefined)
        assert.equal(Reflect.get({}, 'isAdmin'), undefined)
        const cart = (await ctx.session.get('cart')) as Record<string, unknown>
        assert.equal(cart.isAdmin, undefined)
        const touched = await ctx.session.set('cart.total', 2)
        assert.equal(Reflect.get(touched, 'isAdmin'), undefined)
        assert.equal(typeof session.destroy, 'function')
        return session
      },
      '/get': async ctx => {
        const cart = (await ctx.session.get('cart')) as Record<string, unknown>
        assert.equal(cart.isAdmin, undefined)
        return cart
      },
    },
  )
  sessions.collection = collection
  const ada = visitor()
  await ada.get('/write')
  const poison = JSON.parse(
    '{"__proto__":{"isAdmin":true},"constructor":{"isAdmin":true},"destroy":1,"_id":5}',
  )
  const [document] = await collection.find().toArray()
  // As a new document, because the driver's own update would take the key apart.
  await collection.deleteMany({})
  const data = { name: 'Ada', cart: JSON.parse('{"__proto__":{"isAdmin":true},"total":1}'), ...{} }
  for (const key of Object.keys(poison)) {
    Object.defineProperty(data, key, { value: poison[key], enumerable: true, configurable: true })
  }
  await collection.insertOne({ ...document, data } as never)

  assert.deepEqual((await ada.get('/get')).json, { total: 1 })
  const { status, json } = await ada.get('/read')
  assert.equal(status, 200)
  assert.deepEqual(json, { name: 'Ada', cart: { total: 2 } })
})

test('a record that is not of our shape makes its visitor anonymous and harms nobody else', {
  skip: withoutMongoDB,
}, async t => {
  const collection = aCollection<{ _id: string }>(t)
  const { sessions, visitor } = await anApp(
    t,
    {},
    {
      '/write': ctx => ctx.session.set('name', 'Ada').then(() => undefined),
      '/read-twice': async ctx => {
        await ctx.session.get('name')
        return { ...(await ctx.session()) }
      },
    },
  )
  sessions.collection = collection
  const eve = visitor()
  await eve.get('/write')
  const events = lifecycle(t)
  const wrong: object[] = [
    { v: 1 },
    { v: 3 },
    { v: '2' },
    { v: null },
    { expires: 'tomorrow' },
    { expires: null },
    { expires: 4e12 },
  ]
  for (const $set of wrong) {
    const ada = visitor()
    const known = (await collection.find().toArray()).map(({ _id }) => _id)
    await ada.get('/write')
    await collection.updateOne({ _id: { $nin: known } }, { $set })
    const before = await collection.find({ _id: { $nin: known } }).toArray()
    events.length = 0
    const { status, json } = await ada.get('/read-twice')
    assert.equal(status, 200, JSON.stringify($set))
    assert.deepEqual(json, {}, JSON.stringify($set))
    assert.deepEqual(events, [{ type: 'unknown id', id: before[0]?._id }])
    await ada.get('/write')
    assert.deepEqual((await ada.get('/read-twice')).json, { name: 'Ada' })
    assert.deepEqual(await collection.findOne({ _id: before[0]?._id ?? '' }), before[0])
  }
  assert.deepEqual((await eve.get('/read-twice')).json, { name: 'Ada' })
})
