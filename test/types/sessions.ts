import type { ObjectId } from 'bson'
import type { CreatedSession, default as required, Sessions } from '../../src/index.ts'
import type { Bytes, Int64, Read } from '../../src/language/types/values.ts'
import type {
  AnySession,
  LoadedSession,
  PlainFields,
  RegenerateOptions,
  SessionHandle,
  Untyped,
  ValidData,
} from '../../src/session/types.ts'
import { type Cart, type Folder, handle, index, is, type Shop, session, text } from './shop.ts'

declare function Session<Data extends ValidData<Data>>(): SessionHandle<Data>
declare const sessions: Sessions<Shop>
declare const untyped: SessionHandle<Untyped>

export function requiring(session: typeof required): (typeof required)['default'][] {
  return [session, session.default, session['module.exports']]
}

export async function loading() {
  is<LoadedSession<Shop>>()(await handle())
  is<LoadedSession<Shop>>()(await handle({ extend: false }))
  // @ts-expect-error: no such option
  handle({ extends: false })
}

export function fields() {
  // A new session has none of them.
  is<number | undefined>()(session.views)
  is<'admin' | 'user' | undefined>()(session.role)
  is<ObjectId | null | undefined>()(session.user_id)
  is<Date | undefined>()(session.seen)
  is<readonly string[] | undefined>()(session.tags)
  is<string | undefined>()(session.cart?.lines[0]?.gift?.text)
  is<Bytes | undefined>()(session.key)
  is<number | Int64 | undefined>()(session.big)
  is<readonly [string, number] | undefined>()(session.pair)
  is<unknown>()(session.anything)
  const { views, cart } = { ...session }
  is<number | undefined>()(views)
  is<number | undefined>()(cart?.total)
  // @ts-expect-error: no such field
  session.view
  // @ts-expect-error: an assignment would be lost: set('views', 1)
  session.views = 1
  // @ts-expect-error: the same
  if (session.cart) session.cart.total = 1
  // @ts-expect-error: push('tags', 'a')
  session.tags?.push('a')
  // @ts-expect-error: unset('name')
  delete session.name
}

export async function members() {
  is<string | undefined>()(session.id)
  is<boolean>()(session.isNew)
  is<Date>()(session.created)
  is<Date>()(session.expires)
  is<number>()(session.maxAge)
  is<LoadedSession<Shop>>()(await session.update())
  is<LoadedSession<Shop>>()(await session.set('views', 1).then(session.update))
  is<LoadedSession<Shop>>()(await session.touch())
  is<LoadedSession<Shop>>()(await session.touch('30 days'))
  is<void>()(await session.destroy())
  is<LoadedSession<Shop>>()(await session.regenerate({ keep: ['cart', 'user_id'] }))
  is<Read<Cart>>()(
    await session.once('cart', (cart, { signal }) => {
      is<Read<Cart> | undefined>()(cart)
      is<AbortSignal>()(signal)
      return { lines: [], total: 0 }
    }),
  )
  is<number>()(
    await handle.once('cart.total', async total => (total ?? 0) + 1, {
      unless: total => total > 5,
      lease: '30s',
      wait: 1000,
    }),
  )
  // @ts-expect-error: no such field
  await handle.once('carts', () => 1)
  // @ts-expect-error: not the type of the field
  await handle.once('views', () => 'many')
  // @ts-expect-error: what is not there cannot be the result
  await handle.once('views', () => undefined)
  is<string>()(session.createCSRF())
  is<void>()(session.assertCSRF(text as unknown))
  is<void>()(await handle.touch(1000))
  is<void>()(await handle.destroy())
  is<LoadedSession<Shop>>()(await handle.regenerate({ keep: true }))
  is<string>()(handle.createCSRF())
  is<void>()(handle.assertCSRF(text as unknown))
  // @ts-expect-error: read-only
  session.id = ''
  // @ts-expect-error: no such field
  session.regenerate({ keep: ['carts'] })
  // @ts-expect-error: the handle has not been loaded
  handle.id
  // @ts-expect-error: the same
  handle.views
}

