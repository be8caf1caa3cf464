import { type Html, html } from '../html.ts'
import { axis, commandTable, keptBar, spanOf, timeline } from './charts.ts'
import { type Lane, type Lanes, REQUESTS } from './runner.ts'

export function introduction(csrf: string): Html {
  const form = (action: string, id: string, label: string) => html`
        <form method="post" action="${action}" data-swap>
          <input type="hidden" name="_csrf" value="${csrf}">
          <button class="primary" id="${id}">${label}</button>
        </form>`
  return html`
    <section class="race">
      <h1>The race</h1>
      <p class="lead">A visitor's requests overlap: two tabs, a double click, a page that loads six things at once. Here
        ${REQUESTS} of them go to an atomic session and ${REQUESTS} to an ordinary one, at the same time, over HTTP,
        with the same work between their beginning and their change.</p>
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
      <div class="actions">${form('/race', 'run-race', `Send ${REQUESTS} requests to each`)}
        ${form('/race/sign-out', 'run-sign-out', 'Sign out during a slow request')}
      </div>
    </section>`
}

export function raceResult({ atomic, ordinary }: Lanes): Html {
  const span = spanOf([atomic, ordinary])
  const lane = (side: Side, lane: Lane) => {
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
  }
  return html`
    <section class="result" id="result" tabindex="-1" aria-labelledby="result-title">
      <h2 id="result-title">The atomic session kept ${atomic.kept.length} of ${REQUESTS}, the ordinary one ${ordinary.kept.length}</h2>
      ${legend}
      <div class="lanes">${lane('atomic', atomic)}${lane('ordinary', ordinary)}
      </div>
      ${measure}
    </section>`
}

export function signOutResult({ atomic, ordinary }: Lanes): Html {
  const span = spanOf([atomic, ordinary])
  const lane = (side: Side, lane: Lane) => {
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
            <li>Whose is the session of Ada's cookie now? ${alive ? html`<em>${lane.visitor}'s</em>. It has come back to life.` : 'Nobody’s. Ended means ended.'}</li>
          </ol>
          <div class="rows">
            ${lane.requests.map(request => html`<p>${request.label}</p>${timeline({ ...lane, requests: [request] }, span, 24)}`)}
            ${axis(span)}
          </div>
          ${commandTable(lane, span, `Commands of the ${side} session`)}
        </article>`
  }
  return html`
    <section class="result" id="result" tabindex="-1" aria-labelledby="result-title">
      <h2 id="result-title">Ada signed out. Who comes back to life?</h2>
      ${legend}
      <div class="lanes">${lane('atomic', atomic)}${lane('ordinary', ordinary)}
      </div>
      ${measure}
    </section>`
}

type Side = keyof Lanes
const names: Record<Side, string> = { atomic: 'Atomic', ordinary: 'Ordinary' }

const legend = html`
      <ul class="legend">
        <li><span class="swatch kept"></span> request whose change was kept</li>
        <li><span class="swatch lost"></span> request whose change was not</li>
        <li><span class="swatch read"></span> read</li>
        <li><span class="swatch write"></span> write</li>
      </ul>`

const measure = html`
      <p class="quiet measure">Both sessions hold 6 kB beside their lines, as a shop's do, and are in databases of the same kind. Times
        come from diagnostics channels, in one process that serves and sends all of this at once; bytes are the arguments and
        answers of each call to the store, as BSON. The requests are the shop's own, over HTTP, since a browser opens six
        connections to a host and no more.</p>`

function figures({ requests, commands }: Lane): Html {
  const bytes = commands.reduce((sum, command) => sum + command.bytes, 0)
  return html`
          <dl>
            <div><dt>Commands</dt><dd>${commands.length}</dd></div>
            <div><dt>To and from the store</dt><dd>${kilobytes(bytes)}</dd></div>
            <div><dt>For each request</dt><dd>${kilobytes(bytes / requests.length)}</dd></div>
          </dl>`
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(bytes < 100_000 ? 1 : 0)} kB`
}
