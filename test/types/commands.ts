import type { Int64 } from '../../src/language/types/values.ts'
import type { LoadedSession } from '../../src/session/types.ts'
import { handle, index, is, type Line, type Shop, session, text } from './shop.ts'

type ReadLine = {
  readonly sku: string
  readonly qty: number
  readonly gift?: { readonly text: string }
  readonly labels: readonly string[]
}

declare const line: Line

export async function set() {
  is<{ views: number }>()(await handle.set('views', 1))
  is<{ cart: { total: number } }>()(await handle.set('cart.total', 1))
  is<{ prefs: { [x: string]: string } }>()(await handle.set(['prefs', text], 'dark'))
  is<{ counts: { tea: { total: number } } }>()(await handle.set('counts.tea.total', 1))
  is<{ name: string }>()(await handle.set('name', 'Ada'))
  handle.set('user_id', null)
  handle.set('role', 'admin')
  handle.set('cart', { lines: [], total: 0 })
  handle.set('cart.lines', [line] as const)
  handle.set(`cart.lines.${index}.qty`, 1)
  handle.set('pair', ['a', 1])
  handle.set('pair.1', 2)
  handle.set('json', { a: [1, 'b', null] })
  handle.set('json.a.0', 'b')
  handle.set('anything', { a: 1 })
  handle.set('tags.0', 'a').set('tags.10', 'a')
  // @ts-expect-error: with a zero before it, a number is no index
  handle.set('tags.01', 'a')
  // @ts-expect-error: there is no element before the first
  handle.set('tags.-1', 'a')
  handle.set('key', new Uint8Array(4))
  handle.set('binary', new Uint8Array(4))
  handle.set('long', 5n)
  handle.set('deep.a.b.c.d.e', 1)
  handle.set('payment', { kind: 'bill', days: 30 })
  handle.set('payment.last4', '1234')
  // What was read may be written.
  if (session.cart) session.set('cart', session.cart)
  if (session.key) session.set('key', session.key)
  if (session.big) session.set('big', 1n)
  // @ts-expect-error: not a number
  handle.set('views', '1')
  // @ts-expect-error: no such field
  handle.set('view', 1)
  // @ts-expect-error: no such path
  handle.set('cart.totl', 1)
  // @ts-expect-error: one of two words
  handle.set('role', 'root')
  // @ts-expect-error: a session cannot hold undefined
  handle.set('name', undefined)
  // @ts-expect-error: nor in an object
  handle.set('cart', { lines: [], total: 0, note: undefined })
  // @ts-expect-error: total is missing
  handle.set('cart', { lines: [] })
  // @ts-expect-error: too much
  handle.set('cart', { lines: [], total: 0, tax: 1 })
  // @ts-expect-error: a value is needed
  handle.set('views')
  // @ts-expect-error: a date has no paths
  handle.set('seen.getTime', 1)
  // @ts-expect-error: nor has an array, but for its elements
  handle.set('tags.length', 0)
  // @ts-expect-error: an ObjectId has no paths
  handle.set('user_id.id', 'x')
  // @ts-expect-error: text that is not known here could be any path
  handle.set(`prefs.${text}`, 'dark')
  // @ts-expect-error: the same
  handle.set(text, 'dark')
  // @ts-expect-error: a part with a dot is two
  handle.set(['cart.total'], 1)
  // @ts-expect-error: no such path
  handle.set(['cart', text], 1)
  // @ts-expect-error: a list of unknown length
  handle.set([text].concat(text), 1)
  // @ts-expect-error: not what counts holds
  handle.set(['counts', text], 1)
}

export async function setSeveral() {
  is<{ views: number; cart: { total: number; note: string } }>()(
    await handle.set({ views: 1, 'cart.total': 2, 'cart.note': '' }),
  )
  is<LoadedSession<Shop>>()(await session.set({ role: 'admin', 'payment.kind': 'card', tags: ['a'] }))
  const fields = { views: 1, name: 'Ada' }
  handle.set(fields)
  handle.set({ ...fields, address: { city: 'Rome' } })
  const known: { views?: number; name: string } = { name: 'Ada' }
  // @ts-expect-error: a session cannot hold undefined
  handle.set({ views: undefined })
  is<{ name: string; views?: number }>()(await handle.set(known))
  // @ts-expect-error: no such field
  handle.set({ ...fields, nme: 'Ada' })
  // @ts-expect-error: not a number
  handle.set({ views: '1' })
  // @ts-expect-error: not a number
  handle.set({ 'cart.total': '1' })
  // @ts-expect-error: no such field, whatever its value
  handle.set({ view: JSON.parse('1') })
  // @ts-expect-error: reserved
  handle.set({ destroy: JSON.parse('1') })
  // @ts-expect-error: one of two words
  handle.set({ role: 'root' })
  // @ts-expect-error: a path needs a value
  handle.set(['prefs', 'theme'])
}

