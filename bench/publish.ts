import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { type Case, type Figure, type Figures, spreadOf, timesAsFast } from './figures.ts'
import type { Memory } from './memory.ts'
import type { Kept } from './processes.ts'
import { casesOf, kib, markdown, memoryTable, overlapTable, shown, titleOf, trafficTable } from './tables.ts'
import type { TrafficOf } from './wire.ts'

export interface Results {
  readonly servers: string
  readonly rounds: number
  readonly figures: Figures
  readonly traffic: readonly TrafficOf[]
  readonly kept: readonly Kept[]
  readonly memories: readonly Memory[]
  /** As the run prints them. */
  readonly goals: string
}

const root = new URL('../', import.meta.url)

/** Writes what a whole run has found into the README and docs/speed.md, between their marks. */
export function publish(results: Results): void {
  const { figures, kept, traffic, memories, goals } = results
  const machine = `${availableParallelism()} processors (${process.arch})`
  const run = `From one run on ${results.servers}, ${machine}, Node.js ${process.version}, ${results.rounds} rounds.`
  const many = { clients: 16, isHot: false }
  const loaded = (['read', 'change', 'blind'] as const).flatMap(act =>
    [0, 64 * 1024].map(bytes => ({ ...many, act, bytes })),
  )
  const others = casesOf(figures).filter(one => !loaded.some(other => titleOf(other) === titleOf(one)))

  replace('README.md', [run, '![Of 200 increments, kept](docs/bench-overlap.svg)', overlapTable(kept)])
  replace('docs/speed.md', [
    run,
    '16 clients. Requests per second, times as many as by hand on the same store:',
    '![Changing one field of a session of 64 KiB](bench-sizes.svg)',
    '![Changing one field of a small session](bench-speed.svg)',
    table(figures, 'requests per second', loaded, speed),
    'Microseconds of CPU of the app’s process for each request:',
    table(figures, 'µs of CPU', loaded, value('cpu', 0)),
    'The 99th percentile of the time to an answer, milliseconds:',
    table(figures, 'p99, ms', loaded, value('p99', 1)),
    ...groupsOf(others).flatMap(([title, cases]) => [
      title,
      table(figures, 'requests per second', cases, speed),
    ]),
    'Memory of a process that has started and answers nobody, and what a request allocates:',
    memoryTable(memories),
    'Commands to the database, and bytes there and back, for each request:',
    trafficTable(traffic),
    overlapTable(kept),
    'Our goals, as the run prints them:',
    goals.replaceAll(/^/gm, '- '),
  ])
}

/** Tables that a page has room for. */
function groupsOf(cases: readonly Case[]): [title: string, cases: readonly Case[]][] {
  const groups: [string, readonly Case[]][] = [
    [
      'One client (`untouched`: times as many as Koa with the driver connected):',
      cases.filter(({ clients, bytes }) => clients === 1 && bytes === 0),
    ],
    ['One client, larger sessions:', cases.filter(({ clients, bytes }) => clients === 1 && bytes > 0)],
    ['More clients:', cases.filter(({ clients }) => clients > 1)],
  ]
  return groups.filter(([, some]) => some.length > 0)
}

type Cell = (figures: Figures, contender: string, wanted: Case) => string

const speed: Cell = (figures, contender, wanted) => shown(figures.beside(contender, wanted, timesAsFast), 2)

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

function replace(file: string, parts: readonly string[]): void {
  const path = new URL(file, root)
  const text = `<!-- figures -->\n\n${parts.map(part => part.trim()).join('\n\n')}\n\n<!-- end of figures -->`
  const before = readFileSync(path, 'utf8')
  writeFileSync(
    path,
    before.replace(/<!-- figures -->.*?<!-- end of figures -->/s, () => text),
  )
}
