import Router from '@koa/router'
// In your app: import { SessionEndedError } from 'koa-atomic-session'
import { SessionEndedError } from '../src/index.ts'
import { deviceIn } from './device-list.ts'
import { html } from './html.ts'
import { show } from './page.ts'
import { field, goTo, type ShopContext, type State } from './session.ts'

export const account = new Router<State, ShopContext>()

account.get('/sign-in', ctx =>
  show(
    ctx,
    'Sign in',
    ({ csrf }) => html`
    <section class="narrow card">
      <h1>Sign in</h1>
      <p class="quiet">Any name will do, and there is no password. Sign in by the same name in another browser,
        and each of them lists the other under "Devices".</p>
      <form class="fields" method="post" action="/sign-in">
        <input type="hidden" name="_csrf" value="${csrf}">
        <label for="name">Your name</label>
        <input id="name" name="name" required maxlength="50" autocomplete="username">
        <label class="check"><input type="checkbox" name="remember" value="yes"> Remember me for a month</label>
        <button class="primary wide">Sign in</button>
      </form>
    </section>`,
  ),
)

account.post('/sign-in', async ctx => {
  const user = field(ctx, 'name').trim()
  if (user === '' || user.length > 50) ctx.throw(400, 'A name has 1 to 50 characters')
  const set = {
    user,
    device: deviceIn(ctx.get('User-Agent')),
    signedIn: new Date(),
    flash: { text: `Welcome, ${user}!` },
  }
  // The session keeps this lifetime, and its cookie then outlives the browser's window.
  const lifetime = field(ctx, 'remember') === 'yes' ? { maxAge: '1 month' } : {}
  try {
    // A new id for a new privilege; the cart comes along.
    await ctx.session.regenerate({ keep: ['cart'], set, ...lifetime })
  } catch (error) {
    if (!(error instanceof SessionEndedError)) throw error
    // The form was sent twice, or its page belongs to a session that has ended: there is no cart to keep.
    const flash = {
      text: `Welcome, ${user}! You had signed in from that page before. Its cart stayed with that sign-in: see "Devices".`,
    }
    await ctx.session.regenerate({ set: { ...set, flash }, ...lifetime })
  }
  goTo(ctx, '/')
})

account.post('/sign-out', async ctx => {
  await ctx.session.destroy()
  goTo(ctx, '/')
})
