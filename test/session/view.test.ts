import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FieldError } from '../../src/errors.ts'
import { pathOf } from '../../src/language/paths.ts'
import { notAssignable, viewOf } from '../../src/session/view.ts'

const data = () => ({ total: 1, lines: [{ sku: 'tea' }, { sku: 'rum' }], when: new Date(0) })

function aView(): ReturnType<typeof data> {
  return viewOf(data(), 'cart') as ReturnType<typeof data>
}

test('a view shows what the data holds, and is equal to it', () => {
  const view = aView()
  assert.deepEqual(view, data())
  assert.deepEqual({ ...view }, data())
  assert.equal(JSON.stringify(view), JSON.stringify(data()))
  assert.deepEqual(Object.keys(view), Object.keys(data()))
  assert.ok('total' in view && !('other' in view))
  assert.ok(Array.isArray(view.lines))
})

test('arrays can be read by every method that reads', () => {
  const { lines } = aView()
  assert.deepEqual(
    lines.map(({ sku }) => sku),
    ['tea', 'rum'],
  )
  assert.deepEqual(
    lines.filter(({ sku }) => sku === 'tea'),
    [{ sku: 'tea' }],
  )
  assert.deepEqual([...lines].reverse(), [{ sku: 'rum' }, { sku: 'tea' }])
  assert.deepEqual(lines.slice(1), [{ sku: 'rum' }])
  assert.deepEqual(lines.concat([{ sku: 'oat' }]).length, 3)
  assert.equal(lines.length, 2)
  assert.equal(lines.at(-1)?.sku, 'rum')
  assert.deepEqual(lines.toSorted((a, b) => a.sku.localeCompare(b.sku))[0], { sku: 'rum' })
})

test('one piece of data has one view', () => {
  const held = data()
  const view = viewOf(held, 'cart') as typeof held
  assert.equal(viewOf(held, 'cart'), view)
  assert.equal(view.lines, view.lines)
  assert.equal(view.lines.indexOf(view.lines[1] as { sku: string }), 1)
})

test('changing anything throws an error that names the command and the place', () => {
  const view = aView()
  const attempts: [string, () => unknown][] = [
    ['cart.total', () => (view.total = 2)],
    ['cart.lines.0.sku', () => ((view.lines[0] as { sku: string }).sku = '')],
    ['cart.total', () => Reflect.deleteProperty(view, 'total')],
    ['cart.lines.2', () => view.lines.push({ sku: '' })],
    ['cart.other', () => Object.defineProperty(view, 'other', { value: 1 })],
    ['cart', () => Object.freeze(view)],
    ['cart', () => Object.setPrototypeOf(view, null)],
  ]
  for (const [path, attempt] of attempts) {
    assert.throws(attempt, (error: unknown) => {
      assert.ok(error instanceof FieldError)
      assert.equal(error.path, path)
      assert.match(error.message, /session\.(?:set|unset)\("cart/)
      return true
    })
  }
  assert.deepEqual(view, data())
})

test('an array that cannot grow by an assignment is told how it grows', () => {
  const view = aView()
  const attempts = [
    () => view.lines.push({ sku: '' }),
    () => (view.lines[7] = { sku: '' }),
    () => (view.lines.length = 0),
    () => view.lines.pop(),
    () => view.lines.splice(0, 1),
  ]
  for (const attempt of attempts) {
    assert.throws(attempt, {
      name: 'FieldError',
      message:
        /session\.push\("cart\.lines", …\), pop or pull, or session\.set\("cart\.lines", …\)|session\.(?:un)?set\("cart\.lines\.\d"/,
    })
  }
  assert.throws(attempts[0] as () => void, /session\.push\("cart\.lines"/)
  assert.throws(attempts[2] as () => void, /session\.push\("cart\.lines"/)
  assert.deepEqual(view, data())
})

test('what cannot be assigned is told what works, and never a command that would be refused', () => {
  const told: [string, RegExp][] = [
    ['maxAge', /^session\.maxAge is read-only: session\.touch\(maxAge\)/],
    ['expires', /^session\.expires is read-only: session\.touch\(\)/],
    ['id', /^session\.id is read-only: session\.regenerate\(\)/],
    ['created', /^session\.created is read-only: it tells when/],
    ['isNew', /^session\.isNew is read-only: it tells whether/],
    ['set', /^session\.set is read-only: it is a member/],
    ['regenerate', /^session\.regenerate is read-only: it is a member/],
    ['then', /^session\.then is read-only: it is a member/],
    ['_id', /^"_id" cannot be a field: names that begin with _/],
    ['toString', /^session\.toString is read-only: it is a member/],
    ['__proto__', /^"__proto__" cannot be a field|"__proto__" of the path "__proto__" is not allowed/],
    ['$where', /begins with \$/],
    ['', /is empty/],
    ['cart.constructor', /"constructor" of the path "cart\.constructor" is not allowed/],
    ['cart.$ne', /begins with \$/],
    ['cart.', /is empty/],
    ['cart.maxAge', /session\.(?:un)?set\("cart\.maxAge"/],
    ['name', /session\.(?:un)?set\("name"/],
  ]
  for (const [path, message] of told) {
    for (const removing of [false, true]) {
      const [key = '', above] = path.split('.').reverse()
      const error = notAssignable(key, removing, above)
      assert.ok(error instanceof FieldError)
      assert.equal(error.path, path)
      assert.match(error.message, message)
      // What is advised is taken.
      const advised = /session\.(?:un)?set\("([^"]*)"/.exec(error.message)?.[1]
      if (advised !== undefined) assert.equal(pathOf(advised), path)
    }
  }
})

test('a key with a dot is refused, and no command is advised that would write another place', () => {
  for (const above of [undefined, 'cart']) {
    for (const removing of [false, true]) {
      const error = notAssignable('a.b', removing, above)
      assert.match(error.message, /^No key may hold a dot, and "a\.b" does/)
      assert.doesNotMatch(error.message, /set\(/)
      assert.equal(error.path, above ? 'cart.a.b' : 'a.b')
    }
  }
  const view = aView() as unknown as Record<string, unknown>
  assert.throws(() => (view['a.b'] = 1), { name: 'FieldError', message: /No key may hold a dot/ })
})

test('a symbol is no name of a field', () => {
  const view = aView() as unknown as Record<symbol, unknown>
  const key = Symbol('total')
  for (const attempt of [() => (view[key] = 1), () => Reflect.deleteProperty(view, key)]) {
    assert.throws(attempt, { name: 'FieldError', message: /no symbols/, path: 'Symbol(total)' })
  }
})

test('a date is handed out as a copy', () => {
  const view = aView()
  view.when.setFullYear(1999)
  assert.equal(view.when.getTime(), 0)
  assert.ok(view.when instanceof Date)
})

test('keys that could act are not shown', () => {
  const view = viewOf(
    JSON.parse('{"__proto__":{"isAdmin":true},"constructor":{"x":1},"a":1}'),
    'cart',
  ) as Record<string, unknown>
  assert.equal(view.isAdmin, undefined)
  assert.equal(Object.getPrototypeOf(view), Object.prototype)
  assert.equal(JSON.stringify({ ...view, constructor: undefined }), '{"a":1}')
})

test('what is no container is handed out as it is', () => {
  for (const value of [1, 'a', null, undefined, true]) assert.equal(viewOf(value, 'a'), value)
})
