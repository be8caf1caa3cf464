import { writeFileSync } from 'node:fs'
import { type Act, acts } from './acts.ts'
import { baselineOf, type Case, type Figure, type Figures, spreadOf, timesAsFast } from './figures.ts'
import type { Kept } from './processes.ts'
import { type Bar, type Chart, svgOf } from './svg.ts'
import { kib } from './tables.ts'

const docs = new URL('../docs/', import.meta.url)

/** Writes what docs/speed.md shows, as far as this run has measured it. */
export function writeCharts(figures: Figures, kept: readonly Kept[]): void {
  const at = (act: Act, clients = 1, bytes = 0): Case => ({ act, bytes, clients, isHot: false })
  const measured = acts.filter(act => act !== 'increment')
  const sizes = [0, 4, 64, 256].map(size => size * 1024)

  write('bench-speed', {
    title: 'Requests per second, one client',
    unit: 'times as many as by hand (untouched: as Koa with the driver connected); median, least and most',
    groups: measured.map(act => ({ name: act, bars: speeds(figures, at(act)) })),
    digits: 2,
    line: 1,
  })
  write('bench-clients', {
    title: 'Requests per second, 64 clients',
    unit: 'times as many as by hand; median, least and most',
    groups: (['read', 'change', 'blind', 'chain'] as const).map(act => ({
      name: act,
      bars: speeds(figures, at(act, 64)),
    })),
    digits: 2,
    line: 1,
  })
  write('bench-cpu', {
    title: 'CPU per request, one client',
    unit: 'µs of the app’s process; median, least and most',
    groups: measured.map(act => ({ name: act, bars: bars(figures, at(act), ({ cpu }) => cpu) })),
    digits: 0,
  })
  write('bench-sizes', {
    title: 'CPU of changing one field, by the size of the session',
    unit: 'µs of the app’s process for each request, one client; median, least and most',
    groups: sizes.map(bytes => ({
      name: kib(bytes),
      bars: bars(figures, at('change', 1, bytes), ({ cpu }) => cpu),
    })),
    digits: 0,
  })
  const names = [...new Set(kept.map(({ contender }) => contender))]
  write('bench-overlap', {
    title: 'Of 200 increments of one session at once, kept',
    unit: 'median, least and most',
    groups: [
      {
        name: '',
        bars: names.map(name => ({
          name,
          spread: spreadOf(kept.filter(({ contender }) => contender === name).map(one => one.kept)),
        })),
      },
    ],
    digits: 0,
  })
}

function write(name: string, chart: Chart): void {
  const groups = chart.groups.filter(({ bars }) => bars.length > 0)
  if (groups.length > 0) writeFileSync(new URL(`${name}.svg`, docs), svgOf({ ...chart, groups }))
}

function speeds(figures: Figures, wanted: Case): Bar[] {
  const baseline = baselineOf(wanted)
  return figures.contenders(wanted).flatMap(name => {
    const spread = figures.compared([name, wanted], [baseline, wanted], timesAsFast)
    return spread ? [{ name, spread }] : []
  })
}

function bars(figures: Figures, wanted: Case, value: (figure: Figure) => number): Bar[] {
  return figures
    .contenders(wanted)
    .map(name => ({ name, spread: spreadOf(figures.of(name, wanted).map(value)) }))
}