export async function regenerating() {
  is<LoadedSession<Shop>>()(
    await handle.regenerate({
      keep: ['cart'],
      set: { user_id: text as unknown as ObjectId },
      maxAge: '30 days',
    }),
  )
  is<LoadedSession<Shop>>()(await session.regenerate({ set: { name: text, 'cart.total': 1 } }))
  is<LoadedSession<Shop>>()(await session.regenerate({ keep: true, set: { views: 0 }, maxAge: 1000 }))
  is<LoadedSession<Shop>>()(await session.regenerate({ keep: true, grace: '30s' }))
  // @ts-expect-error grace is for the same session under another id
  session.regenerate({ keep: ['cart'], grace: '30s' })
  // @ts-expect-error grace is never for signing in
  session.regenerate({ keep: true, grace: '30s', set: { views: 0 } })
  // @ts-expect-error grace keeps everything
  session.regenerate({ grace: '30s' })
  is<LoadedSession<Shop>>()(await handle.regenerate({}))
  is<LoadedSession<Shop>>()(await handle.regenerate({ set: {} }))
  const named: RegenerateOptions<Shop> = { keep: ['cart'], set: { views: 1, role: 'user' }, maxAge: 1 }
  await handle.regenerate(named)
  const maybe: { views?: number } = {}
  await handle.regenerate({ set: maybe })
  await untyped.regenerate({ keep: ['a'], set: { a: 1, 'b.c': [text] } })
  // @ts-expect-error: no such field
  handle.regenerate({ set: { user: text } })
  // @ts-expect-error: no such path
  handle.regenerate({ set: { 'cart.totl': 1 } })
  // @ts-expect-error: not a number
  session.regenerate({ set: { views: '1' } })
  // @ts-expect-error: not a role
  handle.regenerate({ keep: ['cart'], set: { role: 'root' } })
  // @ts-expect-error: reserved
  handle.regenerate({ set: { destroy: 1 } })
  // @ts-expect-error: reserved all the same
  untyped.regenerate({ set: { destroy: 1 } })
  // @ts-expect-error: fields with their values, not a path
  handle.regenerate({ set: ['views', 1] })
  // @ts-expect-error: the same
  handle.regenerate({ set: 'views' })
  // @ts-expect-error: milliseconds or words
  handle.regenerate({ maxAge: new Date() })
  // @ts-expect-error: no such option
  handle.regenerate({ keeep: true })
  // @ts-expect-error: it returns a promise
  handle.regenerate(() => {})
}

export function plainData() {
  const data = session.toJSON()
  is<PlainFields<Shop>>()(data)
  is<number | undefined>()(data.views)
  is<string[] | undefined>()(data.tags)
  is<[string, number] | undefined>()(data.pair)
  is<Date | undefined>()(data.seen)
  is<Bytes | undefined>()(data.key)
  is<number | Int64 | undefined>()(data.big)
  is<string | undefined>()(data.folder?.folders[0]?.folders[0]?.name)
  data.views = 1
  data.tags?.push('a')
  if (data.cart) data.cart.lines = []
  // What was copied may be written.
  if (data.cart) handle.set('cart', data.cart)
  // @ts-expect-error: no such field
  data.view
  // @ts-expect-error: it has not been loaded
  handle.toJSON()
}

export async function reading() {
  is<number | undefined>()(await handle.get('views'))
  is<string | undefined>()(await handle.get('cart.lines.0.gift.text'))
  is<string | undefined>()(await session.get(['prefs', text]))
  is<number | undefined>()(await handle.get(`cart.lines.${index}.qty`))
  is<[number | undefined, string | undefined, boolean | undefined]>()(
    await handle.get('views', ['prefs', text], 'verified'),
  )
  is<string | undefined>()(await handle.get('address').then(it => it?.city))
  is<ObjectId | null | undefined>()(await handle.get('user_id'))
  is<string | undefined>()(await handle.get('payment.last4'))
  is<number | undefined>()(await handle.get('folder.folders.0.folders.0.folders.0.size'))
  is<number | string | undefined>()(await handle.get(text ? 'views' : 'name'))
  // @ts-expect-error: no such field
  handle.get('view')
  // @ts-expect-error: no such path
  handle.get('views', 'cart.totl')
  // @ts-expect-error: which one?
  handle.get()
}

