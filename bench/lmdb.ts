import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serialize } from 'bson'
import { idOf, newSecret } from '../src/ids.ts'
import type { Change, SessionRecord, Store } from '../src/index.ts'
import { build, library } from './built.ts'

// What the LMDB store does in a second, next to the package itself with the same bytes: npx tsx bench/lmdb.ts [rounds]

build()
const { lmdbStore } = await library<typeof import('../src/stores/lmdb/store.ts')>('stores/lmdb/store')
const { open }: typeof import('lmdb') = createRequire(import.meta.url)('lmdb')
const ROUNDS = Number(process.argv[2] ?? 15)
const SESSIONS = 1000
/** So many calls are under way at once, as in a busy app. */
const AT_ONCE = 32
/** The header that the store puts before the fields. */
const HEADER = 48

const fields = {
  user_id: '65a000000000000000000001',
  theme: 'dark',
  views: 12,
  message: 'Your order has been sent and will be with you on Thursday',
  cart: { lines: [1, 2, 3].map(qty => ({ sku: `tea-${qty}`, qty })), total: 12.5 },
  log: ['a', 'b', 'c'],
}
const records: SessionRecord[] = Array.from({ length: SESSIONS }, () => ({
  id: idOf(newSecret()),
  created: new Date(),
  expires: new Date(Date.now() + 1e9),
  maxAge: 1e9,
  rev: 1,
  fields,
}))

interface Candidate {
  readonly name: string
  /** How many calls are measured together. */
  readonly calls: number
  run(calls: number): Promise<void> | void
}

let next = 0
const anId = () => (records[next++ % SESSIONS] as SessionRecord).id
const aChange = (): Change => ({
  guards: [],
  operations: [{ op: '$set', path: 'theme', arg: next % 2 ? 'dark' : 'light' }],
})

const folder = mkdtempSync(join(tmpdir(), 'bench-lmdb-'))
const closings: (() => Promise<void>)[] = []

function rawOf(durability: 'process' | 'disk', calls: number): Candidate[] {
  const isSafe = durability === 'disk'
  const db = open<Buffer, Buffer>({
    path: join(folder, `raw-${durability}`),
    noSubdir: true,
    keyEncoding: 'binary',
    encoding: 'binary',
    noSync: !isSafe,
    overlappingSync: false,
  })
  closings.push(() => db.close())
  const keys = records.map(({ id }) => Buffer.from(`s${id}`, 'latin1').subarray(0, 33))
  const value = Buffer.alloc(HEADER + serialize(fields).length, 1)
  const aKey = () => keys[next++ % SESSIONS] as Buffer
  db.transactionSync(() => {
    for (const key of keys) db.put(key, value)
  })
  const put = (count: number) =>
    db.transactionSync(() => {
      for (let n = 0; n < count; n++) {
        const key = aKey()
        db.getBinary(key)
        db.put(key, value)
      }
    })
  return [
    {
      name: `lmdb: get and put in a transaction`,
      calls,
      run(count) {
        for (let n = 0; n < count; n++) put(1)
      },
    },
    {
      name: `lmdb: ${AT_ONCE} in a transaction`,
      calls,
      run(count) {
        for (let n = 0; n < count; n += AT_ONCE) put(AT_ONCE)
      },
    },
    {
      name: 'lmdb: get of the present state',
      calls,
      run(count) {
        for (let n = 0; n < count; n++) {
          db.resetReadTxn()
          db.getBinary(aKey())
        }
      },
    },
  ]
}

async function oursOf(durability: 'process' | 'disk', calls: number): Promise<Candidate[]> {
  const store: Store = lmdbStore({ path: join(folder, durability), durability })
  closings.push(async () => store.close?.())
  await Promise.all(records.map(record => store.insert(record)))
  return [
    {
      name: 'a change at a time',
      calls,
      async run(count) {
        for (let n = 0; n < count; n++) await store.update(anId(), aChange())
      },
    },
    {
      name: `${AT_ONCE} changes at a time`,
      calls,
      async run(count) {
        for (let n = 0; n < count; n += AT_ONCE) {
          await Promise.all(Array.from({ length: AT_ONCE }, () => store.update(anId(), aChange())))
        }
      },
    },
    {
      name: 'a read of one field',
      calls,
      async run(count) {
        for (let n = 0; n < count; n++) await store.read(anId(), ['theme'])
      },
    },
  ]
}

async function perSecond({ calls, run }: Candidate): Promise<number> {
  const begun = performance.now()
  await run(calls)
  return (calls * 1000) / (performance.now() - begun)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

const row = (...columns: string[]) =>
  console.log(columns.map((text, index) => text.padEnd(index ? 14 : 38)).join(''))

for (const [durability, calls] of [
  ['process', 64 * AT_ONCE],
  ['disk', AT_ONCE],
] as const) {
  const raw = rawOf(durability, calls)
  const ours = await oursOf(durability, calls)
  const candidates = [...raw, ...ours]
  const rates = candidates.map((): number[] => [])
  // The first ones are for the compiler.
  for (let round = -3; round < ROUNDS; round++) {
    for (const [index, candidate] of candidates.entries()) {
      const rate = await perSecond(candidate)
      if (round >= 0) rates[index]?.push(rate)
    }
  }
  console.log(`\ndurability '${durability}', median of ${ROUNDS} interleaved rounds\n`)
  row('', 'calls/s', "of lmdb's own rate")
  for (const [index, { name }] of candidates.entries()) {
    const own = rates[index] ?? []
    const isRead = index % 3 === 2
    const theirs = rates[isRead ? 2 : 0] ?? []
    const ratio = median(own.map((rate, round) => rate / (theirs[round] ?? Number.NaN)))
    row(name, Math.round(median(own)).toString(), `${Math.round(ratio * 100)} %`)
  }
}
console.log(
  '\nGoal: 30,000 changes/s and 60,000 reads/s, or 60 % of the rate of a transaction of the package.',
)
for (const close of closings) await close()
rmSync(folder, { recursive: true })
