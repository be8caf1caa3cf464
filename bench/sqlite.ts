import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serialize } from 'bson'
import { idOf, newSecret } from '../src/ids.ts'
import type { Change, SessionRecord, Store } from '../src/index.ts'
import { loadDriver } from '../src/stores/sqlite/driver.ts'
import { median } from '../test/support/median.ts'
import { build, library } from './built.ts'

// What the SQLite store does in a second, next to the same statements by hand: npx tsx bench/sqlite.ts [rounds]

build()
const { sqliteStore } = await library<typeof import('../src/stores/sqlite/store.ts')>('stores/sqlite/store')
const Database = loadDriver()
const ROUNDS = Number(process.argv[2] ?? 15)
const SESSIONS = 1000
/** So many calls are under way at once, as in a busy app. */
const AT_ONCE = 32

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

const folder = mkdtempSync(join(tmpdir(), 'bench-sqlite-'))
const closings: (() => Promise<void>)[] = []

/** What a change costs at least: the same statements by hand, on rows of the same size. */
function rawOf(durability: 'process' | 'disk', calls: number): Candidate[] {
  const db = new Database(join(folder, `raw-${durability}`))
  closings.push(async () => void db.close())
  db.exec('PRAGMA journal_mode = WAL')
  db.exec(`PRAGMA synchronous = ${durability === 'disk' ? 'FULL' : 'NORMAL'}`)
  db.exec('CREATE TABLE raw (id TEXT PRIMARY KEY, rev INTEGER, fields BLOB)')
  const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')]
  const insert = db.prepare('INSERT INTO raw VALUES (?, ?, ?)')
  const select = db.prepare('SELECT rowid AS row, rev, fields FROM raw WHERE id = ?')
  const update = db.prepare('UPDATE raw SET rev = ?, fields = ? WHERE rowid = ?')
  const value = serialize(fields)
  for (const { id } of records) insert.run(id, 1, value)
  const put = (count: number) => {
    begin.run()
    for (let n = 0; n < count; n++) {
      const { row, rev } = select.get(anId()) as { row: number; rev: number }
      update.run(rev + 1, value, row)
    }
    commit.run()
  }
  return [
    {
      name: 'by hand: read and write in a transaction',
      calls,
      run(count) {
        for (let n = 0; n < count; n++) put(1)
      },
    },
    {
      name: `by hand: ${AT_ONCE} in a transaction`,
      calls,
      run(count) {
        for (let n = 0; n < count; n += AT_ONCE) put(AT_ONCE)
      },
    },
    {
      name: 'by hand: a read',
      calls,
      run(count) {
        for (let n = 0; n < count; n++) select.get(anId())
      },
    },
  ]
}

async function oursOf(durability: 'process' | 'disk', calls: number): Promise<Candidate[]> {
  const store: Store = sqliteStore({ path: join(folder, durability), durability })
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
  row('', 'calls/s', 'of by hand')
  for (const [index, { name }] of candidates.entries()) {
    const own = rates[index] ?? []
    const isRead = index % 3 === 2
    const theirs = rates[isRead ? 2 : 0] ?? []
    const ratio = median(own.map((rate, round) => rate / (theirs[round] ?? Number.NaN)))
    row(name, Math.round(median(own)).toString(), `${Math.round(ratio * 100)} %`)
  }
}
for (const close of closings) await close()
rmSync(folder, { recursive: true })
