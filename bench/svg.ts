import type { Spread } from './figures.ts'

export interface Chart {
  readonly title: string
  /** What the numbers are. */
  readonly unit: string
  readonly groups: readonly Group[]
  readonly digits: number
  /** Where a line is drawn, such as at 1 for ratios. */
  readonly line?: number
}

interface Group {
  readonly name: string
  readonly bars: readonly Bar[]
}

export interface Bar {
  readonly name: string
  readonly spread: Spread
}

const WIDTH = 800
const LEFT = 180
const RIGHT = 150
const BAR = 16
const GAP = 34

const colours: readonly (readonly [begins: string, colour: string])[] = [
  ['ours', '#0b6e4f'],
  ['by hand', '#888888'],
  ['Koa', '#888888'],
  ['bare', '#bbbbbb'],
]

/** Horizontal bars in groups, of medians, with a thin line from the least to the most. */
export function svgOf({ title, unit, groups, digits, line }: Chart): string {
  const all = groups.flatMap(({ bars }) => bars)
  const most = Math.max(line ?? 0, ...all.map(({ spread }) => spread.median)) * 1.08
  const x = (value: number) => LEFT + (Math.min(value, most) / most) * (WIDTH - LEFT - RIGHT)
  const parts: string[] = []
  let y = 60
  for (const { name, bars } of groups) {
    parts.push(`<text x="12" y="${y + 12}" font-weight="bold">${escaped(name)}</text>`)
    y += 20
    for (const { name, spread } of bars) {
      const { median, least, most } = spread
      const middle = y + BAR / 2 - 1
      parts.push(
        `<text x="${LEFT - 8}" y="${y + 11}" text-anchor="end">${escaped(name)}</text>`,
        `<rect x="${LEFT}" y="${y}" width="${(x(median) - LEFT).toFixed(1)}" height="${BAR - 3}" fill="${colourOf(name)}"/>`,
        `<path d="M${x(least).toFixed(1)} ${middle}H${x(most).toFixed(1)}" stroke="#222" stroke-width="1"/>`,
        `<text x="${WIDTH - RIGHT + 8}" y="${y + 11}">${numbers(spread, digits)}</text>`,
      )
      y += BAR
    }
    y += GAP - 20
  }
  if (line !== undefined) {
    const at = x(line).toFixed(1)
    parts.push(`<path d="M${at} 56V${y - 8}" stroke="#c33" stroke-dasharray="3 3"/>`)
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="12" role="img" aria-label="${escaped(title)}">
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="24" font-size="16" font-weight="bold">${escaped(title)}</text>
<text x="12" y="44" fill="#555">${escaped(unit)}</text>
${parts.join('\n')}
</svg>
`
}

function colourOf(name: string): string {
  return colours.find(([begins]) => name.startsWith(begins))?.[1] ?? '#4a78b5'
}

function numbers({ median, least, most }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
