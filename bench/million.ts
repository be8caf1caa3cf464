import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { idOf, newSecret } from '../src/ids.ts'
import type { Change, SessionId, SessionRecord, Store } from '../src/index.ts'
import { loadDriver } from '../src/stores/sqlite/driver.ts'
import { build, library } from './built.ts'

// A million sessions in one SQLite file, of which nine in ten expire: npx tsx bench/million.ts [sessions]

build()
const { sqliteStore } = await library<typeof import('../src/stores/sqlite/store.ts')>('stores/sqlite/store')
const MANY = Number(process.argv[2] ?? 1_000_000)
const FEW = 1000
const EXPIRED = 0.9
const CALLS = 20_000
const ROUNDS = 9
/** Of the live traffic, milliseconds between two requests. */
const BETWEEN = 2
/** Milliseconds of it alone, before and after sweeping. */
const QUIET = 10_000

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
  /** Of the garbage collector, which may have been that block. */
  readonly longestPause: number
}

/** Until it is over, requests that read and change a session. */
async function traffic(
  store: Store,
  ids: readonly SessionId[],
  over: () => Promise<unknown>,
): Promise<Traffic> {
  const loop = monitorEventLoopDelay({ resolution: 1 })
  loop.enable()
  let longestPause = 0
  const pauses = new PerformanceObserver(list => {
    for (const { duration } of list.getEntries()) longestPause = Math.max(longestPause, duration)
  })
  pauses.observe({ entryTypes: ['gc'] })
  const serve = async (message: unknown) => {
    if (message !== 'request') return
    const id = anyOf(ids)
    await store.read(id, ['theme'])
    await store.update(id, aChange())
    visitors.send('answer')
  }
  visitors.on('message', serve)
  visitors.send(BETWEEN)
  await over()
  visitors.send('stop')
  for (;;) {
    const [message] = (await once(visitors, 'message')) as [unknown]
    if (!Array.isArray(message)) continue
    visitors.off('message', serve)
    loop.disable()
    pauses.disconnect()
    return { latencies: message, longestBlock: loop.max / 1e6, longestPause }
  }
}

function memory(): string {
  const { rss, heapUsed } = process.memoryUsage()
  return `${Math.round(rss / 2 ** 20)} MiB resident, ${Math.round(heapUsed / 2 ** 20)} MiB of it on the heap`
}

const neverMind = { sweepEvery: '1 day' }
const small = sqliteStore({ path: join(folder, 'small'), ...neverMind })
const path = join(folder, 'large')
const large = sqliteStore({ path, ...neverMind })
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

const visitors = fork(fileURLToPath(new URL('visitors.ts', import.meta.url)), {
  execArgv: ['--import', 'tsx'],
})
const quiet = () => traffic(large, living, () => delay(QUIET))
// The first of the live traffic pays for what storing so many has left to the garbage collector: it is not counted.
await quiet()
const before = await quiet()
const Database = loadDriver()
const db = new Database(path)
const expired = db.prepare('SELECT 1 FROM sessions WHERE expires <= ? LIMIT 1')
const sweeper = sqliteStore({ path, sweepEvery: 1 })
const sweeping = performance.now()
const isSwept = () => expired.get(Date.now()) === undefined
const during = await traffic(large, living, async () => {
  while (!isSwept()) await delay(100)
})
const after = await quiet()
visitors.disconnect()
console.log(
  `\n${MANY - living.length} expired sessions swept in ${Math.round((performance.now() - sweeping) / 1000)} s, ` +
    `beside ${1000 / BETWEEN} requests/s that read and change a session`,
)
const show = ({ latencies, longestBlock, longestPause }: Traffic) =>
  [0.5, 0.99, 0.999].map(part => `${percentile(latencies, part).toFixed(2)} ms`).join(', ') +
  `; longest delay of the event loop ${longestBlock.toFixed(1)} ms, pause of the garbage collector ${longestPause.toFixed(1)} ms`
console.log(`before: 50th, 99th, 99.9th percentile ${show(before)}`)
console.log(`sweeping:                            ${show(during)}`)
console.log(`after:                               ${show(after)}`)
const usual = percentile([...before.latencies, ...after.latencies], 0.99)
const slower = percentile(during.latencies, 0.99) / usual
console.log(
  `99th percentile ${slower.toFixed(2)} times as before and after (goal: at most 2; no delay over 50 ms)`,
)
console.log(
  `load of the machine: ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores; ` +
    'what else runs on it delays the event loop too',
)
console.log(`memory at the end: ${memory()}`)
const kept = await Promise.all(living.map(id => large.read(id, [])))
console.log(`${kept.filter(Boolean).length} of ${living.length} living sessions are still there`)
db.close()
await Promise.all([sweeper.close?.(), large.close?.(), small.close?.()])
rmSync(folder, { recursive: true })
