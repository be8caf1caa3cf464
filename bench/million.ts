import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { idOf, newSecret } from '../src/core/ids.ts'
import type { Change, SessionId, SessionRecord, Store } from '../src/index.ts'
import { SessionFile } from '../src/stores/lmdb/file.ts'
import { expiredBy } from '../src/stores/lmdb/keys.ts'
import { build, library } from './built.ts'

// A million sessions in one LMDB file, of which nine in ten expire: npx tsx bench/million.ts [sessions]

build()
const { lmdbStore } = await library<typeof import('../src/stores/lmdb/store.ts')>('stores/lmdb/store')
const MANY = Number(process.argv[2] ?? 1_000_000)
const FEW = 1000
const EXPIRED = 0.9
const CALLS = 20_000
const ROUNDS = 9
/** Of the live traffic, milliseconds between two requests; each reads and changes a session. */
const BETWEEN = 2
const REQUESTS_BEFORE = 5000

const folder = mkdtempSync(join(tmpdir(), 'bench-million-'))

function aRecord(expires: number): SessionRecord {
  const fields = {
    user_id: '65a000000000000000000001',
    theme: 'dark',
    views: 12,
    message: 'Your order has been sent and will be with you on Thursday',
    cart: { lines: [1, 2, 3].map(qty => ({ sku: `tea-${qty}`, qty })), total: 12.5 },
  }
  const created = new Date(expires - 1e9)
  return { id: idOf(newSecret()), created, expires: new Date(expires), maxAge: 1e9, rev: 1, fields }
}

/** Fills the store, and tells which sessions live on. */
async function fill(store: Store, count: number, expired: number): Promise<SessionId[]> {
  const living: SessionId[] = []
  for (let done = 0; done < count; done += FEW) {
    const records = Array.from({ length: FEW }, (_, index) => {
      const isExpired = index < FEW * expired
      const record = aRecord(Date.now() + (isExpired ? -1000 : 1e9))
      if (!isExpired) living.push(record.id)
      return record
    })
    await Promise.all(records.map(record => store.insert(record)))
  }
  return living
}

function anyOf(ids: readonly SessionId[]): SessionId {
  return ids[Math.floor(Math.random() * ids.length)] as SessionId
}

let toggle = false
function aChange(): Change {
  toggle = !toggle
  return { guards: [], operations: [{ op: '$set', path: 'theme', arg: toggle ? 'dark' : 'light' }] }
}

/** Microseconds of CPU per call. */
async function cost(call: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  for (let n = 0; n < CALLS; n++) await call()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / CALLS
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(part * (values.length - 1))] ?? Number.NaN
}

interface Traffic {
  /** Milliseconds. */
  readonly latencies: number[]
  readonly longestBlock: number
  /** The most CPU that was used between two requests: what a block can have been of our own making. */
  readonly mostCPU: number
}

/** Requests come at their times, however long those before them take; each is timed from when it should have come. */
async function traffic(
  store: Store,
  ids: readonly SessionId[],
  isOver: (requests: number) => boolean,
): Promise<Traffic> {
  const latencies: number[] = []
  const pending: Promise<void>[] = []
  const loop = monitorEventLoopDelay({ resolution: 1 })
  loop.enable()
  let mostCPU = 0
  let cpu = process.cpuUsage()
  const begun = performance.now()
  for (let request = 0; !isOver(request); request++) {
    const due = begun + request * BETWEEN
    if (performance.now() < due) await delay(due - performance.now())
    const { user, system } = process.cpuUsage(cpu)
    mostCPU = Math.max(mostCPU, (user + system) / 1000)
    cpu = process.cpuUsage()
    const id = anyOf(ids)
    const answered = store
      .read(id, ['theme'])
      .then(() => store.update(id, aChange()))
      .then(() => {
        latencies.push(performance.now() - due)
      })
    pending.push(answered)
  }
  await Promise.all(pending)
  loop.disable()
  return { latencies, longestBlock: loop.max / 1e6, mostCPU }
}

