import type { LoadedSession } from '../src/index.ts'
import { stylesheets } from './assets.ts'
import { type Html, html } from './html.ts'
import type { Context, Flash, Shop } from './session.ts'

/** What a page is made from. */
export interface View {
  readonly session: LoadedSession<Shop>
  /** For the page's forms. */
  readonly csrf: string
}

/** Answers with a page of this visitor's. */
export async function show(ctx: Context, title: string, content: (view: View) => Html): Promise<void> {
  const session = await ctx.session()
  // Of several pages that are opened at once, exactly one gets the message.
  const flash = session.flash === undefined ? undefined : await ctx.session.take('flash')
  const view = { session, csrf: ctx.session.createCSRF() }
  ctx.type = 'html'
  ctx.body = String(frame(title, content(view), { ...view, flash, path: ctx.path }))
}

export function errorPage(status: number, message: string): string {
  return String(
    frame(
      'Sorry',
      html`
      <section class="narrow card">
        <h1>Sorry</h1>
        <p>${message}</p>
        <p class="quiet">Error ${status}. ${status === 401 && html`<a href="/sign-in">Sign in</a> · `}<a href="/">To the shop</a></p>
      </section>`,
    ),
  )
}

interface Frame extends View {
  readonly flash: Flash | undefined
  readonly path: string
}

/** The script looks for the parts by their ids, and puts new ones in their places without loading the page again. */
function frame(title: string, content: Html, shown?: Frame): Html {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title} · Hundred Leaves</title>
  <link rel="icon" href="/icon.svg" type="image/svg+xml">
  ${stylesheets.map(name => html`<link rel="stylesheet" href="/${name}">`)}
  <script src="/script.js" type="module"></script>
</head>
<body ${shown?.session.user !== undefined && html`data-signed-in`}>
  <a class="skip" href="#main">To the content</a>
  <header id="header">
    <a class="brand" href="/">${leaf} <span>Hundred Leaves</span></a>
    ${shown && html`${navigation(shown)}${account(shown)}`}
  </header>
  <div class="messages">
    <div id="flash" role="status">${shown?.flash && message(shown.flash)}</div>
    <div id="signed-out" role="alert" hidden>
      <p class="flash refusal">This device has been signed out. <a href="/sign-in">Sign in again</a></p>
    </div>
  </div>
  <main id="main" tabindex="-1">${content}
  </main>
  <footer>
    <p>A demo of <b>koa-atomic-session</b>. No tea is sold, and nothing you type leaves this computer.</p>
  </footer>
</body>
</html>
`
}

function message({ text, isRefusal }: Flash): Html {
  return html`<p class="flash${isRefusal && ' refusal'}">${text}</p>`
}

function navigation({ path, session: { user, cart } }: Frame): Html {
  const pieces = Object.values(cart?.quantities ?? {}).reduce((sum, quantity) => sum + quantity, 0)
  return html`
    <nav aria-label="Shop">
      ${link(path, '/', 'Teas')}
      ${link(path, '/race', 'The race')}
      ${user !== undefined && link(path, '/devices', 'Devices')}
      <a href="/#cart">Cart <span class="count">${pieces}</span></a>
    </nav>`
}

function account({ path, session: { user }, csrf }: Frame): Html {
  if (user === undefined) return html`<p class="account">${link(path, '/sign-in', 'Sign in')}</p>`
  return html`
    <form class="account" method="post" action="/sign-out">
      <span class="user">${user}</span>
      <input type="hidden" name="_csrf" value="${csrf}">
      <button class="plain">Sign out</button>
    </form>`
}

function link(here: string, path: string, label: string): Html {
  // The race's results have addresses below its own.
  const isHere = here === path || here.startsWith(`${path}/`)
  return html`<a href="${path}" ${isHere && html`aria-current="page"`}>${label}</a>`
}

const leaf = html`<svg viewBox="0 0 24 24" aria-hidden="true">
      <path d="M20 3C10 3 4 8 4 14c0 1.8.4 3.3 1.2 4.5L3 21l1.4 1.4L7 20c1.2.7 2.6 1 4 1 7 0 10-8 9-18Z"/>
      <path class="vein" d="M7 18 15 9.5"/>
    </svg>`
