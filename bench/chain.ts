import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Koa from 'koa'
import type { MongoDBCollection, Store } from '../src/index.ts'
import { build, library } from './built.ts'

// What a chain of three commands costs of our own CPU, next to the same update document built by hand, on a collection
// that does nothing: npx tsx bench/chain.ts [rounds]

build()
const { default: Session, mongoStore } = await library<typeof import('../src/index.ts')>('index')
const ROUNDS = Number(process.argv[2] ?? 31)
/** In one request, which is made before. */
const CHAINS = 20
const REQUESTS = 300
/** So few that nothing is collected while they run. */
const REQUESTS_WEIGHED = 10
const GOAL = 15

const far = new Date(Date.now() + 1e9)
const answer = { rev: 7, data: { theme: 'dark', views: 12, log: ['a', 'b', 'c'] } }
const stored = { ...answer, _id: 'a'.repeat(64), created: new Date(), expires: far, maxAge: 1e9 }
const collection = {
  collectionName: 'nothing',
  findOne: async () => stored,
  findOneAndUpdate: async () => answer,
  insertOne: async () => ({}),
  updateOne: async () => ({ matchedCount: 1 }),
  deleteOne: async () => ({}),
  indexes: async () => [],
  createIndex: async () => '',
} satisfies Partial<MongoDBCollection> as unknown as MongoDBCollection

const applied = { rev: 7, fields: answer.data }
const nothing: Store = {
  insert: async () => {},
  load: async id => ({ ...applied, id, created: stored.created, expires: far, maxAge: 1e9 }),
  read: async () => applied,
  update: async () => applied,
  end: async () => true,
  delete: async () => {},
}

interface Candidate {
  readonly name: string
  /** How many requests are measured together: enough for the clock. */
  readonly requests: number
  /** Makes a request, and answers with what carries out so many chains in it. */
  prepare(): Promise<(chains: number) => Promise<void>>
}

const byHand: Candidate = {
  name: 'by hand',
  requests: 20 * REQUESTS,
  prepare: async () => async chains => {
    for (let n = 0; n < chains; n++) {
      const now = new Date()
      await collection.findOneAndUpdate(
        { _id: 'a'.repeat(64), expires: { $gt: now } },
        {
          $set: { 'data.theme': n % 2 ? 'dark' : 'light' },
          $inc: { rev: 1, 'data.views': 1 },
          $push: { 'data.log': { $each: [n], $slice: -100 } },
        },
        {
          projection: { _id: 0, rev: 1, 'data.theme': 1, 'data.views': 1, 'data.log': 1 },
          returnDocument: 'after',
          includeResultMetadata: false,
        },
      )
    }
  },
}

const candidates = [
  byHand,
  inRequests('a chain, MongoDB store', mongoStore({ collection }), true),
  inRequests('the same, not awaited', mongoStore({ collection }), false),
  inRequests('a chain, no store at all', nothing, true),
]

function inRequests(name: string, store: Store, isAwaited: boolean): Candidate {
  const app = new Koa()
  app.keys = ['a key for the benchmark only, and long enough']
  Session(app, { store })
  return {
    name,
    requests: REQUESTS,
    async prepare() {
      const request = new IncomingMessage(new Socket())
      const ctx = app.createContext(request, new ServerResponse(request))
      // A request that goes on.
      app.middleware[0]?.(ctx, () => new Promise(() => {}))
      const { session } = ctx
      await session.set('theme', 'light')
      return async chains => {
        for (let n = 0; n < chains; n++) {
          const chain = session
            .set('theme', n % 2 ? 'dark' : 'light')
            .inc('views')
            .push('log', n, { slice: -100 })
          if (isAwaited) await chain
        }
        // All of them have come to their end before this one.
        if (!isAwaited) await session.get('theme')
      }
    },
  }
}

/** Microseconds of CPU per chain. */
async function cpuOf(candidate: Candidate): Promise<number> {
  const requests = await prepared(candidate, candidate.requests)
  const before = process.cpuUsage()
  for (const run of requests) await run(CHAINS)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / (candidate.requests * CHAINS)
}

/** Bytes allocated per chain. */
async function bytesOf(candidate: Candidate): Promise<number> {
  const requests = await prepared(candidate, REQUESTS_WEIGHED)
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (const run of requests) await run(CHAINS)
  return (process.memoryUsage().heapUsed - before) / (REQUESTS_WEIGHED * CHAINS)
}

function prepared(
  { prepare }: Candidate,
  count: number,
): Promise<Awaited<ReturnType<Candidate['prepare']>>[]> {
  return Promise.all(Array.from({ length: count }, prepare))
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

async function rounds(measure: (candidate: Candidate) => Promise<number>): Promise<number[][]> {
  const found: number[][] = candidates.map(() => [])
  // The first ones are for the compiler.
  for (let round = -3; round < ROUNDS; round++) {
    for (const [index, candidate] of candidates.entries()) {
      const measured = await measure(candidate)
      if (round >= 0) found[index]?.push(measured)
    }
  }
  return found
}

function spread(values: readonly number[], digits: number): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => (sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN).toFixed(digits)
  return `${at(0.5)} (${at(0.1)}–${at(0.9)})`
}

const cpu = await rounds(cpuOf)
const bytes = await rounds(bytesOf)
console.log(`set, inc and push in one chain; median of ${ROUNDS} interleaved rounds (10th–90th percentile)\n`)
const row = (...columns: string[]) => console.log(columns.map(column => column.padEnd(26)).join(''))
row('', 'µs of CPU per chain', 'times as long as by hand', 'bytes per chain')
for (const [index, { name }] of candidates.entries()) {
  const times = cpu[index] ?? []
  const ratios = times.map((time, round) => time / (cpu[0]?.[round] ?? Number.NaN))
  row(name, spread(times, 2), spread(ratios, 2), spread(bytes[index] ?? [], 0))
}
console.log(`\nGoal: a chain costs less than ${GOAL} µs.`)
