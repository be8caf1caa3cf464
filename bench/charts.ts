import { writeFileSync } from 'node:fs'
import { type Case, type Figures, spreadOf, storeOf, timesAsFast } from './figures.ts'
import type { Kept } from './processes.ts'
import { type Bar, type Chart, svgOf } from './svg.ts'

const docs = new URL('../docs/', import.meta.url)

/** Writes what README and docs/speed.md show, as far as this run has measured it. */
export function writeCharts(figures: Figures, kept: readonly Kept[]): void {
  const unit =
    'requests per second, times as many as by hand on the same store; 16 clients; median, least and most'
  const change: Case = { act: 'change', bytes: 0, clients: 16, isHot: false }
  write('bench-speed', {
    title: 'Changing one field of a small session',
    unit,
    groups: speeds(figures, change),
    digits: 2,
    line: 1,
  })
  write('bench-sizes', {
    title: 'Changing one field of a session of 64 KiB',
    unit,
    groups: speeds(figures, { ...change, bytes: 64 * 1024 }),
    digits: 2,
    line: 1,
  })
  const names = [...new Set(kept.map(({ contender }) => contender))]
  write('bench-overlap', {
    title: 'Of 200 increments of one session at once, kept',
    unit: 'median, least and most',
    groups: [...new Set(names.map(storeOf))].map(store => ({
      name: store,
      bars: names
        .filter(name => storeOf(name) === store)
        .map(name => ({
          name: name.replace(/ \(.*/, ''),
          spread: spreadOf(kept.filter(({ contender }) => contender === name).map(one => one.kept)),
        })),
    })),
    digits: 0,
  })
}

function write(name: string, chart: Chart): void {
  const groups = chart.groups.filter(({ bars }) => bars.length > 0)
  if (groups.length > 0) writeFileSync(new URL(`${name}.svg`, docs), svgOf({ ...chart, groups }))
}

/** A group for each store. */
function speeds(figures: Figures, wanted: Case): Chart['groups'] {
  const names = figures.contenders(wanted)
  return [...new Set(names.map(storeOf))].map(store => ({
    name: store,
    bars: names.filter(name => storeOf(name) === store).flatMap(name => bar(figures, name, wanted)),
  }))
}

function bar(figures: Figures, contender: string, wanted: Case): Bar[] {
  const spread = figures.beside(contender, wanted, timesAsFast)
  return spread ? [{ name: contender.replace(/ \(.*/, ''), spread }] : []
}
