import Router from '@koa/router'
import { html } from '../html.ts'
import { show } from '../page.ts'
import type { ShopContext, State } from '../session.ts'
import { introduction, raceResult, signOutResult } from './results.ts'
import type { Runner } from './runner.ts'

/** The pages on which atomic sessions are compared with ordinary ones. */
export function race(runner: Runner): Router<State, ShopContext> {
  const router = new Router<State, ShopContext>()

  router.get('/race', ctx => show(ctx, 'The race', ({ csrf }) => introduction(csrf)))

  router.post('/race', async ctx => {
    const lanes = await runner.race()
    await show(ctx, 'The race', ({ csrf }) => html`${introduction(csrf)}${raceResult(lanes)}`)
  })

  router.post('/race/sign-out', async ctx => {
    const lanes = await runner.signOut()
    await show(ctx, 'The race', ({ csrf }) => html`${introduction(csrf)}${signOutResult(lanes)}`)
  })
  return router
}
