import { excerpt } from '../code.ts'
import { type Html, html } from '../html.ts'
import { axis, commandTable, keptBar, spanOf, timeline } from './charts.ts'
import { type Lane, type Lanes, REFRESHING, REQUESTS } from './runner.ts'

type Side = keyof Lanes
const names: Record<Side, string> = { atomic: 'Atomic', ordinary: 'Ordinary' }

export function raceResult(lanes: Lanes): Html {
  const { atomic, ordinary } = lanes
  const title = `The atomic session kept ${atomic.kept.length} of ${REQUESTS}, the ordinary one ${ordinary.kept.length}`
  const span = spanOf([atomic, ordinary])
  return result(title, lanes, (side, lane) => {
    const lost = REQUESTS - lane.kept.length
    return html`
        <article class="lane card ${side}" data-kept="${lane.kept.length}">
          <h3>${names[side]}</h3>
          <p class="score"><b>${lane.kept.length}</b> of ${REQUESTS} kept${lost > 0 && html`, <em>${lost} lost</em>`}</p>
          ${keptBar(lane)}
          ${figures(lane)}
          ${timeline(lane, span, 3)}
          ${axis(span)}
          ${commandTable(lane, span, `Commands of the ${side} session`)}
        </article>`
  })
}

export function signOutResult(lanes: Lanes): Html {
  const span = spanOf([lanes.atomic, lanes.ordinary])
  const [ended, back] = (['atomic', 'ordinary'] as const).map(side =>
    lanes[side].visitor === undefined ? 'stayed signed out' : 'was signed in again',
  )
  const title = `Ada signed out. In the atomic session she ${ended}, in the ordinary one she ${back}`
  return result(title, lanes, (side, lane) => {
    const [slow, out] = lane.requests
    const alive = lane.visitor !== undefined
    return html`
        <article class="lane card ${side}" data-alive="${String(alive)}">
          <h3>${names[side]}</h3>
          <p class="score">${alive ? html`<b>${lane.visitor}</b> <em>is signed in again</em>` : html`<b>Nobody</b> is signed in`}</p>
          <ol>
            <li>Ada's slow request begins.</li>
            <li>Ada signs out: answered with ${out?.status}.</li>
            <li>The slow request makes its change: ${slow?.status === 401 ? html`refused with 401, <code>SESSION_ENDED</code>` : html`answered with ${slow?.status}`}.</li>
            <li>Ada's cookie opens ${alive ? html`<em>her session again</em>: the slow request wrote it back` : 'nothing. Ended means ended'}.</li>
          </ol>
          <div class="rows">
            ${lane.requests.map(request => html`<p>${request.label}</p>${timeline({ ...lane, requests: [request] }, span, 24)}`)}
            ${axis(span)}
          </div>
          ${commandTable(lane, span, `Commands of the ${side} session`)}
        </article>`
  })
}

const refreshing: Record<Side, string> = {
  atomic: excerpt('race/atomic.ts', 'await ctx.session.once(', 1),
  ordinary: excerpt('race/ordinary.ts', 'const { session }', 4),
}

export function refreshResult(lanes: Lanes): Html {
  const { atomic, ordinary } = lanes
  const title = `${REFRESHING} requests found an expired token: ${refreshes(atomic)} with once, ${refreshes(ordinary)} without`
  const span = spanOf([atomic, ordinary])
  return result(title, lanes, (side, lane) => {
    const asked = lane.refreshes.length
    const rejected = lane.refreshes.filter(({ isRejected }) => isRejected).length
    const kept = lane.requests.filter(({ status }) => status < 400).map(({ number }) => number)
    return html`
        <article class="lane card ${side}" data-refreshes="${asked}" data-rejected="${rejected}">
          <h3>${names[side]}</h3>
          <p class="score"><b>${asked}</b> ${asked === 1 ? 'refresh' : 'refreshes'}${rejected > 0 && html`, <em>${rejected} rejected</em>`}</p>
          <pre tabindex="0"><code>${refreshing[side]}</code></pre>
          <p class="quiet">${
            rejected > 0
              ? `${rejected} of ${REFRESHING} requests failed. A provider may take the second use of a refresh token for theft, and sign Ada out.`
              : `All ${kept.length} requests got the new token.`
          }</p>
          ${timeline({ ...lane, kept }, span, 12)}
          ${axis(span)}
          ${commandTable(lane, span, `Commands of the ${side} session`)}
        </article>`
  })
}

function refreshes({ refreshes: { length } }: Lane): string {
  return length === 1 ? '1 refresh' : `${length} refreshes`
}

function result(title: string, lanes: Lanes, article: (side: Side, lane: Lane) => Html): Html {
  return html`
    <section class="result" id="result" tabindex="-1" aria-labelledby="result-title">
      <h2 id="result-title">${title}</h2>
      <div class="lanes">${article('atomic', lanes.atomic)}${article('ordinary', lanes.ordinary)}
      </div>
      ${legend(lanes)}
      ${measure}
    </section>`
}

function legend({ ordinary }: Lanes): Html {
  return html`
      <ul class="legend">
        <li><span class="swatch kept"></span> request that succeeded</li>
        <li><span class="swatch lost"></span> request whose change was lost or refused</li>
        <li><span class="swatch read"></span> read</li>
        <li><span class="swatch write"></span> write</li>
        ${
          ordinary.refreshes.length > 0 &&
          html`
        <li><span class="swatch refresh"></span> refresh</li>
        <li><span class="swatch rejected"></span> refresh that the provider rejected</li>`
        }
      </ul>`
}

const measure = html`
      <p class="quiet measure">Both sessions hold 6 kB beside their lines, as a shop's session may, in databases of the same kind. One
        process sends and serves all requests, over HTTP: a browser opens at most six connections to a host. Bytes are the
        arguments and the answer of each call to the store, as BSON.</p>`

function figures({ requests, commands }: Lane): Html {
  const bytes = commands.reduce((sum, command) => sum + command.bytes, 0)
  return html`
          <dl>
            <div><dt>Commands</dt><dd>${commands.length}</dd></div>
            <div><dt>Store traffic</dt><dd>${kilobytes(bytes)}</dd></div>
            <div><dt>For each request</dt><dd>${kilobytes(bytes / requests.length)}</dd></div>
          </dl>`
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(bytes < 100_000 ? 1 : 0)} kB`
}
