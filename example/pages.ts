export const products = [
  { sku: 'tea', name: 'Green tea', price: 8.5 },
  { sku: 'cup', name: 'Stoneware cup', price: 14 },
  { sku: 'pot', name: 'Iron teapot', price: 49 },
] as const

export interface Cart {
  /** In the order they were first put in. */
  skus: string[]
  quantities: Record<string, number>
}

interface Shown {
  readonly user?: string
  readonly visits?: number
  readonly cart?: {
    readonly skus?: readonly string[]
    readonly quantities?: Readonly<Record<string, number>>
  }
  readonly recent?: readonly string[]
  readonly flash: string | undefined
  readonly csrf: string
}

/** HTML that is safe to send: only `html` makes it. */
export class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

/** A template whose values are escaped, except those that are HTML themselves. */
function html(texts: TemplateStringsArray, ...values: unknown[]): Html {
  return new Html(String.raw({ raw: texts }, ...values.map(escaped)))
}

function escaped(value: unknown): string {
  if (value instanceof Html) return String(value)
  if (Array.isArray(value)) return value.map(escaped).join('')
  return String(value ?? '').replace(/[&<>"']/g, sign => `&#${sign.charCodeAt(0)};`)
}

export function shopPage({ user, visits, cart, recent = [], flash, csrf }: Shown): Html {
  const button = (action: string, label: string, title = label) => html`
    <form method="post" action="${action}">
      <input type="hidden" name="_csrf" value="${csrf}">
      <button aria-label="${title}">${label}</button>
    </form>`
  const lines = products
    .map(product => ({ ...product, quantity: cart?.quantities?.[product.sku] ?? 0 }))
    .filter(({ sku }) => cart?.skus?.includes(sku))
    .sort((a, b) => (cart?.skus?.indexOf(a.sku) ?? 0) - (cart?.skus?.indexOf(b.sku) ?? 0))
  const total = lines.reduce((sum, { price, quantity }) => sum + price * quantity, 0)
  return page(html`
    <header>
      <h1>The tea shop</h1>
      ${user === undefined ? signInForm(csrf) : html`<span>Signed in as <b>${user}</b></span>${button('/sign-out', 'Sign out')}`}
    </header>
    ${flash === undefined ? '' : html`<p class="flash" role="status">${flash}</p>`}
    <section>
      <h2>Products</h2>
      <ul>${products.map(
        ({ sku, name, price }) => html`
        <li><span>${name}</span><span>${money(price)}</span>${button(`/cart/${sku}/add`, 'Add', `Add ${name}`)}</li>`,
      )}
      </ul>
    </section>
    <section>
      <h2>Cart</h2>
      ${lines.length === 0 ? html`<p>It is empty.</p>` : ''}
      <ul>${lines.map(
        ({ sku, name, price, quantity }) => html`
        <li>
          <span>${name}</span><span>${quantity} × ${money(price)}</span>
          ${button(`/cart/${sku}/less`, '−', `One ${name} less`)}
          ${button(`/cart/${sku}/add`, '+', `One ${name} more`)}
          ${button(`/cart/${sku}/remove`, 'Remove', `Remove ${name}`)}
        </li>`,
      )}
      </ul>
      ${lines.length > 0 ? html`<p class="total"><b>${money(total)}</b> ${button('/order', 'Order')}</p>` : ''}
    </section>
    <footer>
      ${visits === undefined ? '' : html`<p>You have seen this page ${visits} ${visits === 1 ? 'time' : 'times'}.</p>`}
      ${recent.length > 0 ? html`<p>Chosen last: ${[...new Set(recent)].map(nameOf).join(', ')}</p>` : ''}
    </footer>`)
}

export function errorPage(message: string): Html {
  return page(
    html`<header><h1>The tea shop</h1></header><p class="flash">${message}</p><p><a href="/">To the shop</a></p>`,
  )
}

function signInForm(csrf: string): Html {
  return html`
      <form method="post" action="/sign-in">
        <input type="hidden" name="_csrf" value="${csrf}">
        <input name="name" required maxlength="50" placeholder="Your name" aria-label="Your name" autocomplete="username">
        <button>Sign in</button>
      </form>`
}

function nameOf(sku: string): string {
  return products.find(product => product.sku === sku)?.name ?? sku
}

function money(amount: number): string {
  return `€ ${amount.toFixed(2)}`
}

function page(content: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>The tea shop</title>
  <style>${new Html(style)}</style>
</head>
<body>${content}
</body>
</html>
`
}

const style = `
  :root { color-scheme: light dark; --ink: #22302a; --paper: #f6f5f0; --card: #fff; --line: #d9d8cf; --leaf: #2c6e49 }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6e9e4; --paper: #151a17; --card: #1f2622; --line: #38423c; --leaf: #7fc99a }
  }
  * { box-sizing: border-box }
  body { max-width: 44rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
    color: var(--ink); background: var(--paper) }
  header, li, .total { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center }
  h1 { margin: 0 auto 0 0; font-size: 1.5rem; color: var(--leaf) }
  h2 { margin: 0 0 .5rem; font-size: 1.1rem }
  section, .flash { margin: 1rem 0; padding: 1rem; background: var(--card); border: 1px solid var(--line);
    border-radius: .75rem }
  .flash { border-color: var(--leaf); overflow-wrap: anywhere }
  header span { overflow-wrap: anywhere }
  ul { margin: 0; padding: 0; list-style: none }
  li { padding: .5rem 0; border-top: 1px solid var(--line) }
  li span:first-child, .total b { flex: 1 1 8rem }
  form { display: inline-flex; gap: .5rem; margin: 0 }
  input, button { font: inherit; color: inherit; min-height: 2.75rem; padding: .25rem .75rem; border-radius: .5rem;
    border: 1px solid var(--line); background: var(--card) }
  input { min-width: 0; width: 11rem }
  button { border-color: var(--leaf); color: var(--leaf); cursor: pointer }
  :focus-visible { outline: 3px solid var(--leaf); outline-offset: 2px }
  a { color: var(--leaf) }
  footer { font-size: .9rem; opacity: .8 }`