export async function unset() {
  is<{ views?: never }>()(await handle.unset('views'))
  is<{ name?: never; cart?: { note?: never }; prefs?: { [x: string]: undefined } }>()(
    await handle.unset('name', 'cart.note', ['prefs', text]),
  )
  handle.unset('address.zip').unset('counts.tea')
  handle.unset('prefs.theme', 'cart')
  handle.unset('cart.lines.0.gift')
  handle.unset('json.a', 'anything.b')
  // @ts-expect-error: a cart has a total
  handle.unset('cart.total')
  // @ts-expect-error: the same
  handle.unset('views', 'cart.total')
  // @ts-expect-error: the same
  handle.unset(['cart', 'total'])
  // @ts-expect-error: null would be left among the lines
  handle.unset('cart.lines.0')
  // @ts-expect-error: no such field
  handle.unset('view')
  // @ts-expect-error: no such field
  handle.unset('views', 'view')
  // @ts-expect-error: a path is needed
  handle.unset()
}

export async function rename() {
  is<{ name?: string; cart?: { note?: never } }>()(await handle.rename('cart.note', 'name'))
  is<LoadedSession<Shop>>()(await session.rename('name', 'cart.note'))
  handle.rename('role', 'name')
  handle.rename('anything', 'views')
  handle.rename('views', 'anything')
  // @ts-expect-error: text is no number
  handle.rename('name', 'views')
  // @ts-expect-error: not every text is a role
  handle.rename('name', 'role')
  // @ts-expect-error: a cart has a total
  handle.rename('cart.total', 'views')
  // @ts-expect-error: no such field
  handle.rename('view', 'views')
  // @ts-expect-error: no such field
  handle.rename('views', 'view')
}

export async function arithmetic() {
  is<{ views: number }>()(await handle.inc('views'))
  is<{ views: number; cart: { total: number } }>()(
    await handle.inc('views', 2).inc('views').mul('cart.total', 1.1),
  )
  is<{ big: number | Int64 }>()(await handle.inc('big', 1n))
  is<{ counts: { [x: string]: { total: number } } }>()(await handle.inc(['counts', text, 'total']))
  is<{ cart: { lines: readonly ReadLine[] } }>()(await handle.inc('cart.lines.0.qty', -1))
  is<{ byYear: { 2026: { total: number } } }>()(await handle.inc('byYear.2026.total'))
  is<{ anything: unknown }>()(await handle.inc('anything'))
  const { views } = await handle.inc('views')
  views.toFixed()
  handle.inc('level').inc('payment.days').inc('json.a').inc('deep.a.b.c.d.e').inc('scores.0').inc('pair.1')
  handle.inc('folder.size').inc('folder.folders.0.folders.1.size')
  handle.inc('long', 5n).mul('views', 2n)
  // @ts-expect-error: not a number
  handle.inc('name')
  // @ts-expect-error: not a number
  handle.inc('cart')
  // @ts-expect-error: not a number
  handle.inc('cart.lines')
  // @ts-expect-error: not a number
  handle.mul('seen', 2)
  // @ts-expect-error: not a number
  handle.inc('pair.0')
  // @ts-expect-error: not by text
  handle.inc('views', '1')
  // @ts-expect-error: by what?
  handle.mul('views')
  // @ts-expect-error: no such field
  handle.inc('view')
}

export async function bounds() {
  is<{ views: number; seen: Date }>()(await handle.min('views', 1).max('seen', new Date()))
  is<{ name: string }>()(await handle.min('name', 'b'))
  handle.max('big', 1n).max('scores.0', 1)
  // @ts-expect-error: not a number
  handle.min('views', '1')
  // @ts-expect-error: has no order
  handle.max('cart', { lines: [], total: 0 })
  // @ts-expect-error: has no order
  handle.max('verified', true)
  // @ts-expect-error: not a date
  handle.max('seen', 1)
}

