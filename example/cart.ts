import Router from '@koa/router'
import { excerpt, howItIsCoded } from './code.ts'
import { cup } from './cup.ts'
import { type Html, html } from './html.ts'
import type { View } from './page.ts'
import { type Product, products } from './products.ts'
import { type Context, goTo, type ShopContext, type State } from './session.ts'

const MOST = 9

export const cart = new Router<State, ShopContext>()

cart.post('/cart/:sku/add', async ctx => {
  const { sku, name } = productOf(ctx)
  const quantity = ['cart', 'quantities', sku] as const
  const added = await ctx.session
    // It also holds for a line that is not there yet.
    .if(quantity, '!=', MOST)
    .inc(quantity)
    .addToSet('cart.skus', sku)
  if (!added) await refuse(ctx, `${MOST} of ${name} is all we sell to one visitor`)
  goTo(ctx, '/')
})

cart.post('/cart/:sku/less', async ctx => {
  const quantity = ['cart', 'quantities', productOf(ctx).sku] as const
  await ctx.session.if(quantity, '>', 1).inc(quantity, -1)
  goTo(ctx, '/')
})

cart.post('/cart/:sku/remove', async ctx => {
  const { sku } = productOf(ctx)
  await ctx.session.pull('cart.skus', sku).unset(['cart', 'quantities', sku])
  goTo(ctx, '/')
})

cart.post('/order', async ctx => {
  const ordered = await ctx.session
    .if('user', 'exists', true)
    .if('cart.skus.0', 'exists', true)
    .set('flash', { text: 'Thank you for your order!' })
    .take('cart')
  if (ordered) return goTo(ctx, '/')
  const isSignedIn = (await ctx.session.get('user')) !== undefined
  await refuse(ctx, isSignedIn ? 'Your cart is empty, so nothing was ordered' : 'Sign in to order')
  goTo(ctx, isSignedIn ? '/' : '/sign-in')
})

/** Says why something was not done, but not in place of a message that nobody has read yet. */
async function refuse(ctx: Context, text: string): Promise<void> {
  await ctx.session.if('flash', 'exists', false).set('flash', { text, isRefusal: true })
}

function productOf(ctx: Context & { params: Record<string, string> }): Product {
  return products.find(({ sku }) => sku === ctx.params.sku) ?? ctx.throw(404, 'There is no such product')
}

/** The shelf and the cart. */
export function shop(view: View): Html {
  return html`<div class="shop">${shelf(view)}${basket(view)}</div>`
}

function shelf({ csrf, session }: View): Html {
  const quantities = session.cart?.quantities ?? {}
  return html`
    <section aria-labelledby="teas">
      <h2 id="teas">Teas</h2>
      <ul class="shelf">${products.map(
        ({ sku, name, from, about, price }) => html`
        <li>
          ${cup(sku)}
          <h3>${name}</h3>
          <p class="from">${from}</p>
          <p>${about}</p>
          <p class="price">${money(price)} <small>/ 100 g</small></p>
          ${button(csrf, `/cart/${sku}/add`, 'Add', `Add ${name}`)}
          ${inCart(quantities[sku])}
        </li>`,
      )}
      </ul>
    </section>`
}

function inCart(quantity = 0): Html | false {
  return quantity > 0 && html`<span class="badge">${quantity} in cart</span>`
}

const addingCode = excerpt('cart.ts', 'const quantity', 6)
const orderingCode = excerpt('cart.ts', 'const ordered', 5)

function basket({ csrf, session }: View): Html {
  const { skus = [], quantities = {} } = session.cart ?? {}
  const lines = skus.flatMap(sku => {
    const product = products.find(product => product.sku === sku)
    return product ? [{ ...product, quantity: quantities[sku] ?? 0 }] : []
  })
  const total = lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0)
  return html`
    <aside class="cart card" id="cart" aria-labelledby="cart-title">
      <h2 id="cart-title">Your cart</h2>
      ${lines.length === 0 && html`<p class="quiet">It is empty. Add a tea; it stays here for a while, signed in or not.</p>`}
      <ul>${lines.map(
        ({ sku, name, price, quantity }) => html`
        <li>
          <span class="name">${name}</span>
          <span class="amount">${money(price * quantity)}</span>
          <span class="steps">
            ${button(csrf, `/cart/${sku}/less`, '−', `One ${name} less`)}
            <b>${quantity}</b>
            ${button(csrf, `/cart/${sku}/add`, '+', `One ${name} more`)}
          </span>
          ${button(csrf, `/cart/${sku}/remove`, 'Remove', `Remove ${name}`, 'plain-link')}
        </li>`,
      )}
      </ul>
      ${howItIsCoded(addingCode, `However many requests add at once, none is lost, and none passes ${MOST}.`)}
      ${
        lines.length > 0 &&
        html`
      <p class="total"><span>Total</span> <b>${money(total)}</b></p>
      <form method="post" action="/order" data-swap>
        <input type="hidden" name="_csrf" value="${csrf}">
        <button id="order" class="primary wide">Order</button>
      </form>
      ${howItIsCoded(orderingCode, 'A form that is sent twice orders once: only one request gets the cart.')}`
      }
    </aside>`
}

/** A form of one button, whose every click counts. Its id lets the script give the focus back after a new page is in place. */
function button(csrf: string, action: string, label: string, title: string, style = ''): Html {
  const id = title.toLowerCase().replaceAll(' ', '-')
  return html`
    <form method="post" action="${action}" data-swap="each">
      <input type="hidden" name="_csrf" value="${csrf}">
      <button id="${id}" class="${style}" aria-label="${title}">${label}</button>
    </form>`
}

function money(amount: number): string {
  return `€ ${amount.toFixed(2)}`
}
