import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { acts } from './acts.ts'
import { build, folder } from './built.ts'
import { writeCharts } from './charts.ts'
import { type Case, type Figure, Figures, storeOf } from './figures.ts'
import { goals } from './goals.ts'
import { allocatedBy, idleOf, type Memory } from './memory.ts'
import { type Kept, type RunningApp, startApp, startLoad } from './processes.ts'
import { publish } from './publish.ts'
import { Servers } from './servers.ts'
import { memoryTable, overlapTable, speedTables, summaryTable, trafficTable } from './tables.ts'
import { aWire, type TrafficOf } from './wire.ts'

// npm run bench -- [--all] [--store redis,sqlite] [--rounds 9] [--seconds 0.4] [--only read,change] [--among 'by hand,ours']
//                  [--part stores,acts,sizes,clients,hot,traffic,overlap,memory] [--publish]

const { values: options } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    store: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    part: { type: 'string' },
    only: { type: 'string' },
    among: { type: 'string' },
    publish: { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds ?? 9)
const milliseconds = Number(options.seconds ?? 0.4) * 1000

const one = { bytes: 0, clients: 1, isHot: false }
const LARGE = 64 * 1024
const loaded = (['read', 'change', 'blind'] as const).flatMap(act =>
  [0, LARGE].map(bytes => ({ ...one, act, bytes, clients: 16 })),
)

/** `stores` alone is measured, unless all is, or parts are named. */
const parts: Readonly<Record<string, readonly Case[]>> = {
  stores: loaded,
  acts: acts.filter(act => act !== 'increment').map(act => ({ ...one, act })),
  sizes: [16 * 1024, LARGE].flatMap(bytes =>
    (['read', 'change', 'blind', 'read-and-change'] as const).map(act => ({ ...one, act, bytes })),
  ),
  clients: [16, 64].flatMap(clients =>
    (['untouched', 'read', 'change', 'blind', 'chain'] as const)
      .map(act => ({ ...one, act, clients }))
      .filter(({ act }) => clients !== 16 || !loaded.some(other => other.act === act)),
  ),
  hot: (['read', 'increment'] as const).map(act => ({ ...one, act, clients: 64, isHot: true })),
}
const always = ['stores', 'traffic', 'overlap', 'memory']

function isPart(name: string): boolean {
  return options.part === undefined ? options.all || always.includes(name) : isNamed(options.part, name)
}

function isNamed(given: string | undefined, name: string): boolean {
  return given === undefined || given.split(',').some(one => name.toLowerCase() === one.trim().toLowerCase())
}

/** So begun: `ours` stands for all of ours. */
function isAmong(name: string): boolean {
  if (options.store !== undefined && !isNamed(options.store, storeOf(name))) return false
  return options.among === undefined || options.among.split(',').some(one => name.startsWith(one.trim()))
}

/** What requests that come one after another do, where it is counted rather than timed. */
const counted = acts
  .filter(act => act !== 'increment' && act !== 'untouched' && isNamed(options.only, act))
  .flatMap(act => [0, LARGE].map(bytes => ({ act, bytes })))

build()
const { contenders } = await import('./contenders/index.ts')
const cases = Object.entries(parts)
  .filter(([part]) => isPart(part))
  .flatMap(([, cases]) => cases)
  .filter(({ act }) => isNamed(options.only, act))
const names = Object.keys(contenders).filter(
  name => isAmong(name) && (can(name, 'read') || cases.some(({ act }) => can(name, act))),
)
const servers = await Servers.start(names)
console.log(`${servers.name}, Node.js ${process.version}, ${rounds} rounds of ${milliseconds} ms`)
const load = startLoad()
try {
  const figures = new Figures(await measured())
  const traffic = isPart('traffic') ? await trafficOf() : []
  const kept = isPart('overlap') ? await keptUnderOverlap() : []
  const memories = isPart('memory') ? await memoriesOf() : []
  for (const table of speedTables(figures)) console.log(table)
  if (figures.all.length > 0) console.log(summaryTable(figures))
  if (traffic.length > 0) console.log(trafficTable(traffic))
  if (memories.length > 0) console.log(memoryTable(memories))
  if (kept.length > 0) console.log(overlapTable(kept))
  const met = goals(figures, traffic, kept)
  console.log(met)
  const results = { servers: servers.name, node: process.version, rounds, traffic, kept, memories }
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    new URL('results.json', folder),
    JSON.stringify({ ...results, figures: figures.all }, null, 1),
  )
  if (options.publish) {
    writeCharts(figures, kept)
    publish({ ...results, figures, goals: met })
  }
} finally {
  await load.stop()
  await servers.stop()
}

