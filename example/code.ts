import { readFileSync } from 'node:fs'
import { type Html, html } from './html.ts'

/** Lines of the shop's own code, from the one that contains `start`: what a page shows is what runs. */
export function excerpt(file: string, start: string, count: number): string {
  const lines = readFileSync(new URL(file, import.meta.url), 'utf8').split('\n')
  const first = lines.findIndex(line => line.includes(start))
  if (first < 0) throw new Error(`${file} has no line with ${start}`)
  const found = lines.slice(first, first + count)
  const indent = Math.min(...found.map(line => line.search(/\S|$/)))
  return found.map(line => line.slice(indent)).join('\n')
}

/** How a part of a page is coded, for those who want to know. */
export function howItIsCoded(code: string, note: string): Html {
  return html`
      <details class="code">
        <summary>How this is coded</summary>
        <pre tabindex="0"><code>${code}</code></pre>
        <p class="quiet">${note}</p>
      </details>`
}
