import { readFileSync } from 'node:fs'
import Router from '@koa/router'
import { shop } from './cart.ts'
import { type Html, html } from './html.ts'
import { show } from './page.ts'
import { type Lanes, REQUESTS, type Runner } from './race/runner.ts'
import type { ShopContext, State } from './session.ts'

/** The first page, which says in ten seconds what this is about, and the README. */
export function home(runner: Runner): Router<State, ShopContext> {
  const router = new Router<State, ShopContext>()

  router.get('/', async ctx => {
    const lanes = await runner.latest()
    await show(ctx, 'Tea', view => html`${hero(view.csrf, lanes)}${shop(view)}`)
  })

  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  router.get('/readme', ctx => show(ctx, 'README', () => html`<pre class="readme">${readme}</pre>`))
  return router
}

function hero(csrf: string, lanes: Lanes | undefined): Html {
  return html`
    <section class="hero">
      <div>
        <p class="kicker">A demo of <b>koa-atomic-session</b></p>
        <h1>A hundred clicks. <br>A hundred kept.</h1>
        <p>A <b>session</b> is what a server remembers about a visitor, such as the cart. Most libraries read all of it and
          write all of it back: of two requests at once, <em>one overwrites the other</em>. This one sends each change to
          the database as one atomic command.</p>
      </div>
      <div class="versus">
        ${side('ordinary', 'Before: koa-session', 'ctx.session.cart\n  .push(tea)', lanes?.ordinary.kept.length)}
        ${side('atomic', 'After: this library', "await ctx.session\n  .push('cart', tea)", lanes?.atomic.kept.length)}
        ${lanes && html`<p class="quiet">${REQUESTS} requests of one visitor at once, on this computer.</p>`}
      </div>
      <form method="post" action="/race#result" data-progress="${REQUESTS} requests to each session are under way">
        <input type="hidden" name="_csrf" value="${csrf}">
        <button class="primary" id="run-from-shop">Run the race</button>
        <a href="/race">What is it?</a>
        <a href="/readme">README</a>
        <output></output>
      </form>
    </section>`
}

function side(name: keyof Lanes, title: string, code: string, kept: number | undefined): Html {
  return html`
        <figure class="lane card ${name}">
          <figcaption>${title}</figcaption>
          <pre><code>${code}</code></pre>
          ${kept !== undefined && html`<p class="score"><b>${kept}</b> of ${REQUESTS} kept</p>`}
        </figure>`
}
