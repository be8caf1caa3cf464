import Router from '@koa/router'
import { type Html, html } from '../html.ts'
import { show } from '../page.ts'
import { goTo, type ShopContext, type State } from '../session.ts'
import { raceResult, refreshResult, signOutResult } from './results.ts'
import { type Lanes, REFRESHING, REQUESTS, type Runner } from './runner.ts'

/** The page on which atomic sessions are compared with ordinary ones. */
export function race(runner: Runner): Router<State, ShopContext> {
  const router = new Router<State, ShopContext>()
  router.get('/race', ctx => show(ctx, 'The race', ({ csrf }) => introduction(csrf)))

  const runs = (path: string, run: () => Promise<Lanes>, result: (lanes: Lanes) => Html) =>
    router.post(path, async ctx => {
      const lanes = await run()
      await show(ctx, 'The race', ({ csrf }) => html`${introduction(csrf)}${result(lanes)}`)
    })
  // For those who reload a result by its address.
  router.get('/race/:result', ctx => goTo(ctx, '/race'))
  runs('/race', () => runner.race(), raceResult)
  runs('/race/sign-out', () => runner.signOut(), signOutResult)
  runs('/race/refresh', () => runner.refresh(), refreshResult)
  return router
}

function introduction(csrf: string): Html {
  const form = (action: string, id: string, label: string, progress: string) => html`
        <form method="post" action="${action}#result" data-swap data-progress="${progress}">
          <input type="hidden" name="_csrf" value="${csrf}">
          <button class="primary" id="${id}">${label}</button>
          <output></output>
        </form>`
  return html`
    <section class="race">
      <h1>The race</h1>
      <p class="lead">The requests of one visitor overlap: two tabs, a double click, a page that loads six things at once.
        Each button sends the same requests to an atomic session and to an ordinary one, at the same time.</p>
      <div class="lanes">
        <figure class="lane card atomic">
          <figcaption>Atomic: koa-atomic-session</figcaption>
          <pre tabindex="0"><code>await work()
ctx.session.push('lines', number)</code></pre>
          <p class="quiet">Sends the change to the database.</p>
        </figure>
        <figure class="lane card ordinary">
          <figcaption>Ordinary: koa-session</figcaption>
          <pre tabindex="0"><code>await work()
ctx.session.lines.push(number)</code></pre>
          <p class="quiet">Reads the session before this, and writes all of it back after.</p>
        </figure>
      </div>
      <div class="actions">
        ${form('/race', 'run-race', `Send ${REQUESTS} requests to each`, `${REQUESTS} requests to each session are under way`)}
        ${form('/race/sign-out', 'run-sign-out', 'Sign out during a slow request', 'The slow request takes a second and a half')}
        ${form('/race/refresh', 'run-refresh', `Refresh a token from ${REFRESHING} requests`, `${REFRESHING} requests to each session are under way`)}
      </div>
    </section>`
}
