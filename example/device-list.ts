// In your app: import type { FoundSession, Sessions } from 'koa-atomic-session'
import type { FoundSession, Sessions } from '../src/index.ts'
import { type Html, html } from './html.ts'
import type { Shop } from './session.ts'

type Device = FoundSession<Shop>

/** The sessions of a user: the one that asks first, then those that signed in last. */
export async function devicesOf(sessions: Sessions<Shop>, user: string, own: string): Promise<Device[]> {
  const found: Device[] = []
  for await (const device of sessions.find(user)) found.push(device)
  const rank = ({ id, fields }: Device) => (id === own ? Infinity : Number(fields.signedIn))
  return found.sort((a, b) => rank(b) - rank(a))
}

export function deviceList(found: readonly Device[], own: string, csrf: string): Html {
  return html`
      <div id="devices">
      <ul>${found.map(device => deviceCard(device, device.id === own, csrf))}
      </ul>
      ${
        found.length > 1 &&
        html`
      <form method="post" action="/devices/end-others" data-swap>
        <input type="hidden" name="_csrf" value="${csrf}">
        <button class="primary" id="end-others">Sign out all others</button>
      </form>`
      }
      </div>`
}

function deviceCard(
  { id, expires, fields: { device = 'A browser', signedIn } }: Device,
  isOwn: boolean,
  csrf: string,
) {
  const short = id.slice(0, 8)
  return html`
        <li class="card">
          <div>
            <h2>${device} ${isOwn && html`<span class="badge">this one</span>`}</h2>
            <p class="details quiet">Signed in ${date(signedIn)}<br>
              Until ${date(expires)} if it is not used · <code>${short}</code></p>
          </div>
          ${
            !isOwn &&
            html`
          <form method="post" action="/devices/end" data-swap>
            <input type="hidden" name="_csrf" value="${csrf}">
            <input type="hidden" name="id" value="${id}">
            <button id="end-${short}" aria-label="Sign out ${device}, ${short}">Sign out</button>
          </form>`
          }
        </li>`
}

/** The name by which a user knows a browser again. */
export function deviceIn(userAgent: string): string {
  // In this order: most say that they are others, too.
  const browser = ['Firefox', 'Edg', 'OPR', 'Chrome', 'Safari'].find(name => userAgent.includes(name))
  const system = ['iPhone', 'iPad', 'Android', 'Windows', 'Mac', 'Linux'].find(name =>
    userAgent.includes(name),
  )
  return `${browser?.replace('Edg', 'Edge').replace('OPR', 'Opera') ?? 'A browser'} on ${system ?? 'some system'}`
}

const dates = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })

function date(when: Date | undefined): Html | undefined {
  return when && html`<time datetime="${when.toISOString()}">${dates.format(when)} UTC</time>`
}
