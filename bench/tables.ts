import {
  type Case,
  type Figures,
  moreCPU,
  type Spread,
  spreadOf,
  timesAsFast,
  timesTheP99,
} from './figures.ts'
import type { Memory } from './memory.ts'
import type { Kept } from './processes.ts'
import type { TrafficOf } from './wire.ts'

/** A table for each case, in Markdown. */
export function* speedTables(figures: Figures): Generator<string> {
  for (const wanted of casesOf(figures)) {
    const rows = figures.contenders(wanted).map(contender => {
      const own = figures.of(contender, wanted)
      const [rate, cpu, p50, p99] = [
        own.map(({ rate }) => rate),
        own.map(({ cpu }) => cpu),
        own.map(({ median }) => median),
        own.map(({ p99 }) => p99),
      ].map(values => spreadOf(values).median) as [number, number, number, number]
      return [
        contender,
        shown(figures.beside(contender, wanted, timesAsFast), 2),
        rate.toFixed(0),
        cpu.toFixed(1),
        shown(figures.beside(contender, wanted, moreCPU), 1),
        p50.toFixed(2),
        p99.toFixed(2),
        shown(figures.beside(contender, wanted, timesTheP99), 2),
      ]
    })
    const head = [
      titleOf(wanted),
      wanted.act === 'untouched' ? 'times as fast as Koa, driver connected' : 'times as fast as by hand',
      'requests/s',
      'µs CPU',
      'more µs CPU',
      'p50 ms',
      'p99 ms',
      'times its p99',
    ]
    yield markdown([head, ...rows])
  }
}

/** How fast each contender is next to its baseline. */
export function summaryTable(figures: Figures): string {
  const cases = casesOf(figures).filter(({ isHot }) => !isHot)
  const names = [...new Set(figures.all.map(({ contender }) => contender))]
  const rows = names.map(name => [
    name,
    ...cases.map(wanted => shown(figures.beside(name, wanted, timesAsFast), 2)),
  ])
  const head = cases.map(titleOf)
  return markdown([['times as fast as by hand', ...head], ...rows])
}

export function trafficTable(traffic: readonly TrafficOf[]): string {
  const sizes = [...new Set(traffic.map(({ bytes }) => bytes))]
  const keys = [...new Set(traffic.map(({ contender, act }) => `${act}|${contender}`))]
  const rows = keys.toSorted().map(key => {
    const [act, contender] = key.split('|')
    const own = traffic.filter(one => one.act === act && one.contender === contender)
    const at = (bytes: number) => own.find(one => one.bytes === bytes)?.bytesMoved ?? ''
    return [
      String(act),
      String(contender),
      String(own[0]?.commands),
      ...sizes.map(bytes => at(bytes).toLocaleString('en')),
    ]
  })
  const head = ['request', '', 'commands', ...sizes.map(bytes => `bytes moved, ${kib(bytes)}`)]
  return markdown([head, ...rows])
}

/** What a process takes that does nothing yet, and what a request allocates. */
export function memoryTable(memories: readonly Memory[]): string {
  const cases = [...new Set(memories.flatMap(({ allocated }) => Object.keys(allocated)))]
  const rows = memories.map(({ contender, idle, allocated }) => [
    contender,
    (idle / 2 ** 20).toFixed(0),
    ...cases.map(name => {
      const bytes = allocated[name]
      return bytes === undefined ? '' : (bytes / 1024).toFixed(1)
    }),
  ])
  return markdown([['', 'idle process, MiB', ...cases.map(name => `KiB allocated, ${name}`)], ...rows])
}

export function overlapTable(kept: readonly Kept[]): string {
  const names = [...new Set(kept.map(({ contender }) => contender))]
  const rows = names.map(name => [
    name,
    shown(spreadOf(kept.filter(({ contender }) => contender === name).map(one => one.kept)), 0),
  ])
  return markdown([['200 increments of one session at once', 'kept'], ...rows])
}

export function casesOf({ all }: Figures): Case[] {
  const cases = all.map(({ act, bytes, clients, isHot }) => ({ act, bytes, clients, isHot }))
  return [...new Map(cases.map(one => [titleOf(one), one])).values()]
}

export function titleOf({ act, bytes, clients, isHot }: Case): string {
  const who = clients === 1 ? 'one client' : `${clients} clients${isHot ? ', one session' : ''}`
  return `${act}, ${kib(bytes)}, ${who}`
}

export function shown(spread: Spread | undefined, digits: number): string {
  if (!spread) return ''
  const { median, least, most } = spread
  return `${median.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`
}

export function kib(bytes: number): string {
  return `${bytes / 1024} KiB`
}

export function markdown([head = [], ...rows]: string[][]): string {
  const lines = [head, head.map((_, at) => (at === 0 ? '---' : '---:')), ...rows]
  return `${lines.map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`
}
