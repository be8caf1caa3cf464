import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { format, inspect, types } from 'node:util'
import { createContext, runInContext } from 'node:vm'
import { ConfigurationError, FieldError, type SessionOptions } from '../../src/index.ts'
import { memoryStore } from '../../src/stores/memory.ts'
import { anApp, type Context, test } from '../support/frameworks.ts'

/** A request of a visitor who has a session, in which `act` is to fail nothing and to change nothing. */
async function aRequest(
  t: TestContext,
  act: (ctx: Context) => unknown,
  options: SessionOptions = {},
): Promise<void> {
  const property = options.property ?? 'session'
  const { visitor, errors, url } = await anApp(
    t,
    { store: memoryStore(), ...options },
    {
      '/before': ctx =>
        Reflect.get(ctx, property)
          .set('user', 'Ada')
          .then(() => undefined),
      '/': async ctx => {
        await act(ctx)
      },
      '/after': async ctx => ({ ...(await Reflect.get(ctx, property)()) }),
    },
  )
  assert.ok(url)
  const ada = visitor()
  await ada.get('/before')
  assert.equal((await ada.get('/')).status, 200, inspect(errors))
  assert.deepEqual((await ada.get('/after')).json, { user: 'Ada' })
}

/** What a line of a CommonJS file does that is not in strict mode. */
function sloppily(code: string, given: Record<string, unknown>): unknown {
  return runInContext(code, createContext(given))
}

function messageOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof FieldError, inspect(error))
    return error.message
  }
  return 'nothing was thrown'
}

test('a field that is read before the session is loaded throws, and says how to read it', async t => {
  await aRequest(t, ctx => {
    assert.equal(
      messageOf(() => (ctx.session as unknown as { user: string }).user),
      'ctx.session is not loaded: use `const session = await ctx.session()` and `session.user`, or ' +
        '`await ctx.session.get("user")`',
    )
    for (const code of [
      'if (!ctx.session.user) 1',
      'let { user } = ctx.session',
      'ctx.session.user?.name',
      'ctx.session["first name"]',
      'ctx.session[0]',
      'ctx.session.views++',
      'ctx.session.cart.total = 1',
      '"user" in ctx.session',
      'Object.hasOwn(ctx.session, "user")',
      'ctx.session.hasOwnProperty("user")',
      'Object.keys(ctx.session)',
      'Object.entries(ctx.session)',
      '({ ...ctx.session })',
      'for (const name in ctx.session) name',
      'ctx.session.save()',
      'ctx.session.isNew',
      'ctx.session.id',
      'ctx.session.maxAge',
    ]) {
      assert.match(
        messageOf(() => sloppily(code, { ctx })),
        /^ctx\.session is not loaded.*await ctx\.session\(\)/,
        code,
      )
    }
  })
})

test('nothing that a function has of its own answers for a field', async t => {
  await aRequest(t, ctx => {
    for (const name of ['name', 'length', 'call', 'apply', 'bind', 'prototype', 'arguments', 'caller']) {
      assert.match(
        messageOf(() => Reflect.get(ctx.session, name)),
        /not loaded/,
        name,
      )
      assert.match(
        messageOf(() => Reflect.has(ctx.session, name)),
        /not loaded/,
        name,
      )
    }
    assert.notEqual(Reflect.get(ctx.session, 'toString'), Function.prototype.toString)
    assert.notEqual(Reflect.get(ctx.session, 'constructor'), Function)
  })
})

