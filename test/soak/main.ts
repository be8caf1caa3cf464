import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { AppProcess } from '../chaos/app.ts'
import { aPlace } from '../chaos/place.ts'
import type { Measurement } from '../chaos/process.ts'
import { ChaosVisitor, type Traffic } from '../chaos/visitor.ts'
import { Random } from '../support/linearizability/random.ts'
import { median } from '../support/median.ts'

// npm run soak -- --minutes 30 [--outage 10] [--store mongodb|sqlite] [--seed 1]
// With --outage the store is away for the last so many of the minutes but the very last two.

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    outage: { type: 'string', default: '0' },
    store: { type: 'string', default: 'mongodb' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})

const MINUTE = 60_000
const VISITORS = 24
/** Milliseconds between two measurements. */
const STEP = 10_000
/** Of the run, after which caches and compiled code have come to their size. */
const WARM_UP = 0.2

const MEBIBYTE = 1024 * 1024
/** What noise may look like; a leak of a few bytes a request is more within minutes. */
const MOST_GROWTH = { heap: 4 * MEBIBYTE, rss: 32 * MEBIBYTE, handles: 8 }

const length = Number(values.minutes) * MINUTE
const outage = Number(values.outage) * MINUTE
const seed = Number(values.seed)
const { name, place, remove } = await aPlace(values.store)
console.log(`seed ${seed}, ${values.minutes} minutes, ${name}`)

const app = await AppProcess.on(place)
const measurements: Measurement[] = []
const violations: string[] = []
let requests = 0
try {
  await app.start(0)
  const end = performance.now() + length
  const traffic: Traffic = {
    origin: () => app.origin,
    violate: what => violations.push(what),
    count: () => requests++,
    isOver: () => performance.now() > end || violations.length > 0,
  }
  const living = Array.from({ length: VISITORS }, (_, index) =>
    new ChaosVisitor(`v${index}`, new Random(seed * VISITORS + index), traffic).live(),
  )
  const begins = end - outage - 2 * MINUTE
  let isAway = false
  while (!traffic.isOver()) {
    await delay(STEP)
    const now = performance.now()
    if (outage > 0 && isAway !== (now > begins && now < begins + outage)) {
      isAway = !isAway
      await (isAway ? app.proxy?.refuse() : app.proxy?.heal())
    }
    const measurement = await app.measure()
    measurements.push(measurement)
    console.log(shown(measurement), `${requests} requests`, isAway ? 'store away' : '')
  }
  await Promise.all(living)
} finally {
  await app.close()
  await remove()
}

for (const fault of [...violations, ...growths()]) {
  console.error(fault)
  process.exitCode = 1
}
if (!process.exitCode) console.log('Flat')

function shown({ rss, heapUsed, handles, delay, longestDelay }: Measurement): string {
  return [
    `rss ${(rss / MEBIBYTE).toFixed(1)} MiB`,
    `heap ${(heapUsed / MEBIBYTE).toFixed(1)} MiB`,
    `${handles} handles`,
    `event loop p99 ${delay.toFixed(1)} ms, most ${longestDelay.toFixed(1)} ms`,
  ].join('  ')
}

/** Compares the middles of the first and the last third, after the warm-up. */
function growths(): string[] {
  const warm = measurements.slice(Math.floor(measurements.length * WARM_UP))
  const third = Math.floor(warm.length / 3)
  if (third === 0) return ['Too short to judge']
  const growth = (of: (measurement: Measurement) => number) =>
    median(warm.slice(-third).map(of)) - median(warm.slice(0, third).map(of))
  const grown = {
    heap: growth(({ heapUsed }) => heapUsed),
    rss: growth(({ rss }) => rss),
    // There are fewer while the store is away, so peaks are compared.
    handles: peak(warm.slice(-third)) - peak(measurements.slice(0, -third)),
  }
  console.log(
    `growth: heap ${(grown.heap / MEBIBYTE).toFixed(2)} MiB, rss ${(grown.rss / MEBIBYTE).toFixed(2)} MiB,`,
    `${grown.handles} handles`,
  )
  return Object.entries(MOST_GROWTH).flatMap(([what, most]) =>
    grown[what as keyof typeof grown] > most ? `The process grows: ${what}` : [],
  )
}

function peak(some: readonly Measurement[]): number {
  return Math.max(...some.map(({ handles }) => handles))
}