function memory(): string {
  const { rss, heapUsed } = process.memoryUsage()
  return `${Math.round(rss / 2 ** 20)} MiB resident, ${Math.round(heapUsed / 2 ** 20)} MiB of it on the heap`
}

const neverMind = { sweepEvery: '1 day' }
const small = lmdbStore({ path: join(folder, 'small'), ...neverMind })
const path = join(folder, 'large')
const large = lmdbStore({ path, ...neverMind })
const few = await fill(small, FEW, 0)
console.log(`memory at first: ${memory()}`)
const filling = performance.now()
const living = await fill(large, MANY, EXPIRED)
console.log(
  `${MANY} sessions stored in ${Math.round((performance.now() - filling) / 1000)} s, ` +
    `${Math.round(statSync(path).size / 2 ** 20)} MiB\nmemory then: ${memory()}\n`,
)

for (const [name, call] of [
  ['a read of one field', (store: Store, ids: readonly SessionId[]) => store.read(anyOf(ids), ['theme'])],
  ['a change of one field', (store: Store, ids: readonly SessionId[]) => store.update(anyOf(ids), aChange())],
] as const) {
  const costs: [number, number][] = []
  for (let round = -2; round < ROUNDS; round++) {
    const pair: [number, number] = [await cost(() => call(small, few)), await cost(() => call(large, living))]
    if (round >= 0) costs.push(pair)
  }
  const [atFew, atMany] = [0, 1].map(index =>
    percentile(
      costs.map(pair => pair[index] as number),
      0.5,
    ),
  ) as [number, number]
  const ratio = percentile(
    costs.map(([a, b]) => b / a),
    0.5,
  )
  console.log(
    `${name}: ${atFew.toFixed(1)} µs of CPU among ${FEW}, ${atMany.toFixed(1)} µs among ${MANY}: ` +
      `${ratio.toFixed(2)} times (goal: at most 2)`,
  )
}

// The first of the live traffic pays for what storing so many has left to the garbage collector: it is not counted.
await traffic(large, living, requests => requests >= REQUESTS_BEFORE)
const before = await traffic(large, living, requests => requests >= REQUESTS_BEFORE)
const file = new SessionFile(path, 'process')
const sweeper = lmdbStore({ path, sweepEvery: 1 })
const sweeping = performance.now()
const isSwept = () => file.readKeys(expiredBy(Date.now()), 1).length === 0
const during = await traffic(large, living, isSwept)
console.log(
  `\n${MANY - living.length} expired sessions swept in ${Math.round((performance.now() - sweeping) / 1000)} s, ` +
    `beside ${1000 / BETWEEN} requests/s that read and change a session`,
)
const show = ({ latencies, longestBlock, mostCPU }: Traffic) =>
  [0.5, 0.99, 0.999].map(part => `${percentile(latencies, part).toFixed(2)} ms`).join(', ') +
  `; longest delay of the event loop ${longestBlock.toFixed(1)} ms, ` +
  `at most ${mostCPU.toFixed(1)} ms of CPU between two requests`
console.log(`before: 50th, 99th, 99.9th percentile ${show(before)}`)
console.log(`sweeping:                            ${show(during)}`)
const slower = percentile(during.latencies, 0.99) / percentile(before.latencies, 0.99)
console.log(`99th percentile ${slower.toFixed(2)} times as before (goal: at most 2; no delay over 50 ms)`)
console.log(
  `load of the machine: ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores; ` +
    'what else runs on it delays the event loop too',
)
console.log(`memory at the end: ${memory()}`)
const kept = await Promise.all(living.map(id => large.read(id, [])))
console.log(`${kept.filter(Boolean).length} of ${living.length} living sessions are still there`)
await Promise.all([file.close(), sweeper.close?.(), large.close?.(), small.close?.()])
rmSync(folder, { recursive: true })
