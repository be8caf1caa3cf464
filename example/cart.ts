import Router from '@koa/router'
import { type Html, html } from './html.ts'
import { show, type View } from './page.ts'
import { type Product, products } from './products.ts'
import { type Context, goTo, type ShopContext, type State } from './session.ts'

const MOST = 9

export const cart = new Router<State, ShopContext>()

cart.get('/', ctx =>
  show(ctx, 'Tea', view => html`${hero(view)}<div class="shop">${shelf(view)}${basket(view)}</div>`),
)

cart.post('/cart/:sku/add', async ctx => {
  const { sku, name } = productOf(ctx)
  const quantity = ['cart', 'quantities', sku] as const
  // `!=` also holds for a line that is not there yet; however many requests add at once, none passes MOST.
  const added = await ctx.session.if(quantity, '!=', MOST).inc(quantity).addToSet('cart.skus', sku)
  if (!added) await ctx.session.set('flash', `${MOST} of ${name} is all we sell to one visitor`)
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
  // Whoever sends the form twice orders once: only one of the two requests gets the cart.
  const ordered = await ctx.session
    .if('user', 'exists', true)
    .if('cart.skus.0', 'exists', true)
    .set('flash', 'Thank you for your order!')
    .take('cart')
  if (!ordered) await ctx.session.set('flash', 'Sign in and put something into the cart first')
  goTo(ctx, '/')
})

function productOf(ctx: Context & { params: Record<string, string> }): Product {
  return products.find(({ sku }) => sku === ctx.params.sku) ?? ctx.throw(404, 'There is no such product')
}

function hero({ csrf }: View): Html {
  return html`
    <section class="hero">
      <div>
        <h1>A hundred clicks.<br>A hundred kept.</h1>
        <p>This shop keeps carts, sign-ins and devices in <b>koa-atomic-session</b>: every change is one atomic command
          on the fields it names. See what becomes of the same hundred requests in an ordinary session.</p>
        <form method="post" action="/race">
          <input type="hidden" name="_csrf" value="${csrf}">
          <button class="primary" id="run-from-shop">Run the race</button>
          <a href="/race">What is it?</a>
        </form>
      </div>
      ${cup('darjeeling')}
    </section>`
}

function shelf({ csrf }: View): Html {
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
        </li>`,
      )}
      </ul>
    </section>`
}

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
      ${
        lines.length > 0 &&
        html`
      <p class="total"><span>Total</span> <b>${money(total)}</b></p>
      ${button(csrf, '/order', 'Order', 'Order', 'primary wide')}`
      }
    </aside>`
}

/** A form of one button. Its id lets the script give the focus back after it has put the new page in place. */
function button(csrf: string, action: string, label: string, title: string, style = ''): Html {
  const id = title.toLowerCase().replaceAll(' ', '-')
  return html`
    <form method="post" action="${action}" data-swap>
      <input type="hidden" name="_csrf" value="${csrf}">
      <button id="${id}" class="${style}" aria-label="${title}">${label}</button>
    </form>`
}

/** A cup of tea, seen from above. */
function cup(style: string): Html {
  return html`
    <svg class="cup ${style}" viewBox="0 0 120 100" aria-hidden="true">
      <ellipse class="shadow" cx="62" cy="56" rx="47" ry="42"/>
      <circle class="saucer" cx="58" cy="50" r="46"/>
      <circle class="saucer-ring" cx="58" cy="50" r="38"/>
      <path class="handle" d="M88 39 q24 -1 24 11 q0 12 -24 11 v-6 q17 1 17 -5 q0 -6 -17 -5z"/>
      <circle class="rim" cx="58" cy="50" r="32"/>
      <circle class="tea" cx="58" cy="50" r="27"/>
      <path class="shine" d="M38 44 a22 22 0 0 1 18 -15"/>
    </svg>`
}

function money(amount: number): string {
  return `€ ${amount.toFixed(2)}`
}
