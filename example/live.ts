import { subscribe } from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import { Readable } from 'node:stream'
// In your app: import type { Sessions } from 'koa-atomic-session'
import type { Sessions } from '../src/index.ts'
import { deviceList, devicesOf } from './device-list.ts'
import type { Shop, ShopMiddleware } from './session.ts'

/** Milliseconds between two looks at the store, which show what other processes have done. */
const EVERY = 1000

/** What this process does to a session is seen at once. */
const lifecycle = new EventEmitter().setMaxListeners(0)
subscribe('koa-atomic-session:lifecycle', () => lifecycle.emit('event'))

/** Server-sent events: a page hears when its device is signed out, and when another device of its user comes or goes. */
export function live(sessions: Sessions<Shop>, closing: AbortSignal): ShopMiddleware {
  return async ctx => {
    // A page that is merely open keeps no session alive.
    const { user, id } = await ctx.session({ extend: false })
    ctx.type = 'text/event-stream'
    // A connection that is kept for a next request would hold up the end of the shop.
    ctx.set('Connection', 'close')
    ctx.body =
      user === undefined || id === undefined
        ? event('signed-out', true)
        : Readable.from(changes(sessions, { user, id, csrf: ctx.session.createCSRF() }, closing))
  }
}

interface Listener {
  readonly user: string
  readonly id: string
  readonly csrf: string
}

async function* changes(
  sessions: Sessions<Shop>,
  { user, id: own, csrf }: Listener,
  closing: AbortSignal,
): AsyncGenerator<string, void> {
  for (let before: string | undefined; !closing.aborted; ) {
    const found = await devicesOf(sessions, user, own)
    const now = found.map(({ id }) => id).join()
    if (!now.includes(own)) return yield event('signed-out', true)
    if (now !== before) yield event('devices', String(deviceList(found, own, csrf)))
    before = now
    const signal = AbortSignal.any([closing, AbortSignal.timeout(EVERY)])
    await once(lifecycle, 'event', { signal }).catch(() => {})
  }
}

/** As JSON, which has no line breaks that would end it. */
function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
