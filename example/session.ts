import type Koa from 'koa'
// In your app: import type { SessionContext } from 'koa-atomic-session'
import type { SessionContext } from '../src/index.ts'

/** What a visitor's session holds. */
export interface Shop {
  user: string
  /** What the user's other devices call this one. */
  device: string
  signedIn: Date
  cart: Cart
  flash: Flash
}

export interface Cart {
  /** In the order they were first put in. */
  skus: string[]
  quantities: Record<string, number>
}

/** A message for the next page, shown once. */
export interface Flash {
  text: string
  /** Whether it tells why something was not done. */
  isRefusal?: boolean
}

export type State = Koa.DefaultState
export type ShopContext = SessionContext<Shop>
export type Context = Koa.ParameterizedContext<State, ShopContext>
export type ShopMiddleware = Koa.Middleware<State, ShopContext>

/** A field of a form, as text: what a visitor sends may be anything. */
export function field(ctx: Context, name: string): string {
  const body = ctx.request.body as Record<string, unknown> | null | undefined
  const value = body?.[name]
  return typeof value === 'string' ? value.toWellFormed() : ''
}

/** Answers a form with the address of a page, so that reloading the page does not send the form again. */
export function goTo(ctx: Context, path: string): void {
  ctx.status = 303
  ctx.redirect(path)
}
