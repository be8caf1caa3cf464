import Koa from 'koa'
import Session, {
  type Fields,
  type LoadedSession,
  type Path,
  type PathLike,
  type PathTo,
  type SessionContext,
  type SessionFields,
  type SessionHandle,
  type ValidData,
} from '../../src/index.ts'
import { is, type Shop } from './shop.ts'

interface Account {
  user_id: string
}

/** An app of two kinds of session, each typed by itself. */
export function twoKinds() {
  const app = new Koa<Koa.DefaultState, SessionContext<Account> & SessionContext<Shop, 'cartSession'>>()
  Session<Account>(app)
  Session<Shop>(app, { key: 'cart', property: 'cartSession' })
  app.use(async ctx => {
    is<SessionHandle<Account>>()(ctx.session)
    is<SessionHandle<Shop>>()(ctx.cartSession)
    is<LoadedSession<Shop>>()(await ctx.cartSession())
    // @ts-expect-error: of the other kind
    ctx.session.inc('views')
    // @ts-expect-error: the same
    ctx.cartSession.get('user')
  })
}

/** What functions and stores of one's own are typed with. */
export function sessionsOf<Data extends ValidData<Data>>(app: Koa) {
  return Session<Data>(app)
}

export function remember<const P extends PathLike>(session: SessionHandle<Shop>, path: PathTo<Shop, P>) {
  return session.get(path)
}

export const field: Path = 'user_id'
export const stored: Fields = { user_id: 'ada' }
export const shown: SessionFields<Account> = { user_id: 'ada' }
