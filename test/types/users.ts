import type { ObjectId } from 'bson'
import type Koa from 'koa'
import Session, { type SessionOptions, type Sessions } from '../../src/index.ts'
import { type Shop, text } from './shop.ts'

declare const user: ObjectId

interface Account {
  user_id: string
  views: number
  cart?: { lines: string[]; total: number }
  seen: Date
}

/** The type of the sessions is given, so the compiler does not find out which field it is. */
export function ofTheirOwnType(app: Koa) {
  const sessions: Sessions<Account> = Session<Account>(app, { user: 'user_id' })
  sessions.endAll('ada')
  sessions.find(text)
  // @ts-expect-error: no such field
  Session<Account>(app, { user: 'usr' })
  // @ts-expect-error: many sessions have one date
  Session<Account>(app, { user: 'seen' })
  // @ts-expect-error: nor does an object name a user
  Session<Account>(app, { user: 'cart' })
  // @ts-expect-error: reserved
  Session<{ id: string }>(app, { user: 'id' })
  // @ts-expect-error: it is a text
  sessions.endAll(42)
  // @ts-expect-error: the same
  sessions.find(42)
  // @ts-expect-error: nobody
  sessions.endAll(null)
  // @ts-expect-error: nobody either
  sessions.endAll()
  // @ts-expect-error: not the session
  sessions.endAll({ user_id: 'ada' })
}

/** With the field, it knows its values. */
export function ofAField(app: Koa) {
  const sessions: Sessions<Shop, 'user_id'> = Session<Shop, 'user_id'>(app, { user: 'user_id' })
  const general: Sessions<Shop> = sessions
  general.endAll(user)
  sessions.endAll(user)
  sessions.find(user)
  // @ts-expect-error: the ObjectId, not its text
  sessions.endAll(text)
  // @ts-expect-error: nobody
  sessions.endAll(null)
  // @ts-expect-error: another field
  Session<Shop, 'user_id'>(app, { user: 'name' })
  // @ts-expect-error: no such field
  Session<Shop, 'usr'>(app, { user: 'usr' })
}

export function whereverItIs(app: Koa) {
  interface Nested {
    auth: { account?: { id: number }; tries: number }
    a: { b: { c: { d: { id: string } } } }
  }
  Session<Nested>(app, { user: 'auth.account.id' }).endAll(42)
  Session<Nested, 'auth.account.id'>(app, { user: 'auth.account.id' }).endAll(42)
  Session<Nested, 'a.b.c.d.id'>(app, { user: 'a.b.c.d.id' }).endAll('ada')
  // @ts-expect-error: no such path
  Session<Nested>(app, { user: 'auth.id' })
  Session<{ user: number; views: number }>(app, { user: 'user' }).endAll(42)
  Session<{ member_id: number; name: string }>(app, { user: 'member_id' }).endAll(42)
  Session<{ user: bigint }>(app, { user: 'user' }).endAll(42n)
}

export function untyped(app: Koa, options: SessionOptions) {
  const sessions = Session(app, { user: text })
  sessions.endAll(42)
  sessions.endAll('ada')
  sessions.find(user)
  Session(app, { user: 'anything.at.all' }).endAll(user)
  Session(app, options)
  Session<Record<string, string>>(app, { user: 'any' }).endAll('ada')
  // @ts-expect-error: they are texts
  Session<Record<string, string>>(app, { user: 'any' }).endAll(42)
}