test('what is assigned to ctx.session, deleted from it or defined on it throws, in sloppy code too', async t => {
  await aRequest(t, ctx => {
    const attempts: Record<string, string> = {
      'ctx.session.views = 1': '`ctx.session.set("views", …)`',
      'ctx.session.name = "Eve"': '`ctx.session.set("name", …)`',
      'ctx.session.length = 1': '`ctx.session.set("length", …)`',
      'ctx.session["a b"] = 1': '`ctx.session.set("a b", …)`',
      'Object.assign(ctx.session, { views: 1 })': '`ctx.session.set("views", …)`',
      'Object.defineProperty(ctx.session, "views", { value: 1 })': '`ctx.session.set("views", …)`',
      'Reflect.set(ctx.session, "views", 1)': '`ctx.session.set("views", …)`',
      'Reflect.set({ __proto__: ctx.session }, "views", 1)': '`ctx.session.set("views", …)`',
      'delete ctx.session.user': '`ctx.session.unset("user")`',
      'Reflect.deleteProperty(ctx.session, "user")': '`ctx.session.unset("user")`',
      'ctx.session.maxAge = 1000': '`ctx.session.touch(maxAge)`',
      'ctx.session.id = ""': '"id" cannot be a field: ctx.session.regenerate() gives the session a new one',
      'ctx.session.expires = new Date()': '"expires" cannot be a field: ctx.session.touch() moves it',
      'ctx.session.set = 1': '"set" cannot be a field: it is a member of every session',
      'ctx.session.$x = 1': '"$x" begins with $',
      'delete ctx.session.$x': '"$x" begins with $',
      'ctx.session[""] = 1': 'is empty',
      'ctx.session["a\\0"] = 1': 'holds a NUL',
      'ctx.session["x".repeat(200)] = 1': 'is longer than 128 bytes',
      'ctx.session["a.b"] = 1': 'No key may hold a dot, and "a.b" does',
      'delete ctx.session["a.b"]': 'No key may hold a dot, and "a.b" does',
      'delete ctx.session.set': '"set" cannot be a field',
      'ctx.session.__proto__ = {}': '"__proto__" cannot be a field',
      'ctx.session._user = 1': '"_user" cannot be a field',
      'ctx.session.toJSON = () => 1': '"toJSON" cannot be a field',
      'ctx.session[Symbol.iterator] = 1': 'symbol',
      'Object.setPrototypeOf(ctx.session, null)': 'ctx.session',
      'Object.freeze(ctx.session)': 'ctx.session',
      'Object.preventExtensions(ctx.session)': 'ctx.session',
    }
    for (const [code, way] of Object.entries(attempts)) {
      const message = messageOf(() => sloppily(code, { ctx, Object, Reflect }))
      assert.ok(message.includes(way), `${code}: ${message}`)
      if (!way.startsWith('`')) assert.doesNotMatch(message, /\.(?:un)?set\(/, code)
    }
  })
})

test('no command is advised for reading what it could not name', async t => {
  await aRequest(t, ctx => {
    for (const name of ['', 'a.b', 'a\0', 'x'.repeat(200)]) {
      const message = messageOf(() => Reflect.get(ctx.session, name))
      assert.match(message, /^ctx\.session is not loaded/)
      assert.doesNotMatch(message, /\.get\(/, name)
    }
  })
})

test('a command that is mistyped is told what it may be', async t => {
  await aRequest(t, ctx => {
    const typos = { incr: 'inc', psuh: 'push', addtoset: 'addToSet', destory: 'destroy', renam: 'rename' }
    for (const [typo, command] of Object.entries(typos)) {
      const message = messageOf(() => Reflect.get(ctx.session, typo)('a'))
      assert.match(message, /^ctx\.session is not loaded/)
      assert.ok(message.endsWith(`; did you mean "${command}"?`), message)
    }
    for (const field of ['name', 'user', 'seen', 'tags', 'views']) {
      assert.doesNotMatch(
        messageOf(() => Reflect.get(ctx.session, field)),
        /did you mean/,
        field,
      )
    }
  })
})

test('the messages name the property that the app has given, and what opens a session by its id', async t => {
  await aRequest(
    t,
    ctx => {
      const basket = Reflect.get(ctx, 'basket')
      assert.match(
        messageOf(() => basket.total),
        /^ctx\.basket is not.*await ctx\.basket\(\).*ctx\.basket\.get/,
      )
      assert.match(
        messageOf(() => sloppily('basket.total = 1', ctx)),
        /ctx\.basket\.set\("total", …\)/,
      )
      assert.throws(() => basket(() => {}), /^ConfigurationError: ctx\.basket\(\) returns a promise/)
    },
    { property: 'basket' },
  )
  const { sessions } = await anApp(t, { store: memoryStore() }, {})
  const opened = sessions.open('0'.repeat(64))
  assert.match(
    messageOf(() => Reflect.get(opened, 'total')),
    /^sessions\.open\(id\) is not loaded/,
  )
})

test('what printers, test runners, serializers and promises ask of any value passes', async t => {
  await aRequest(t, async ctx => {
    const { session } = ctx
    // Node.js 26 adds that it is a proxy.
    assert.match(inspect(session), /^(?:Proxy\()?\[Function: session\]\)?$/)
    assert.match(inspect({ session }), /^\{ session: (?:Proxy\()?\[Function: session\]\)? \}$/)
    assert.doesNotMatch(inspect(session, { showHidden: true, showProxy: true, depth: 9 }), /[0-9a-f]{40}/)
    assert.match(format('%s %o %O %j', session, session, session, session), /session/)
    assert.equal(String(session), '[object Function]')
    assert.equal(`${session}`, '[object Function]')
    assert.equal(JSON.stringify({ session, list: [session] }), '{"list":[null]}')
    assert.equal(JSON.stringify(ctx).includes('session'), false)
    assert.equal(await session, session)
    assert.equal(await Promise.resolve(session), session)
    assert.ok(session === ctx.session && typeof session === 'function' && session instanceof Function)
    assert.deepEqual([types.isPromise(session), Array.isArray(session)], [false, false])
    assert.deepEqual({ session }, { session })
    assert.notDeepEqual({ session }, { session: () => {} })
    assert.throws(() => assert.deepEqual({ session }, { session: 1 }), assert.AssertionError)
    assert.throws(() => assert.equal(session, undefined), assert.AssertionError)
    assert.throws(() => structuredClone(session), { name: 'DataCloneError' })
    // pretty-format of Jest and Vitest, their equality, mocks, chai, sinon, lodash.
    const asked = ['$$typeof', 'asymmetricMatch', 'nodeType', 'tagName', 'hasAttribute', 'toJSON', 'then']
    const immutable = ['ITERABLE', 'RECORD', 'KEYED', 'ORDERED', 'LIST'].map(
      what => `@@__IMMUTABLE_${what}__@@`,
    )
    const others = ['_isMockFunction', '__esModule', Symbol.toStringTag, Symbol.iterator, inspect.custom]
    for (const key of [...asked, ...immutable, ...others]) {
      assert.equal(Reflect.get(session, key), undefined, String(key))
      assert.equal(Reflect.has(session, key), false, String(key))
      assert.equal(Object.getOwnPropertyDescriptor(session, key), undefined, String(key))
    }
    assert.equal(typeof Reflect.get(session, 'constructor').name, 'string')
    assert.equal(Object.hasOwn(session, 'set'), false)
    assert.ok('set' in session && 'get' in session && 'hasOwnProperty' in session)
    assert.equal(Object.hasOwn(session, 'then'), false)
    assert.equal(session.valueOf(), session)
  })
})

test('a command that is taken off ctx.session says what to call it on', async t => {
  await aRequest(t, async ctx => {
    const names = [
      'get',
      'touch',
      'destroy',
      'regenerate',
      'createCSRF',
      'assertCSRF',
      'set',
      'inc',
      'if',
      'take',
    ]
    for (const name of names) {
      const command = Reflect.get(ctx.session, name) as (this: unknown, ...args: unknown[]) => unknown
      for (const self of [
        undefined,
        null,
        1,
        'ctx',
        {},
        () => {},
        Object.create(null),
        ctx,
        new Proxy({}, {}),
      ]) {
        assert.throws(() => command.call(self, 'a', 1), {
          name: 'TypeError',
          message: `Call the commands on ctx.session itself: ctx.session.${name}(…)`,
        })
      }
    }
    const { push } = ctx.session.if('user', 'Eve')
    assert.throws(() => push('list', 1), /^TypeError: Call the commands of a chain on the chain itself/)
  })
})

test('commands that are taken off a loaded session work', async t => {
  await aRequest(t, async ctx => {
    const session = await ctx.session()
    const { set, unset, get, update, touch, createCSRF, assertCSRF } = session
    assert.equal((await set('views', 1)).views, 1)
    assert.equal(await get('views'), 1)
    assert.equal(await unset.call(undefined, 'views'), session)
    assert.equal(await update(), session)
    assert.equal(await touch(), session)
    assertCSRF(createCSRF())
  })
})

test('callbacks are refused at the call, by all that returns a promise', async t => {
  await aRequest(t, async ctx => {
    const session = await ctx.session()
    const callback = () => assert.fail('it was called')
    const call = (object: object, name: string, ...args: unknown[]) =>
      Reflect.get(object, name).call(object, ...args)
    const refusal = (name: string) => ({
      name: 'ConfigurationError',
      message: `${name}() returns a promise and takes no callback: await it`,
    })
    for (const object of [ctx.session, session]) {
      for (const name of ['destroy', 'touch', 'regenerate', 'get']) {
        assert.throws(() => call(object, name, callback), refusal(name))
      }
      for (const [name, ...args] of [
        ['get', 'user'],
        ['touch', 1000],
        ['set', 'a', 1],
        ['inc', 'a', 1],
        ['pop', 'a', 1],
        ['set', { a: 1 }],
        ['inc', 'a'],
        ['unset', 'a'],
        ['push', 'a', 1],
        ['addToSet', 'a', 1],
        ['pop', 'a'],
        ['pull', 'a', 1],
        ['if', 'a', 1],
        ['destroy', undefined],
        ['once', 'a', () => 1],
        ['once', 'a', () => 1, {}],
      ]) {
        assert.throws(() => call(object, name as string, ...args, callback), refusal(name as string))
      }
    }
    assert.throws(() => call(session, 'update', callback), refusal('update'))
    for (const args of [[callback], [{ extend: false }, callback]]) {
      assert.throws(() => Reflect.apply(ctx.session, undefined, args), refusal('ctx.session'))
    }
  })
})

test('a function in the place of a value is told to be no value, not to be no callback', async t => {
  await aRequest(t, async ctx => {
    for (const object of [ctx.session, await ctx.session()]) {
      for (const name of ['set', 'push', 'addToSet', 'max', 'pull', 'if']) {
        assert.throws(() => Reflect.get(object, name).call(object, 'a', () => 1), {
          name: 'FieldError',
          message: /^The value for "a(?:\.\d)?" is function/,
        })
      }
    }
  })
})

test('arguments that a call would ignore are refused at the call', async t => {
  await aRequest(t, async ctx => {
    const session = await ctx.session()
    const refusal = (name: string, most: string, given: number) => ({
      name: 'ConfigurationError',
      message: `${name}() takes at most ${most}, and got ${given}`,
    })
    for (const object of [ctx.session, session]) {
      for (const [name, ...args] of [
        ['touch', '1h', { persistent: true }],
        ['regenerate', {}, { keep: true }],
        ['regenerate', undefined, { keep: true }],
        ['destroy', undefined, {}],
      ] as const) {
        const call = () => Reflect.apply(Reflect.get(object, name), object, args)
        assert.throws(call, refusal(name, '1 argument', 2))
      }
      const once = () => Reflect.apply(object.once, object, ['a', () => 1, {}, {}])
      assert.throws(once, refusal('once', '3 arguments', 4))
      await Reflect.apply(object.touch, object, [undefined, undefined])
    }
    const load = () => Reflect.apply(ctx.session, undefined, [{}, { extend: false }])
    assert.throws(load, refusal('ctx.session', '1 argument', 2))
  })
})

test('options of a call that there are not are refused by name', async t => {
  await aRequest(t, async ctx => {
    const session = await ctx.session()
    const refusals: [() => unknown, RegExp][] = [
      [() => Reflect.apply(ctx.session, null, [{ extends: false }]), /"extends"; did you mean "extend"\?/],
      [
        () => Reflect.apply(ctx.session, null, [{ extend: 'no' }]),
        /ctx\.session\(\{ extend \}\) takes true or false, not string/,
      ],
      [
        () => Reflect.apply(ctx.session, null, [false]),
        /ctx\.session\(\) takes options as a plain object, not boolean/,
      ],
      [() => Reflect.apply(ctx.session.destroy, ctx.session, [{}]), /destroy\(\) takes no options/],
      [() => Reflect.apply(session.destroy, session, [true]), /destroy\(\) takes no options/],
      [() => Reflect.apply(ctx.session.touch, ctx.session, [{}]), /maxAge is not a positive duration/],
      [() => Reflect.apply(session.touch, session, [{ maxAge: 1 }]), /maxAge is not a positive duration/],
    ]
    for (const [act, message] of refusals) {
      await assert.rejects(act as () => Promise<unknown>, (error: unknown) => {
        assert.ok(error instanceof ConfigurationError, inspect(error))
        assert.match(error.message, message)
        return true
      })
    }
    for (const object of [ctx.session, session]) {
      await assert.rejects(Reflect.apply(object.get, object, []), {
        code: 'SESSION_FIELD',
        message: /needs a path/,
      })
      await assert.rejects(Reflect.apply(object.get, object, [{}]), { code: 'SESSION_FIELD' })
    }
  })
})