/** Without a type, anything goes. */
export async function anythingGoes() {
  const loaded = await untyped()
  loaded.cart.total.whatever()
  is<string | undefined>()(loaded.id)
  untyped.set('a', 1).set('a.b.c', [1]).set({ d: 1, 'e.f': 2 }).set(text, 1).set([text, text], 1)
  untyped.inc('a.b').push('c', 1).unset('d', 'e.f').rename('a', 'b').pull('c', '<', 5).currentDate('e')
  untyped.set([text].concat(text), 1).min(text, 5)
  untyped.if('a', '>=', 1).if(text, 1).take('b')
  const { views } = await untyped.inc('views')
  views.toFixed()
  // biome-ignore lint/suspicious/noExplicitAny: that is what it is
  is<any>()(await untyped.get('a.b'))
  // @ts-expect-error: reserved all the same
  untyped.set('destroy', 1)
  // @ts-expect-error: the same
  untyped.set('_id', 1)
}

export async function creation() {
  is<CreatedSession>()(await sessions.create({ views: 1, 'cart.total': 2 }))
  sessions.create({ name: 'Ada' }, { maxAge: '30 days' })
  sessions.create({})
  // @ts-expect-error: no number
  sessions.create({ views: '1' })
  // @ts-expect-error: no such field
  sessions.create({ view: 1 })
  // @ts-expect-error: reserved
  sessions.create({ id: 'a' })
  // @ts-expect-error: no such option
  sessions.create({}, { maxage: 1 })
  // @ts-expect-error: an object of fields
  sessions.create()
}

export async function except(handle: SessionHandle<Shop>) {
  sessions.endAll('ada', { except: text })
  sessions.endAll('ada', { except: await handle() })
  sessions.endAll('ada', { except: (await handle()).id })
  // @ts-expect-error: not loaded
  sessions.endAll('ada', { except: handle })
  // @ts-expect-error: not awaited
  sessions.endAll('ada', { except: handle() })
  // @ts-expect-error: under except
  sessions.endAll('ada', text)
}

/** Fields of any name beside those declared. */
export async function openEnded() {
  interface Open {
    views: number
    [field: string]: unknown
  }
  const open = Session<Open>()
  open.inc('views').set('other', 1).set('other.below', 1).set(text, 1)
  is<{ views: number }>()(await open.inc('views'))
  // @ts-expect-error: not a number
  open.set('views', '1')
}

export function whatASessionHolds() {
  Session<Shop>()
  Session<{ views: number }>()
  Session<{ tree: Folder }>()
  Session<Untyped>()
  Session<Record<string, string>>()
  Session<{ name?: string }>()
  Session<{ name?: string | undefined; age: number | null }>()
  Session<{ 0: string; dates: Date[]; bytes: Buffer; user: ObjectId }>()
  // biome-ignore lint/suspicious/noExplicitAny: a user may have one
  Session<{ prefs: any; list: readonly string[] }>()
  Session<{ deep: { id: string; then: string; _private: number } }>()
}

/** What takes either. */
export async function anySession() {
  const one: AnySession<Shop> = handle
  const other: AnySession<Shop> = session
  for (const either of [one, other, handle as SessionHandle<Shop> | LoadedSession<Shop>]) common(either)
  const free: AnySession<Untyped> = untyped
  free.set('anything', 1)
  // @ts-expect-error: of another type
  common(untypedAs<{ views: string }>())
}

declare function untypedAs<Data>(): SessionHandle<Data>

async function common(either: AnySession<Shop>) {
  is<object>()(await either.inc('views').push('tags', 'a'))
  is<object | null>()(await either.if('views', '>', 1).set('cart.total', 1))
  is<number | undefined>()(await either.take('views'))
  is<number | undefined | null>()(await either.if('role', 'admin').take('views'))
  is<number | undefined>()(await either.get('views'))
  is<void>()(await either.destroy())
  is<LoadedSession<Shop>>()(await either.regenerate({ keep: ['cart'] }))
  is<string>()(either.createCSRF())
  either.assertCSRF(text)
  await either.touch('30 days')
  // @ts-expect-error: not a number
  either.inc('name')
  // @ts-expect-error: it may not have been loaded
  either.id
}