export async function currentDate() {
  is<{ seen: Date }>()(await handle.currentDate('seen'))
  // @ts-expect-error: not a date
  handle.currentDate('views')
}

export async function pushes() {
  is<{ tags: readonly string[] }>()(await handle.push('tags', 'new'))
  is<{ cart: { lines: readonly ReadLine[] } }>()(await handle.push('cart.lines', line))
  is<{ counts: { tea: { days: readonly number[] } } }>()(await handle.push('counts.tea.days', 1))
  is<{ scores: readonly number[]; tags: readonly string[] }>()(
    await handle.pushAll('scores', [1, 2]).addToSet('tags', 'a', 'b'),
  )
  handle.push('scores', 1, { slice: -100, sort: -1, position: 0 })
  handle.push('cart.lines', line, { slice: 10, sort: { qty: -1, 'gift.text': 1 } })
  handle.pushAll('tags', ['a'] as const, { slice: -1 })
  handle.push('cart.lines.0.labels', 'x')
  handle.push('json.a', { b: 1 }).push('folder.folders', { name: '', folders: [] })
  // @ts-expect-error: not an array
  handle.push('views', 1)
  // @ts-expect-error: not an array
  handle.push('cart', line)
  // @ts-expect-error: not a text
  handle.push('tags', 1)
  // @ts-expect-error: one at a time
  handle.push('tags', ['a'])
  // @ts-expect-error: not a line
  handle.push('cart.lines', { sku: '' })
  // @ts-expect-error: no such modifier
  handle.push('tags', 'a', { slce: 1 })
  // @ts-expect-error: no such field of a line
  handle.push('cart.lines', line, { sort: { price: 1 } })
  // @ts-expect-error: a text has no fields
  handle.push('tags', 'a', { sort: { length: 1 } })
  // @ts-expect-error: 1 or -1
  handle.push('scores', 1, { sort: 2 })
  // @ts-expect-error: a list
  handle.pushAll('tags', 'a')
  // @ts-expect-error: of texts
  handle.pushAll('tags', [1])
  // @ts-expect-error: not a text
  handle.addToSet('tags', 'a', 1)
  // @ts-expect-error: add what?
  handle.addToSet('tags')
}

export async function pulls() {
  is<{ tags?: readonly string[] }>()(await handle.pull('tags', 'old'))
  is<{ cart?: { lines?: readonly ReadLine[] } }>()(await handle.pop('cart.lines'))
  is<{ scores?: readonly number[]; tags?: readonly string[] }>()(
    await handle.pull('scores', '<', 10).pullAll('tags', ['a', 'b']),
  )
  handle.pop('tags', 1).pop('scores', -1)
  handle.pull('cart.lines', line).pull('scores', 'in', [1, 2]).pull('tags', '!=', 'a')
  is<{ cart?: { lines?: readonly ReadLine[] } }>()(await handle.pull('cart.lines', 'sku', '=', text))
  handle.pull('cart.lines', 'qty', '<', 1).pull('folder.folders', 'name', 'in', ['a', 'b'])
  handle.pull('cart.lines', 'gift', 'exists', false).pull('cart.lines', 'gift.text', '!=', '')
  handle.pull('cart.lines', ['gift', 'text'], '=', text).pull('cart.lines', 'labels', '=', 'x')
  handle.pull('orders', 'id', '=', 5).pull('orders', 'set', '>', 5).pull('orders', ['by', text], '=', 1)
  handle.pull('folder.folders', 'folders.0.size', '>=', 1).pull('json.a', 'b', '=', 1)
  handle.pull('anything', 'b', '=', 1)
  // @ts-expect-error: lines have no such field
  handle.pull('cart.lines', 'skew', '=', text)
  // @ts-expect-error: the same
  handle.pull('cart.lines', 'gift.txt', '=', text)
  // @ts-expect-error: a sku is text
  handle.pull('cart.lines', 'sku', '=', 1)
  // @ts-expect-error: a list
  handle.pull('cart.lines', 'sku', 'in', 'tea')
  // @ts-expect-error: a gift has no order
  handle.pull('cart.lines', 'gift', '<', { text: '' })
  // @ts-expect-error: true or false
  handle.pull('cart.lines', 'gift', 'exists', 1)
  // @ts-expect-error: no such comparator
  handle.pull('cart.lines', 'sku', '==', text)
  // @ts-expect-error: tags have no fields
  handle.pull('tags', 'length', '=', 1)
  // @ts-expect-error: not an array
  handle.pull('cart', 'total', '=', 1)
  // @ts-expect-error: a value is needed
  handle.pull('cart.lines', 'sku', '=')
  // @ts-expect-error: not an array
  handle.pop('views')
  // @ts-expect-error: 1 or -1
  handle.pop('tags', 2)
  // @ts-expect-error: not a text
  handle.pull('tags', 1)
  // @ts-expect-error: lines have no order
  handle.pull('cart.lines', '<', line)
  // @ts-expect-error: elements exist
  handle.pull('scores', 'exists', true)
  // @ts-expect-error: a list
  handle.pull('scores', 'in', 1)
  // @ts-expect-error: not a number
  handle.pull('scores', '<', '1')
  // @ts-expect-error: a list
  handle.pullAll('tags', 'a')
}

