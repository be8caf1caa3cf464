import type { Act } from './acts.ts'
import {
  type Case,
  type Figures,
  moreCPU,
  type Spread,
  spreadOf,
  timesAsFast,
  timesTheCPU,
  timesTheP99,
} from './figures.ts'
import type { Kept } from './processes.ts'
import { shown } from './tables.ts'
import type { TrafficOf } from './wire.ts'

const OURS = 'ours (MongoDB)'
const BY_HAND = 'by hand (MongoDB)'
const PEERS = ['koa-session', 'koa-generic-session', 'express-session', '@fastify/session'].map(
  name => `${name} (MongoDB)`,
)
const STORES = ['Redis', 'PostgreSQL', 'SQLite', 'memory']

/** What we promise ourselves, and whether this run shows it: medians of ratios within one round. */
export function goals(figures: Figures, traffic: readonly TrafficOf[], kept: readonly Kept[]): string {
  const lines: string[] = []
  const goal = (what: string, spread: Spread | undefined, isMet: (median: number) => boolean) => {
    if (spread) lines.push(`${isMet(spread.median) ? 'met    ' : 'NOT MET'} ${what}: ${shown(spread, 2)}`)
  }
  const at = (act: Act, clients = 1, bytes = 0, isHot = false): Case => ({ act, bytes, clients, isHot })
  const fast = (wanted: Case, baseline = BY_HAND) =>
    figures.compared([OURS, wanted], [baseline, wanted], timesAsFast)

  goal(
    'untouched at least 0.97 of Koa with the driver connected',
    fast(at('untouched'), 'Koa, driver connected'),
    median => median >= 0.97,
  )
  for (const [act, least] of [
    ['read', 0.9],
    ['change', 0.9],
    ['blind', 0.95],
  ] as const) {
    goal(`${act}, one client, at least ${least} of by hand`, fast(at(act)), median => median >= least)
    const more = figures.compared([OURS, at(act)], [BY_HAND, at(act)], moreCPU)
    goal(`${act}, one client, at most 15 µs of CPU more than by hand`, more, median => median <= 15)
  }
  for (const [act, least] of [
    ['read', 2],
    ['change', 1.2],
  ] as const) {
    const wanted = at(act, 64)
    goal(`${act}, 64 clients, at least ${least} times by hand`, fast(wanted), median => median >= least)
    const cpu = figures.compared([OURS, wanted], [BY_HAND, wanted], timesTheCPU)
    goal(
      `${act}, 64 clients, at most half the CPU of by hand, all of the request`,
      cpu,
      median => median <= 0.5,
    )
    const call = callsCPU(figures, wanted)
    goal(
      `${act}, 64 clients, at most half the CPU of by hand, beyond an untouched request`,
      call,
      median => median <= 0.5,
    )
  }
  for (const clients of [1, 16, 64]) {
    for (const act of ['read', 'change'] as const) {
      const wanted = at(act, clients)
      const p99 = figures.compared([OURS, wanted], [BY_HAND, wanted], timesTheP99)
      goal(`${act}, ${clients} clients, p99 no higher than by hand`, p99, median => median <= 1.05)
    }
  }
  const large = 64 * 1024
  for (const act of ['change', 'blind'] as const) {
    const cpu = figures.compared([OURS, at(act, 1, large)], [OURS, at(act)], timesTheCPU)
    goal(`${act} at 64 KiB, CPU within 10 % of that at 0 KiB`, cpu, median => median <= 1.1)
    const [small, big] = [0, large].map(
      bytes =>
        traffic.find(one => one.contender === OURS && one.act === act && one.bytes === bytes)?.bytesMoved,
    )
    if (small && big) {
      const ratio = big / small
      goal(`${act} at 64 KiB, bytes within 10 % of those at 0 KiB`, same(ratio), () => ratio <= 1.1)
    }
  }
  for (const peer of PEERS) {
    const wanted = at('change', 1, large)
    const cpu = figures.compared([peer, wanted], [OURS, wanted], timesTheCPU)
    goal(`change at 64 KiB, ${peer} takes at least 6 times our CPU`, cpu, median => median >= 6)
    for (const act of ['untouched', 'read', 'change', 'blind', 'chain', 'read-and-change'] as const) {
      goal(`${act}, one client, ahead of ${peer}`, fast(at(act), peer), median => median > 1)
    }
  }
  for (const store of STORES) {
    const wanted = at('change', 16, large)
    const beside = figures.beside(`ours (${store})`, wanted, timesAsFast)
    goal(`change at 64 KiB, 16 clients, ${store}, at least 0.5 of by hand`, beside, median => median >= 0.5)
    for (const peer of ['koa-session', 'express-session']) {
      const ratio = figures.compared([`ours (${store})`, wanted], [`${peer} (${store})`, wanted], timesAsFast)
      goal(`change at 64 KiB, 16 clients, ${store}, ahead of ${peer}`, ratio, median => median > 1)
    }
  }
  const ours = kept.filter(({ contender }) => contender.startsWith('ours')).map(one => one.kept)
  if (ours.length > 0) {
    goal('200 of 200 overlapping increments kept', same(Math.min(...ours)), least => least === 200)
  }
  return lines.join('\n')
}

/** What our request takes beyond one that does not touch its session, next to what the one by hand does. */
function callsCPU(figures: Figures, wanted: Case): Spread | undefined {
  const plain = figures.of('Koa, driver connected', { ...wanted, act: 'untouched' })
  const beyond = (contender: string) => {
    const own = figures.of(contender, wanted)
    return plain.map(({ round, cpu }) => (own.find(one => one.round === round)?.cpu ?? Number.NaN) - cpu)
  }
  const byHand = beyond(BY_HAND)
  const ratios = beyond(OURS).map((cpu, index) => cpu / (byHand[index] ?? Number.NaN))
  return ratios.length > 0 ? spreadOf(ratios) : undefined
}

function same(value: number): Spread {
  return { median: value, least: value, most: value }
}