function can(contender: string, act: Case['act']): boolean {
  return !contenders[contender]?.lacks?.includes(act)
}

/** Every case of every contender, by turns: A B C, A B C. */
async function measured(): Promise<Figure[]> {
  const figures: Figure[] = []
  if (cases.length === 0) return figures
  await withApps(names, async apps => {
    for (const [contender, app] of apps) await warmUp(app, contender)
    for (let round = 1; round <= rounds; round++) {
      for (const wanted of cases) {
        for (const [contender, app] of apps) {
          if (!can(contender, wanted.act)) continue
          figures.push({ contender, ...wanted, round, ...(await measure(app, wanted)) })
        }
      }
      process.stderr.write(` ${round}`)
    }
    process.stderr.write('\n')
  })
  return figures
}

/** For the compiler: as many requests for each app, however fast it is. */
async function warmUp(app: RunningApp, contender: string): Promise<void> {
  const cookies = await app.visitors(4, 0)
  for (const act of new Set(cases.map(({ act }) => act))) {
    if (can(contender, act)) await load.apply(app, act, cookies, { milliseconds: 10_000, each: 150 })
  }
}

async function measure(app: RunningApp, { act, bytes, clients, isHot }: Case) {
  const visitors = await app.visitors(isHot ? 1 : clients, bytes)
  const cookies = Array.from({ length: clients }, (_, index) => visitors[index % visitors.length] as string)
  const before = await app.used()
  const { requests, milliseconds: took, median, p99 } = await load.apply(app, act, cookies, { milliseconds })
  const cpu = ((await app.used()).cpu - before.cpu) / requests
  return { rate: (requests / took) * 1000, cpu, median, p99 }
}

/** Counted on the way to the database. */
async function trafficOf(): Promise<TrafficOf[]> {
  const each = 40
  const found: TrafficOf[] = []
  for (const contender of names) {
    const uri = servers.uriFor(contender)
    if (uri === '') continue
    const wire = await aWire(uri)
    const app = await startApp(contender, wire.uri)
    try {
      for (const { act, bytes } of counted) {
        if (!can(contender, act)) continue
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
    } finally {
      await app.stop()
      wire.close()
    }
  }
  return found
}

async function memoriesOf(): Promise<Memory[]> {
  const found: Memory[] = []
  for (const contender of names) {
    const cases = counted.filter(({ act }) => act === 'read' || act === 'change')
    const named = cases.map(({ act, bytes }) => ({ name: `${act}, ${bytes / 1024} KiB`, act, bytes }))
    const possible = named.filter(({ act }) => can(contender, act))
    const allocated = await allocatedBy(contender, servers.uriFor(contender), load, possible)
    found.push({ contender, idle: idleOf(contender), allocated })
  }
  return found
}

/** How many of so many increments of one session, all at once, have been kept. */
async function keptUnderOverlap(): Promise<Kept[]> {
  const found: Kept[] = []
  const able = names.filter(name => can(name, 'increment'))
  await withApps(able, async apps => {
    for (let round = 1; round <= rounds; round++) {
      for (const [contender, app] of apps) {
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

async function withApps(
  wanted: readonly string[],
  act: (apps: Map<string, RunningApp>) => Promise<void>,
): Promise<void> {
  const apps = new Map<string, RunningApp>()
  try {
    for (const name of wanted) apps.set(name, await startApp(name, servers.uriFor(name)))
    await act(apps)
  } finally {
    for (const app of apps.values()) await app.stop()
  }
}
