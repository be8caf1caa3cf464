import { type Html, html } from '../html.ts'
import type { Command } from './recording.ts'
import type { Lane } from './runner.ts'
import type { Request } from './sender.ts'

/** One cell for each request: full if its line was kept, hollow if it was lost. */
export function keptBar({ requests, kept }: Lane): Html {
  const numbers = new Set(kept)
  return html`
    <svg class="bar" viewBox="0 0 ${requests.length * 4} 24" preserveAspectRatio="none" role="img"
      aria-label="${kept.length} of ${requests.length} lines were kept">
      ${requests.map(
        ({ number }, index) => html`
      <rect class="${numbers.has(number) ? 'kept' : 'lost'}" x="${index * 4 + 0.5}" y="0.5" width="3" height="23"/>`,
      )}
    </svg>`
}

/** From when to when a timeline goes, in milliseconds of `performance.now()`. */
export interface Span {
  readonly from: number
  readonly to: number
}

export function spanOf(lanes: readonly Lane[]): Span {
  const requests = lanes.flatMap(lane => lane.requests)
  return {
    from: Math.min(...requests.map(({ began }) => began)),
    to: Math.max(...requests.map(({ ended }) => ended)),
  }
}

function lengthOf({ from, to }: Span): number {
  return to - from
}

const WIDTH = 1000

/** One row for each request, with its commands and refreshes upon it. */
export function timeline({ requests, commands, refreshes, kept }: Lane, span: Span, rowHeight: number): Html {
  const numbers = new Set(kept)
  const x = (at: number) => (((at - span.from) / lengthOf(span)) * WIDTH).toFixed(1)
  const width = (milliseconds: number, least: number) =>
    Math.max(least, (milliseconds / lengthOf(span)) * WIDTH).toFixed(1)
  const row = ({ number, began, ended }: Request, index: number) => {
    const place = html`y="${index * rowHeight}" height="${rowHeight * 0.8}"`
    return html`
      <rect class="request ${numbers.has(number) ? 'kept' : 'lost'}" ${place} x="${x(began)}" width="${width(ended - began, 1)}"/>
      ${commands
        .filter(({ request }) => request === number)
        .map(
          command => html`
      <rect class="${isWrite(command) ? 'write' : 'read'}" ${place} x="${x(command.began)}" width="${width(command.milliseconds, 3)}">
        <title>Request ${number}: ${nameOf(command)}, ${command.milliseconds.toFixed(2)} ms, ${command.bytes} bytes</title>
      </rect>`,
        )}${refreshes
        .filter(({ request }) => request === number)
        .map(
          refresh => html`
      <rect class="refresh ${refresh.isRejected && 'rejected'}" ${place} x="${x(refresh.began)}" width="${width(refresh.milliseconds, 3)}">
        <title>Request ${number}: refresh, ${refresh.isRejected ? 'rejected' : 'granted'}</title>
      </rect>`,
        )}`
  }
  const height = requests.length * rowHeight
  return html`
    <svg class="timeline" viewBox="0 0 ${WIDTH} ${height}" height="${height}" preserveAspectRatio="none" role="img"
      aria-label="When each request and its commands ran; the table below has the same in figures">
      ${requests.map(row)}
    </svg>`
}

export function axis(span: Span): Html {
  const at = (part: number) => html`<span>${Math.round(part * lengthOf(span))} ms</span>`
  return html`<p class="axis">${[0, 0.5, 1].map(at)}</p>`
}

/** Every command, in the order they were begun. */
export function commandTable({ commands }: Lane, { from }: Span, caption: string): Html {
  const inOrder = commands.toSorted((a, b) => a.began - b.began)
  return html`
    <details>
      <summary>All ${commands.length} commands</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="${caption}">
        <table>
          <thead><tr><th><abbr title="request">No.</abbr></th><th>At, ms</th><th>Command</th><th>ms</th><th>Bytes</th></tr></thead>
          <tbody>${inOrder.map(
            command => html`
            <tr><td>${command.request}</td><td>${Math.round(command.began - from)}</td><td>${nameOf(command)}: ${command.result}</td>
              <td>${command.milliseconds.toFixed(1)}</td><td>${command.bytes}</td></tr>`,
          )}
          </tbody>
        </table>
      </div>
    </details>`
}

function nameOf({ method, operators }: Command): string {
  return [method, ...new Set(operators)].join(' ')
}

function isWrite({ method }: Command): boolean {
  return !['load', 'read', 'get'].includes(method)
}
