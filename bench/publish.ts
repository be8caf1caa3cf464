import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { type Act, acts } from './acts.ts'
import { baselineOf, type Case, type Figure, type Figures, spreadOf, timesAsFast } from './figures.ts'
import type { Kept } from './processes.ts'
import { kib, markdown, overlapTable, shown, trafficTable } from './tables.ts'
import type { TrafficOf } from './wire.ts'

export interface Results {
  readonly server: string
  readonly rounds: number
  readonly figures: Figures
  readonly traffic: readonly TrafficOf[]
  readonly kept: readonly Kept[]
  /** As the run prints them. */
  readonly goals: string
}

const root = new URL('../', import.meta.url)

/** Writes what a whole run has found into the README and docs/speed.md, between their marks. */
export function publish(results: Results): void {
  const { figures, kept, traffic, goals } = results
  const measured = acts.filter(act => act !== 'increment')
  const single = measured.map(act => at(act))
  const many = (['read', 'change', 'blind', 'chain'] as const).map(act => at(act, 64))
  const hot = (['read', 'increment'] as const).map(act => ({ ...at(act, 64), isHot: true }))
  const sizes = [0, 4, 64, 256].flatMap(size => [at('change', 1, size * 1024), at('blind', 1, size * 1024)])
  const loads = [1, 16, 64].flatMap(clients => [at('read', clients), at('change', clients)])
  const machine = `${availableParallelism()} processors (${process.arch})`
  const run = `From one run on ${results.server}, ${machine}, Node.js ${process.version}, ${results.rounds} rounds.`

  replace('README.md', [run, overlapTable(kept)])
  replace('docs/speed.md', [
    run,
    'Requests per second, times as many as by hand (`untouched`: as Koa with the driver connected):',
    '![Requests per second, one client](bench-speed.svg)',
    table(figures, 'requests per second', single, speed),
    '![Requests per second, 64 clients](bench-clients.svg)',
    table(figures, 'requests per second', [...many, ...hot], speed),
    'Microseconds of CPU of the app’s process for each request:',
    '![CPU per request, one client](bench-cpu.svg)',
    table(figures, 'µs of CPU', [...single, ...many], value('cpu', 0)),
    '![CPU of changing one field, by the size of the session](bench-sizes.svg)',
    table(figures, 'µs of CPU', sizes, value('cpu', 0)),
    'The 99th percentile of the time to an answer, milliseconds:',
    table(figures, 'p99, ms', loads, value('p99', 1)),
    'Commands to the database, and bytes there and back, for each request:',
    trafficTable(traffic),
    overlapTable(kept),
    'Our goals, as the run prints them:',
    goals.replaceAll(/^/gm, '- '),
  ])
}

type Cell = (figures: Figures, contender: string, wanted: Case) => string

const speed: Cell = (figures, contender, wanted) =>
  shown(figures.compared([contender, wanted], [baselineOf(wanted), wanted], timesAsFast), 2)

function value(of: 'cpu' | 'p99', digits: number): Cell {
  return (figures, contender, wanted) => {
    const own: readonly Figure[] = figures.of(contender, wanted)
    return own.length > 0 ? shown(spreadOf(own.map(figure => figure[of])), digits) : ''
  }
}

function table(figures: Figures, what: string, wanted: readonly Case[], cell: Cell): string {
  const cases = wanted.filter(one => figures.contenders(one).length > 0)
  const names = [...new Set(figures.all.map(({ contender }) => contender))]
  const rows = names.map(name => [name, ...cases.map(wanted => cell(figures, name, wanted))])
  const filled = rows.filter(([, ...cells]) => cells.some(text => text !== ''))
  return markdown([[what, ...cases.map(named)], ...filled])
}

function named({ act, bytes, clients, isHot }: Case): string {
  const size = bytes > 0 ? `, ${kib(bytes)}` : ''
  return `${act}${size}${clients > 1 ? `, ${clients} clients` : ''}${isHot ? ', one session' : ''}`
}

function at(act: Act, clients = 1, bytes = 0): Case {
  return { act, bytes, clients, isHot: false }
}

function replace(file: string, parts: readonly string[]): void {
  const path = new URL(file, root)
  const text = `<!-- figures -->\n\n${parts.map(part => part.trim()).join('\n\n')}\n\n<!-- end of figures -->`
  const before = readFileSync(path, 'utf8')
  writeFileSync(
    path,
    before.replace(/<!-- figures -->.*?<!-- end of figures -->/s, () => text),
  )
}
