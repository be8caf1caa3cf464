import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startMongoDB } from '../test/support/mongodb/server.ts'
import { acts } from './acts.ts'
import { build, folder } from './built.ts'
import { writeCharts } from './charts.ts'
import { type Case, type Figure, Figures } from './figures.ts'
import { goals } from './goals.ts'
import { type Kept, type Load, type RunningApp, startApp, startLoad } from './processes.ts'
import { publish } from './publish.ts'
import { overlapTable, speedTables, summaryTable, trafficTable } from './tables.ts'
import { aWire, type TrafficOf } from './wire.ts'

// npm run bench -- [--quick] [--rounds 9] [--seconds 0.4] [--part acts,sizes,clients,hot,traffic,overlap]
//                  [--only read,change] [--among 'by hand,ours'] [--publish]

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    part: { type: 'string' },
    only: { type: 'string' },
    among: { type: 'string' },
    publish: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds ?? (options.quick ? 5 : 9))
const milliseconds = Number(options.seconds ?? (options.quick ? 0.1 : 0.4)) * 1000

function isWanted(given: string | undefined, name: string): boolean {
  return given === undefined || given.split(',').some(one => name === one.trim())
}

/** So named, or so begun: `ours` stands for all of ours. */
function isAmong(name: string): boolean {
  return options.among === undefined || options.among.split(',').some(one => name.startsWith(one.trim()))
}

const one = { bytes: 0, clients: 1, isHot: false }
const sizes = (options.quick ? [64] : [4, 64, 256]).map(kib => kib * 1024)

const parts: Readonly<Record<string, readonly Case[]>> = {
  acts: acts.filter(act => act !== 'increment').map(act => ({ ...one, act })),
  sizes: sizes.flatMap(bytes =>
    (['read', 'change', 'blind', 'read-and-change'] as const).map(act => ({ ...one, act, bytes })),
  ),
  clients: (options.quick ? [64] : [16, 64]).flatMap(clients =>
    (['untouched', 'read', 'change', 'blind', 'chain'] as const).map(act => ({ ...one, act, clients })),
  ),
  hot: (['read', 'increment'] as const).map(act => ({ ...one, act, clients: 64, isHot: true })),
}

build()
const { contenders } = await import('./contenders/index.ts')
const names = Object.keys(contenders).filter(isAmong)
const server = await startMongoDB()
if (!server) throw new Error('The benchmark needs a MongoDB server: see CONTRIBUTING.md')
console.log(`${server.name}, Node.js ${process.version}, ${rounds} rounds of ${milliseconds} ms`)
const load = startLoad()
try {
  const figures = new Figures(await measured(server.uri, load))
  const traffic = isWanted(options.part, 'traffic') ? await trafficOf(server.uri, load) : []
  const kept = isWanted(options.part, 'overlap') ? await keptUnderOverlap(server.uri, load) : []
  for (const table of speedTables(figures)) console.log(table)
  if (figures.all.length > 0) console.log(summaryTable(figures))
  if (traffic.length > 0) console.log(trafficTable(traffic))
  if (kept.length > 0) console.log(overlapTable(kept))
  const met = goals(figures, traffic, kept)
  console.log(met)
  const results = { server: server.name, node: process.version, rounds, figures: figures.all, traffic, kept }
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL('results.json', folder), JSON.stringify(results, null, 1))
  if (options.publish) {
    writeCharts(figures, kept)
    publish({ server: server.name, rounds, figures, traffic, kept, goals: met })
  }
} finally {
  await load.stop()
  await server.stop()
}

/** Every case of every contender, by turns: A B C, A B C. */
async function measured(uri: string, load: Load): Promise<Figure[]> {
  const cases = Object.entries(parts)
    .filter(([part]) => isWanted(options.part, part))
    .flatMap(([, cases]) => cases)
    .filter(({ act }) => isWanted(options.only, act))
  if (cases.length === 0) return []
  const figures: Figure[] = []
  await withApps(uri, async apps => {
    for (const [contender, app] of apps) await warmUp(load, app, contender)
    for (let round = 1; round <= rounds; round++) {
      for (const wanted of cases) {
        for (const [contender, app] of apps) {
          if (contenders[contender]?.lacks?.includes(wanted.act)) continue
          figures.push({ contender, ...wanted, round, ...(await measure(load, app, wanted)) })
        }
      }
      process.stderr.write(` ${round}`)
    }
    process.stderr.write('\n')
  })
  return figures
}

/** For the compiler: as many requests for each app, however fast it is. */
async function warmUp(load: Load, app: RunningApp, contender: string): Promise<void> {
  const cookies = await app.visitors(4, 0)
  for (const act of acts) {
    if (contenders[contender]?.lacks?.includes(act)) continue
    await load.apply(app, act, cookies, { milliseconds: 10_000, each: options.quick ? 100 : 500 })
  }
}

async function measure(load: Load, app: RunningApp, { act, bytes, clients, isHot }: Case) {
  const visitors = await app.visitors(isHot ? 1 : clients, bytes)
  const cookies = Array.from({ length: clients }, (_, index) => visitors[index % visitors.length] as string)
  const before = await app.cpu()
  const { requests, milliseconds: took, median, p99 } = await load.apply(app, act, cookies, { milliseconds })
  const cpu = ((await app.cpu()) - before) / requests
  return { rate: (requests / took) * 1000, cpu, median, p99 }
}

/** Counted on the way to the database, of requests that come one after another. */
async function trafficOf(uri: string, load: Load): Promise<TrafficOf[]> {
  const each = 40
  const found: TrafficOf[] = []
  const wire = await aWire(uri)
  const cases = acts
    .filter(act => act !== 'increment' && isWanted(options.only, act))
    .flatMap(act => [0, ...sizes].map(bytes => ({ act, bytes })))
  try {
    await withApps(wire.uri, async apps => {
      for (const [contender, app] of apps) {
        for (const { act, bytes } of cases) {
          if (contenders[contender]?.lacks?.includes(act)) continue
          const cookies = await app.visitors(1, bytes)
          await load.apply(app, act, cookies, { milliseconds: 10_000, each: 1 })
          const before = { ...wire.traffic }
          await load.apply(app, act, cookies, { milliseconds: 60_000, each })
          found.push({
            contender,
            act,
            bytes,
            commands: (wire.traffic.commands - before.commands) / each,
            bytesMoved: Math.round((wire.traffic.bytes - before.bytes) / each),
          })
        }
      }
    })
  } finally {
    wire.close()
  }
  return found
}

/** How many of so many increments of one session, all at once, have been kept. */
async function keptUnderOverlap(uri: string, load: Load): Promise<Kept[]> {
  const found: Kept[] = []
  await withApps(uri, async apps => {
    for (let round = 1; round <= rounds; round++) {
      for (const [contender, app] of apps) {
        if (contenders[contender]?.lacks?.includes('increment')) continue
        // A session of its own for each round.
        const [visitor] = (await app.visitors(round, 1)).slice(-1) as [string]
        const limits = { milliseconds: 60_000, each: 1 }
        await load.apply(app, 'increment', Array(200).fill(visitor), limits)
        const response = await fetch(`http://127.0.0.1:${app.port}/read`, { headers: { cookie: visitor } })
        found.push({ contender, round, kept: Number(await response.text()) })
      }
    }
  })
  return found
}

async function withApps(uri: string, act: (apps: Map<string, RunningApp>) => Promise<void>): Promise<void> {
  const apps = new Map<string, RunningApp>()
  try {
    for (const name of names) apps.set(name, await startApp(name, uri))
    await act(apps)
  } finally {
    for (const app of apps.values()) await app.stop()
  }
}
