import Router from '@koa/router'
// In your app: import type { Sessions } from 'koa-atomic-session'
import type { Sessions } from '../src/index.ts'
import { excerpt, howItIsCoded } from './code.ts'
import { deviceList, devicesOf } from './device-list.ts'
import { html } from './html.ts'
import { live } from './live.ts'
import { show } from './page.ts'
import { type Context, field, goTo, type Shop, type ShopContext, type State } from './session.ts'

/** "Your devices": each is a session of the same user. Open pages are kept up to date until `closing`. */
export function devices(sessions: Sessions<Shop>, closing: AbortSignal): Router<State, ShopContext> {
  const router = new Router<State, ShopContext>()

  router.get('/devices', async ctx => {
    const { user, id } = await ctx.session()
    if (user === undefined || id === undefined) return goTo(ctx, '/sign-in')
    const found = await devicesOf(sessions, user, id)
    await show(
      ctx,
      'Your devices',
      ({ csrf }) => html`
    <section class="devices" aria-labelledby="devices-title">
      <h1 id="devices-title">Your devices</h1>
      <p class="quiet">Each is a session with your name in it. A device that you sign out here is told at once.
        <span class="if-live">This page is live.</span><span class="if-offline">The connection is lost; trying again.</span></p>
      ${deviceList(found, id, csrf)}
      ${howItIsCoded(endingCode, 'The sessions of a user are found by an index. The next request of an ended one has no session.')}
    </section>`,
    )
  })

  router.post('/devices/end', async ctx => {
    const user = await signedIn(ctx)
    const id = field(ctx, 'id')
    // Only among the user's own sessions: the id of another user's session ends nothing.
    for await (const device of sessions.find(user)) {
      if (device.id !== id) continue
      await sessions.end(id)
      await ctx.session.set('flash', { text: `${device.fields.device} has been signed out` })
    }
    goTo(ctx, '/devices')
  })

  router.post('/devices/end-others', async ctx => {
    const user = await signedIn(ctx)
    const { id } = await ctx.session()
    const ended = await sessions.endAll(user, { except: id })
    const text = `${ended} other ${ended === 1 ? 'device has' : 'devices have'} been signed out`
    await ctx.session.set('flash', { text })
    goTo(ctx, '/devices')
  })

  router.get('/devices/live', live(sessions, closing))
  return router
}

async function signedIn(ctx: Context): Promise<string> {
  return (await ctx.session.get('user')) ?? ctx.throw(401, 'You are not signed in')
}

const endingCode = excerpt('devices.ts', 'const { id } = await ctx.session()', 2)