export async function take() {
  is<string | undefined>()(await handle.take('name'))
  is<string | undefined>()(await session.take('cart.note'))
  is<string | undefined>()(await session.take(['prefs', text]))
  is<number | undefined>()(await handle.take('views').set('name', 'Ada'))
  is<number | undefined>()(await handle.set('name', 'Ada').take('views'))
  is<number | null | undefined>()(await handle.if('views', '>', 1).take('views'))
  is<readonly string[] | undefined>()(await handle.take('tags'))
  // @ts-expect-error: a cart has a total
  handle.take('cart.total')
  // @ts-expect-error: no such field
  handle.take('view')
  // @ts-expect-error: one chain takes one field
  handle.take('views').take('name')
}

export async function guards() {
  is<{ views: number } | null>()(await handle.if('views', '>=', 5).inc('views', -5))
  is<{ views: number; name: string } | null>()(
    await handle.if('role', 'admin').if('name', 'exists', false).inc('views').set('name', ''),
  )
  is<LoadedSession<Shop> | null>()(await session.if('role', 'admin').inc('views'))
  handle.if('tags', 'a').if('tags', ['a', 'b']).if('scores', '>', 5).if('scores', 'in', [1, 2])
  handle.if('role', 'in', ['admin', 'user']).if('seen', '<', new Date()).if('name', '>', 'a')
  handle
    .if('user_id', null)
    .if('address', '!=', null)
    .if('cart.total', '=', 0)
    .if('cart.note', 'exists', true)
  handle.if('anything', '>', 1).if('json.a', '>', 1).if('pair.0', 'a').if('price', 'exists', true)
  // @ts-expect-error: not a role
  handle.if('role', 'root')
  // @ts-expect-error: not a number
  handle.if('views', '<', '5')
  // @ts-expect-error: no such comparator
  handle.if('views', '==', 5)
  // @ts-expect-error: a cart has no order
  handle.if('cart', '<', { lines: [], total: 0 })
  // @ts-expect-error: a list
  handle.if('views', 'in', 5)
  // @ts-expect-error: of numbers
  handle.if('views', 'in', ['5'])
  // @ts-expect-error: true or false
  handle.if('views', 'exists', 1)
  // @ts-expect-error: not an element
  handle.if('tags', 1)
  // @ts-expect-error: compared with what?
  handle.if('views')
  // @ts-expect-error: no such field
  handle.if('view', 1)
  // @ts-expect-error: guards come first
  handle.inc('views').if('views', 1)
}

export async function chains() {
  is<number>()(await handle.inc('views').then(({ views }) => views))
  is<{ views: number } | 'failed'>()(await handle.inc('views').catch(() => 'failed' as const))
  is<{ views: number }>()(await handle.inc('views').finally(() => {}))
  is<[{ views: number }, number | undefined]>()(await Promise.all([handle.inc('views'), handle.get('views')]))
  // @ts-expect-error: not touched
  ;(await handle.inc('views')).name
}
